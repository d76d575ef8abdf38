//! Resampling of a grid of numbers.

use std::{fmt, str::FromStr};

use fast_image_resize::{
    FilterType, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::F32,
};
use ndarray::Array2;

use crate::{Error, Result, photo::ImageSize};

/// How a map is brought to another grid.
///
/// Pixel centres are aligned (as in Pillow, and in `OpenCV` and `PyTorch` with `align_corners=False`). When a map
/// shrinks, bilinear and bicubic average over the cells that fall together, as Pillow does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Resample {
    /// The nearest cell: shows the native grid.
    Nearest,
    /// Linear between cell centres.
    #[default]
    Bilinear,
    /// Catmull-Rom (`a = -1/2`); smoother, clamped to the map's range.
    Bicubic,
}

impl Resample {
    const NAMES: [(Self, &'static str); 3] =
        [(Self::Nearest, "nearest"), (Self::Bilinear, "bilinear"), (Self::Bicubic, "bicubic")];
}

impl fmt::Display for Resample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize].1)
    }
}

impl FromStr for Resample {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::NAMES
            .into_iter()
            .find(|(_, name)| *name == text)
            .map(|(resample, _)| resample)
            .ok_or_else(|| Error::argument("resample", format!("{text:?} is not one of nearest, bilinear, bicubic")))
    }
}

/// `values` on a grid of `size`.
pub(super) fn resample(values: &Array2<f32>, size: ImageSize, resample: Resample) -> Result<Array2<f32>> {
    let refuse = |message: String| Error::argument("map size", message);
    if size.pixels() == 0 || values.is_empty() {
        return Err(refuse(format!("cannot resample {}x{} to {size}", values.ncols(), values.nrows())));
    }
    let algorithm = match resample {
        Resample::Nearest => ResizeAlg::Nearest,
        Resample::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        Resample::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
    };
    let pixels: Vec<F32> = values.iter().copied().map(F32::new).collect();
    let source = TypedImageRef::new(values.ncols() as u32, values.nrows() as u32, &pixels)
        .map_err(|error| refuse(error.to_string()))?;
    let mut target = TypedImage::<F32>::new(size.width, size.height);
    Resizer::new()
        .resize_typed(&source, &mut target, &ResizeOptions::new().resize_alg(algorithm).use_alpha(false))
        .map_err(|error| refuse(error.to_string()))?;
    let out = target.pixels().iter().map(|pixel| pixel.0).collect();
    Array2::from_shape_vec((size.height as usize, size.width as usize), out).map_err(|error| refuse(error.to_string()))
}
