//! Feature maps with their channels together.

use tch::{Device, Kind, Tensor};

use super::buffer::{Shared, Source};
use super::{Clamp, each};
use crate::{Error, Result};

/// An f32 map on the CPU, `[N, H, W, C]` in memory.
#[derive(Debug)]
pub(crate) struct Map {
    tensor: Tensor, // contiguous
    pub(crate) images: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

impl Map {
    /// A map that holds anything.
    pub(super) fn empty(images: usize, height: usize, width: usize, channels: usize) -> Self {
        let size = [images, height, width, channels].map(|side| side as i64);
        Self { tensor: Tensor::empty(size, (Kind::Float, Device::Cpu)), images, height, width, channels }
    }

    /// A map `[N, H, W, C]` of which `fill` writes image after image.
    ///
    /// # Errors
    /// What `fill` returns.
    pub(crate) fn filled(
        [images, height, width, channels]: [usize; 4],
        fill: impl Fn(usize, &mut [f32]) -> Result<()>,
    ) -> Result<Self> {
        let mut ys = Self::empty(images, height, width, channels);
        let (target, count) = (ys.target(), height * width * channels);
        for image in 0..images {
            // SAFETY: one image of the map, which nobody else has.
            fill(image, unsafe { std::slice::from_raw_parts_mut(target.at(image * count), count) })?;
        }
        Ok(ys)
    }

    /// The map of a tensor `[N, C, H, W]`: its own memory if its channels lie together, else a copy.
    ///
    /// # Errors
    /// [`Error::Input`] if it is no f32 map on the CPU, or not of that many channels.
    pub(crate) fn of(layer: &'static str, xs: &Tensor, channels: usize) -> Result<Self> {
        let wrong = || Error::Input {
            layer,
            expected: format!("[N, {channels}, H, W] in f32 on the CPU"),
            got: format!("{:?} in {:?} on {:?}", xs.size(), xs.kind(), xs.device()),
        };
        let [images, of, height, width] = xs.size()[..] else { return Err(wrong()) };
        if of != channels as i64 || xs.kind() != Kind::Float || xs.device() != Device::Cpu {
            return Err(wrong());
        }
        let tensor = xs.f_permute([0, 2, 3, 1])?.f_contiguous()?;
        let [images, height, width] = [images, height, width].map(|side| side as usize);
        Ok(Self { tensor, images, height, width, channels })
    }

    /// The map of tokens `[N, T, C]`, in one row: their own memory if there are no gaps in it, else a copy.
    ///
    /// # Errors
    /// [`Error::Torch`](Error::Torch) if libtorch fails.
    pub(crate) fn of_tokens(xs: &Tensor) -> Result<Self> {
        let (images, width, channels) = xs.size3()?;
        let [images, width, channels] = [images, width, channels].map(|side| side as usize);
        Ok(Self { tensor: xs.f_contiguous()?, images, height: 1, width, channels })
    }

    /// As tokens `[N, T, C]`, of the same memory.
    pub(crate) fn tokens(&self) -> Tensor {
        self.tensor.flatten(1, 2)
    }

    /// With every value clamped.
    pub(crate) fn clamped(&self, clamp: Clamp) -> Self {
        let mut ys = Self::empty(self.images, self.height, self.width, self.channels);
        let (source, target, count) = (self.source(), ys.target(), self.tensor.numel());
        // SAFETY: both maps have so many values; nobody else has the new one.
        let (from, to) =
            unsafe { (std::slice::from_raw_parts(source.0, count), std::slice::from_raw_parts_mut(target.0, count)) };
        for (x, y) in from.iter().zip(to) {
            *y = x.clamp(clamp.low, clamp.high);
        }
        ys
    }

    /// The sum with a map of the same shape, clamped.
    pub(crate) fn add(&self, other: &Self, clamp: Clamp) -> Self {
        let mut ys = Self::empty(self.images, self.height, self.width, self.channels);
        let (first, second, target) = (self.source(), other.source_like(self), ys.target());
        let (count, row) = (self.tensor.numel(), self.width * self.channels);
        each(count.div_ceil(row.max(1)), rayon::current_num_threads() > 1, |task| {
            let (at, length) = (task * row, row.min(count - task * row));
            // SAFETY: all three have so many values; this task alone writes this row.
            let (a, b, to) = unsafe {
                (
                    std::slice::from_raw_parts(first.at(at), length),
                    std::slice::from_raw_parts(second.at(at), length),
                    std::slice::from_raw_parts_mut(target.at(at), length),
                )
            };
            for ((a, b), y) in a.iter().zip(b).zip(to) {
                *y = (a + b).clamp(clamp.low, clamp.high);
            }
        });
        ys
    }

    /// The mean of each channel: `[N, 1, 1, C]`.
    pub(crate) fn mean(&self) -> Self {
        let mut ys = Self::empty(self.images, 1, 1, self.channels);
        let (source, target, positions) = (self.source(), ys.target(), self.height * self.width);
        // SAFETY: so many values has this map, and so many the new one, which nobody else has.
        let (from, to) = unsafe {
            let count = self.images * self.channels;
            (std::slice::from_raw_parts(source.0, count * positions), std::slice::from_raw_parts_mut(target.0, count))
        };
        for (image, means) in from.chunks_exact(positions * self.channels).zip(to.chunks_exact_mut(self.channels)) {
            means.fill(0.0);
            for position in image.chunks_exact(self.channels) {
                for (mean, x) in means.iter_mut().zip(position) {
                    *mean += x;
                }
            }
            for mean in means {
                *mean /= positions as f32;
            }
        }
        ys
    }

    /// As a tensor `[N, C, H, W]`, of the same memory.
    pub(crate) fn tensor(&self) -> Tensor {
        self.tensor.permute([0, 3, 1, 2])
    }

    pub(super) fn source(&self) -> Source {
        Source(self.tensor.data_ptr().cast())
    }

    /// The same, of a map that must have the shape of another.
    pub(super) fn source_like(&self, other: &Self) -> Source {
        let [of, to] = [self, other].map(|map| [map.images, map.height, map.width, map.channels]);
        assert_eq!(of, to, "shapes that do not add");
        self.source()
    }

    pub(super) fn target(&mut self) -> Shared {
        Shared(self.tensor.data_ptr().cast())
    }
}

/// The numbers of a tensor where it lies; none if it is not in f32, on the CPU and without gaps.
pub(crate) fn values(tensor: &Tensor) -> Option<&[f32]> {
    let lies = tensor.kind() == Kind::Float && tensor.device() == Device::Cpu && tensor.is_contiguous();
    // SAFETY: so many numbers lie there for as long as the tensor lives; what writes into a tensor in place (an
    // optimizer, a loader) runs on the thread that owns it, which is busy with whoever borrowed it here.
    lies.then(|| unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast_const().cast(), tensor.numel()) })
}
