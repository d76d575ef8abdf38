//! Feature maps with their channels together.

use tch::{Device, Kind, Tensor};

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

    /// As a tensor `[N, C, H, W]`, of the same memory.
    pub(crate) fn tensor(&self) -> Tensor {
        self.tensor.permute([0, 3, 1, 2])
    }

    pub(super) fn source(&self) -> Source {
        Source(self.tensor.data_ptr().cast())
    }

    pub(super) fn target(&mut self) -> Shared {
        Shared(self.tensor.data_ptr().cast())
    }
}
