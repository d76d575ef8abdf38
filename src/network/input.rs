//! From pictures to a network's input, on its device and in its precision.

use half::f16;
use ndarray::ArrayView4;
use tch::{Device, Kind, Tensor};

use super::Network;
use crate::host::{filled, to_tensor};
use crate::photo::{Preprocess, Resampled};
use crate::{Error, Result};

pub use cbam_core::device::ForwardPrecision;

/// libtorch's name of it.
fn kind(precision: ForwardPrecision) -> Kind {
    match precision {
        ForwardPrecision::F32 => Kind::Float,
        ForwardPrecision::F16 => Kind::Half,
        ForwardPrecision::Bf16 => Kind::BFloat16,
    }
}

impl Network {
    /// With its weights in a precision. In 16 bits they, and what passes through the network, have their channels together in
    /// memory (PyTorch's `channels_last`), as a GPU's tensor cores want them; a CPU is slower with them than with 32 bits.
    /// What [`run`](Self::run) and [`look`](crate::model::Model::look) return is in f32 as ever.
    ///
    /// Precision that is lost does not come back.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) with the weight that f16 cannot hold.
    pub fn in_precision(mut self, precision: ForwardPrecision) -> Result<Self> {
        let kind = kind(precision);
        if kind == self.variables.kind() {
            return Ok(self);
        }
        let variables = self.variables.variables();
        if precision == ForwardPrecision::F16 {
            for (name, variable) in &variables {
                let most = variable.f_abs()?.f_max()?.f_double_value(&[])?;
                if most > f16::MAX.to_f64() {
                    let message = format!("f16 cannot hold {name}, of up to {most:.3e}; choose bf16 or f32");
                    return Err(Error::argument("precision", message));
                }
            }
        }
        tch::no_grad(|| {
            self.variables.set_kind(kind);
            for mut weight in variables.into_values().filter(|weight| weight.dim() == 4) {
                let laid_out = if kind == Kind::Float { weight.contiguous() } else { channels_together(&weight)? };
                weight.set_data(&laid_out);
            }
            Ok(self)
        })
    }

    /// Photos `[N, 3, H, W]`, as [`Preprocess::apply`] prepares them, as a tensor on the network's device and in its precision; in
    /// memory a pixel's channels stand together (PyTorch's `channels_last`) where the network is faster so.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if their patch attention would take over 4 GiB,
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch fails.
    pub fn input(&self, batch: &ArrayView4<f32>) -> Result<Tensor> {
        self.config.check_patch_memory([batch.shape()[0], batch.shape()[2], batch.shape()[3]])?;
        self.laid_out(&to_tensor(batch.view())?.f_to_device(self.device())?)
    }

    /// Pictures of one size, as [`Preprocess::resample`] makes them, likewise, normalised as the configuration says.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if they are of several sizes, or there are none; else as [`input`](Self::input).
    pub fn pictures(&self, pictures: &[&Resampled]) -> Result<Tensor> {
        self.config.check_patch_memory(Resampled::shape_of(pictures)?)?;
        self.laid_out(&normalised(pictures, &self.preprocess, self.device())?)
    }

    /// The input in the precision and the layout in which the network is fastest.
    pub(super) fn laid_out(&self, input: &Tensor) -> Result<Tensor> {
        let kind = self.variables.kind();
        let input = input.f_to_kind(kind)?;
        match kind {
            Kind::Float => Ok(input.f_contiguous()?),
            _ => channels_together(&input),
        }
    }
}

/// `[N, C, H, W]` with `[N, H, W, C]` in memory.
fn channels_together(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?)
}

/// Pictures of one size as an f32 tensor `[N, 3, H, W]` on a device, a pixel's channels together in memory.
///
/// # Errors
/// [`ErrorKind::Input`](crate::ErrorKind::Input) if they are of several sizes or none, [`ErrorKind::Torch`](crate::ErrorKind::Torch) if
/// libtorch fails.
pub(crate) fn normalised(pictures: &[&Resampled], preprocess: &Preprocess, device: Device) -> Result<Tensor> {
    let [count, height, width] = Resampled::shape_of(pictures)?;
    let bytes: Option<Vec<&[u8]>> = pictures.iter().map(|picture| picture.eight_bits()).collect();
    if let (Some(bytes), true) = (bytes, device.is_cuda() && preprocess.channels.is_rgb()) {
        let shape = [count, height, width, 3].map(|side| side as i64);
        let moments = Moments::of(preprocess, device)?;
        // A quarter of the bytes, from memory that the GPU fetches by itself while this thread goes on.
        let pixels = Tensor::f_from_slice(&bytes.concat())?.f_view(shape)?.f_internal_pin_memory(device)?;
        return moments.normalise(&pixels.f_to_device_(device, Kind::Uint8, true, false)?);
    }
    let fill = |picture: usize, values: &mut [f32]| preprocess.normalise(pictures[picture], values);
    let of_picture = height * width * 3;
    let pixels = filled(&[count, height, width, 3].map(|side| side as i64), |values| {
        for picture in 0..count {
            fill(picture, &mut values[picture * of_picture..(picture + 1) * of_picture])?;
        }
        Ok(())
    })?;
    Ok(pixels.f_permute([0, 3, 1, 2])?.f_to_device(device)?)
}

/// What a device normalises with.
struct Moments {
    mean: Tensor, // [3]
    std: Tensor,  // [3]
}

impl Moments {
    fn of(preprocess: &Preprocess, device: Device) -> Result<Self> {
        let there = |values: &[f32; 3]| -> Result<_> { Ok(Tensor::f_from_slice(values)?.f_to_device(device)?) };
        Ok(Self { mean: there(&preprocess.mean)?, std: there(&preprocess.std)? })
    }

    /// Pictures of 8 bits, `[N, H, W, 3]`, where they are, to `[N, 3, H, W]`.
    fn normalise(&self, pixels: &Tensor) -> Result<Tensor> {
        Ok(pixels.f_to_kind(Kind::Float)?.f_sub_(&self.mean)?.f_div_(&self.std)?.f_permute([0, 3, 1, 2])?)
    }
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, RgbImage};

    use super::*;
    use crate::photo::Photo;

    fn resampled(preprocess: &Preprocess, width: u32, height: u32) -> Resampled {
        let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([(3 * x) as u8, (5 * y) as u8, (x * y) as u8]));
        preprocess.resample(&Photo::from(DynamicImage::ImageRgb8(image))).unwrap()
    }

    #[test]
    fn a_device_normalises_to_the_same_numbers() {
        let preprocess = Preprocess { short_side: 32, ..Preprocess::imagenet() };
        let pictures = [resampled(&preprocess, 70, 50), resampled(&preprocess, 90, 64)];
        let pictures: Vec<_> = pictures.iter().collect();
        let here = normalised(&pictures, &preprocess, Device::Cpu).unwrap();
        let shape = Resampled::shape_of(&pictures).unwrap().map(|side| side as i64);
        assert_eq!(here.size(), [2, 3, shape[1], shape[2]]);
        let bytes: Vec<_> = pictures.iter().map(|picture| picture.eight_bits().unwrap()).collect();
        let pixels = Tensor::from_slice(&bytes.concat()).view([shape[0], shape[1], shape[2], 3]);
        let there = Moments::of(&preprocess, Device::Cpu).unwrap().normalise(&pixels).unwrap();
        assert!(here.equal(&there) && here.std(false).double_value(&[]) > 0.1);
        assert_eq!(here.stride(), there.stride());
    }

    #[test]
    fn pictures_of_several_sizes_or_none_are_refused() {
        let preprocess = Preprocess::default();
        let [wide, high] = [resampled(&preprocess, 90, 60), resampled(&preprocess, 60, 90)];
        let refused = |pictures: &[&Resampled]| normalised(pictures, &preprocess, Device::Cpu).unwrap_err().to_string();
        assert!(refused(&[&wide, &high]).contains(" and ") && refused(&[]).contains("none"));
    }
}
