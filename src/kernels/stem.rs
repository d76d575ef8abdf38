//! The first convolution: a picture to features.

use tch::{Device, Kind, Tensor};

use super::buffer::{Shared, Source, with_scratch};
use super::depthwise::Axis;
use super::pointwise::Pointwise;
use super::{Map, each, each_image};
use crate::{Error, Result};

/// The rows of one task.
const ROWS: usize = 8;

/// A small convolution of pictures `[N, 3, H, W]` with bias, then a clamp.
#[derive(Debug)]
pub(crate) struct Stem {
    axis: Axis,
    /// Over the values under the kernel: channels × kernel².
    matrix: Pointwise,
}

impl Stem {
    /// The channels of a picture.
    const CHANNELS: usize = 3;

    /// `matrix` takes the values under the kernel in the order of a PyTorch weight `[outputs, 3, kernel, kernel]`.
    pub(crate) fn new(axis: Axis, matrix: Pointwise) -> Self {
        assert_eq!(matrix.inputs(), Self::CHANNELS * axis.kernel * axis.kernel, "values under the kernel");
        Self { axis, matrix }
    }

    /// `[N, 3, H, W]` → `[N, H', W', outputs]`.
    ///
    /// # Errors
    /// [`Error::Input`] if that is no f32 tensor of that shape on the CPU.
    pub(crate) fn forward(&self, xs: &Tensor) -> Result<Map> {
        let wrong = || Error::Input {
            layer: "stem",
            expected: "[N, 3, H, W] in f32 on the CPU".into(),
            got: format!("{:?} in {:?} on {:?}", xs.size(), xs.kind(), xs.device()),
        };
        let [images, 3, rows, columns] = xs.size()[..] else { return Err(wrong()) };
        if xs.kind() != Kind::Float || xs.device() != Device::Cpu {
            return Err(wrong());
        }
        let xs = xs.f_contiguous()?;
        let [images, rows, columns] = [images, rows, columns].map(|side| side as usize);
        let ((height, above), (width, left)) = (self.axis.cells(rows), self.axis.cells(columns));
        let outputs = self.matrix.outputs();
        let mut ys = Map::empty(images, height, width, outputs);
        let (source, target) = (Source(xs.data_ptr().cast_const().cast()), ys.target());
        each_image(images, |image, parallel| {
            each(height.div_ceil(ROWS), parallel, |task| {
                let (from, to) = (task * ROWS, height.min((task + 1) * ROWS));
                with_scratch((to - from) * width * self.matrix.inputs(), |patches| {
                    // SAFETY: one image of the tensor, which is contiguous.
                    let picture = unsafe {
                        let size = Self::CHANNELS * rows * columns;
                        std::slice::from_raw_parts(source.at(image * size), size)
                    };
                    for y in from..to {
                        let patches = &mut patches[(y - from) * width * self.matrix.inputs()..];
                        let top = (y * self.axis.stride) as isize - above as isize;
                        self.gather(picture, [rows, columns], [top, -(left as isize)], width, patches);
                    }
                    // SAFETY: `patches` has every position of these rows; no other task writes them.
                    unsafe {
                        let ys = Shared(target.at((image * height + from) * width * outputs));
                        self.matrix.image(Source(patches.as_ptr()), None, ys, (to - from) * width, false);
                    }
                });
            });
        });
        Ok(ys)
    }

    /// The values under the kernel at each of `width` positions of a row, zeros beyond the border.
    fn gather(&self, picture: &[f32], [rows, columns]: [usize; 2], corner: [isize; 2], width: usize, to: &mut [f32]) {
        let Axis { kernel, stride, .. } = self.axis;
        let (taps, [top, left]) = (self.matrix.inputs(), corner);
        let mut tap = 0;
        for plane in picture.chunks_exact(rows * columns) {
            for y in 0..kernel as isize {
                let row = usize::try_from(top + y).ok().and_then(|row| plane.chunks_exact(columns).nth(row));
                for x in 0..kernel as isize {
                    let values = to[tap..].iter_mut().step_by(taps).take(width);
                    let mut column = left + x;
                    for value in values {
                        *value = row.and_then(|row| row.get(usize::try_from(column).ok()?)).copied().unwrap_or(0.0);
                        column += stride as isize;
                    }
                    tap += 1;
                }
            }
        }
    }
}
