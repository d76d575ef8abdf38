//! Convolutions of any kernel, stride and padding: a [`Pointwise`] over what lies under the kernel.
//!
//! With its channels together, a row of the map under the kernel lies in one piece, from the first channel on the left to the
//! last one on the right. So nothing is gathered: a position's inputs are as many pieces as the kernel is high.

use super::buffer::{Source, with_scratch};
use super::depthwise::{Axis, Padding};
use super::pointwise::{PanelTask, Pointwise, Rows};
use super::{Clamp, Map, arch, each, each_image};

/// The positions of one task, about.
const BLOCK: usize = 64;

/// A convolution with bias, then a clamp.
#[derive(Debug)]
pub(crate) struct Convolution {
    channels: usize,
    axis: Axis,
    matrix: Pointwise,
}

impl Convolution {
    /// Of a PyTorch weight `[outputs, channels, kernel, kernel]`, whose elements `weight` tells by output and index in it.
    pub(crate) fn of(
        channels: usize,
        bias: &[f32],
        weight: impl Fn(usize, usize) -> f32 + Sync,
        axis: Axis,
        clamp: Clamp,
    ) -> Self {
        let taps = axis.kernel * axis.kernel;
        let by_input = |output, input| weight(output, input % channels * taps + input / channels);
        Self { channels, axis, matrix: Pointwise::of(taps * channels, bias, by_input, clamp) }
    }

    /// The channels of its input.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// `[N, H, W, channels]` → `[N, H', W', outputs]`; adds `residual`, of that shape, before the clamp.
    pub(crate) fn forward(&self, xs: &Map, residual: Option<&Map>) -> Map {
        assert_eq!(xs.channels, self.channels, "channels");
        let Axis { kernel, stride, padding } = self.axis;
        if (kernel, stride) == (1, 1) && matches!(padding, Padding::Same | Padding::Each(0)) {
            return self.matrix.forward_onto(xs, residual);
        }
        let [height, width] = self.cells([xs.height, xs.width]);
        let outputs = self.matrix.outputs();
        let mut ys = Map::empty(xs.images, height, width, outputs);
        let residual = residual.map(|residual| residual.source_like(&ys));
        let (source, target, size) = (xs.source(), ys.target(), [xs.height, xs.width]);
        each_image(xs.images, |image, parallel| {
            let run = |padded: Padded| {
                let tasks = if parallel { 4 * rayon::current_num_threads() } else { 1 };
                let panels = self.matrix.panels();
                let blocks = (height * width).div_ceil(BLOCK).min(tasks.div_ceil(panels)).clamp(1, height);
                each(panels * blocks, parallel, |task| {
                    let (panel, block) = (task % panels, task / panels);
                    for y in height * block / blocks..height * (block + 1) / blocks {
                        let at = (image * height + y) * width * outputs + panel * super::PANEL;
                        // SAFETY: these rows of the padded image and of the outputs exist; this task alone writes this row of this
                        // panel.
                        let rows = unsafe {
                            let residual = residual.map(|residual| residual.at(at));
                            Rows { residual, ..self.row(padded, y, target.at(at), outputs, width) }
                        };
                        // SAFETY: as above.
                        arch().dispatch(unsafe { PanelTask::new(&self.matrix, panel, rows) });
                    }
                });
            };
            // SAFETY: one image of the map.
            unsafe { self.padded(Source(source.at(image * size[0] * size[1] * self.channels)), size, run) }
        });
        ys
    }

    /// Rows and columns of the output for an input of that size.
    pub(super) fn cells(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        [self.axis.cells(height).0, self.axis.cells(width).0]
    }

    /// As a matrix over what lies under the kernel.
    pub(super) fn matrix(&self) -> &Pointwise {
        &self.matrix
    }

    /// Calls `work` with an image of that size and its padding around it.
    ///
    /// # Safety
    /// The image must have so many rows and columns.
    pub(super) unsafe fn padded(&self, xs: Source, size: [usize; 2], work: impl FnOnce(Padded)) {
        let Axis { kernel, stride, .. } = self.axis;
        let [(height, above), (width, left)] = size.map(|side| self.axis.cells(side));
        // What a stride leaves over at the end stays.
        let rows = ((height - 1) * stride + kernel).max(above + size[0]);
        let columns = ((width - 1) * stride + kernel).max(left + size[1]);
        let (row, padded_row) = (size[1] * self.channels, columns * self.channels);
        if [rows, columns] == size {
            return work(Padded { image: xs, row });
        }
        with_scratch(rows * padded_row, |padded| {
            for (y, to) in padded.chunks_exact_mut(padded_row).enumerate() {
                match y.checked_sub(above).filter(|y| *y < size[0]) {
                    None => to.fill(0.0),
                    Some(y) => {
                        // SAFETY: one row of the image.
                        let from = unsafe { std::slice::from_raw_parts(xs.at(y * row), row) };
                        let (before, rest) = to.split_at_mut(left * self.channels);
                        before.fill(0.0);
                        rest[..row].copy_from_slice(from);
                        rest[row..].fill(0.0);
                    }
                }
            }
            work(Padded { image: Source(padded.as_ptr()), row: padded_row });
        });
    }

    /// What row `y` of the output, of `count` positions, is made of, and that it goes to `ys`, positions `stride` numbers apart.
    ///
    /// # Safety
    /// The output must have that row.
    pub(super) unsafe fn row(&self, padded: Padded, y: usize, ys: *mut f32, stride: usize, count: usize) -> Rows {
        Rows {
            // SAFETY: so many rows has the padded image.
            xs: unsafe { padded.image.at(y * self.axis.stride * padded.row) },
            apart: self.axis.stride * self.channels,
            pieces: self.axis.kernel,
            below: padded.row,
            residual: None,
            ys,
            stride,
            count,
        }
    }
}

/// An image with its padding around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Padded {
    image: Source,
    /// The numbers of a row.
    row: usize,
}

/// The maximum of each window, as PyTorch's `max_pool2d`: zeros never stand for what lies outside.
pub(crate) fn max_pool(xs: &Map, axis: Axis) -> Map {
    let ((height, above), (width, left)) = (axis.cells(xs.height), axis.cells(xs.width));
    let channels = xs.channels;
    let mut ys = Map::empty(xs.images, height, width, channels);
    let (source, target) = (xs.source(), ys.target());
    let size = [xs.height, xs.width];
    let under = move |cell: usize, before: usize, size: usize| {
        let first = cell * axis.stride;
        first.saturating_sub(before)..(first + axis.kernel).saturating_sub(before).min(size)
    };
    each(xs.images * height, rayon::current_num_threads() > 1, |task| {
        let (image, y) = (task / height, task % height);
        for x in 0..width {
            // SAFETY: this position belongs to this task.
            let to = unsafe { std::slice::from_raw_parts_mut(target.at((task * width + x) * channels), channels) };
            to.fill(f32::NEG_INFINITY);
            for row in under(y, above, size[0]) {
                for column in under(x, left, size[1]) {
                    // SAFETY: a position of this image.
                    let from = unsafe {
                        let at = ((image * size[0] + row) * size[1] + column) * channels;
                        std::slice::from_raw_parts(source.at(at), channels)
                    };
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = if *from > *to || from.is_nan() { *from } else { *to };
                    }
                }
            }
        }
    });
    ys
}
