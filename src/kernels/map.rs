//! Feature maps with their channels together.

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::Clamp;
use super::buffer::{Shared, Source};
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
        let count = height * width * channels;
        let numbers = ys.numbers_mut();
        for image in 0..images {
            fill(image, &mut numbers[image * count..(image + 1) * count])?;
        }
        Ok(ys)
    }

    /// The map of a tensor `[N, C, H, W]`: its own memory if its channels lie together, else a copy. N may be 0.
    ///
    /// # Errors
    /// [`Error::Input`] if it is no f32 map on the CPU, has no positions, or not that many channels.
    pub(crate) fn of(layer: &'static str, xs: &Tensor, channels: usize) -> Result<Self> {
        let wrong = || Error::Input {
            layer,
            expected: format!("[N, {channels}, H, W], H and W not 0, in f32 on the CPU"),
            got: format!("{:?} in {:?} on {:?}", xs.size(), xs.kind(), xs.device()),
        };
        let [images, of, height, width] = xs.size()[..] else { return Err(wrong()) };
        let takes = xs.kind() == Kind::Float && xs.device() == Device::Cpu && channels > 0;
        if of != channels as i64 || height.min(width) < 1 || !takes {
            return Err(wrong());
        }
        let tensor = xs.f_permute([0, 2, 3, 1])?.f_contiguous()?;
        let [images, height, width] = [images, height, width].map(|side| side as usize);
        Ok(Self { tensor, images, height, width, channels })
    }

    /// The map of tokens `[N, T, C]`, in one row: their own memory if there are no gaps in it, else a copy.
    ///
    /// # Errors
    /// [`Error::Input`] if they are not f32 on the CPU, or T or C is 0; [`Error::Torch`](Error::Torch) if libtorch fails.
    pub(crate) fn of_tokens(xs: &Tensor) -> Result<Self> {
        let (images, width, channels) = xs.size3()?;
        if xs.kind() != Kind::Float || xs.device() != Device::Cpu || width.min(channels) < 1 {
            let got = format!("{:?} in {:?} on {:?}", xs.size(), xs.kind(), xs.device());
            let expected = "tokens [N, T, C], T and C not 0, in f32 on the CPU".into();
            return Err(Error::Input { layer: "kernel", expected, got });
        }
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
        for (x, y) in self.numbers().iter().zip(ys.numbers_mut()) {
            *y = x.clamp(clamp.low, clamp.high);
        }
        ys
    }

    /// The sum with a map of the same shape, clamped.
    pub(crate) fn add(&self, other: &Self, clamp: Clamp) -> Self {
        self.assert_like(other);
        let mut ys = Self::empty(self.images, self.height, self.width, self.channels);
        let row = (self.width * self.channels).max(1);
        let add = |((a, b), to): ((&[f32], &[f32]), &mut [f32])| {
            for ((a, b), y) in a.iter().zip(b).zip(to) {
                *y = (a + b).clamp(clamp.low, clamp.high);
            }
        };
        let (first, second, target) = (self.numbers(), other.numbers(), ys.numbers_mut());
        if rayon::current_num_threads() > 1 {
            let rows = first.par_chunks(row).zip(second.par_chunks(row)).zip(target.par_chunks_mut(row));
            rows.with_max_len(1).for_each(add);
        } else {
            first.chunks(row).zip(second.chunks(row)).zip(target.chunks_mut(row)).for_each(add);
        }
        ys
    }

    /// The mean of each channel: `[N, 1, 1, C]`.
    pub(crate) fn mean(&self) -> Self {
        let mut ys = Self::empty(self.images, 1, 1, self.channels);
        let positions = self.height * self.width;
        let (channels, image) = (self.channels.max(1), (positions * self.channels).max(1));
        let to = ys.numbers_mut();
        to.fill(0.0);
        for (image, means) in self.numbers().chunks_exact(image).zip(to.chunks_exact_mut(channels)) {
            for position in image.chunks_exact(channels) {
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
        self.assert_like(other);
        self.source()
    }

    fn assert_like(&self, other: &Self) {
        let [of, to] = [self, other].map(|map| [map.images, map.height, map.width, map.channels]);
        assert_eq!(of, to, "shapes that do not add");
    }

    /// All numbers, `[N, H, W, C]`.
    fn numbers(&self) -> &[f32] {
        match self.tensor.numel() {
            0 => &[], // libtorch has no address for nothing
            // SAFETY: a map's tensor is f32, on the CPU and contiguous, so that many numbers lie there for as long as it lives;
            // nobody writes into a map that is shared.
            count => unsafe { std::slice::from_raw_parts(self.tensor.data_ptr().cast_const().cast(), count) },
        }
    }

    /// All numbers, to be written.
    fn numbers_mut(&mut self) -> &mut [f32] {
        match self.tensor.numel() {
            0 => &mut [],
            // SAFETY: as above; whoever makes a map to be written hands its tensor to nobody before.
            count => unsafe { std::slice::from_raw_parts_mut(self.tensor.data_ptr().cast(), count) },
        }
    }

    pub(super) fn target(&mut self) -> Shared {
        Shared(self.tensor.data_ptr().cast())
    }
}

/// The numbers of a tensor where it lies; none if it is not in f32, on the CPU and without gaps.
pub(crate) fn values(tensor: &Tensor) -> Option<&[f32]> {
    let lies = tensor.kind() == Kind::Float && tensor.device() == Device::Cpu && tensor.is_contiguous();
    if lies && tensor.numel() == 0 {
        return Some(&[]); // libtorch has no address for nothing
    }
    // SAFETY: so many numbers lie there for as long as the tensor lives; what writes into a tensor in place (an
    // optimizer, a loader) runs on the thread that owns it, which is busy with whoever borrowed it here.
    lies.then(|| unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast_const().cast(), tensor.numel()) })
}
