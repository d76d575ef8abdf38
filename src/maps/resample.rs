//! Resampling of a grid of numbers.

use std::{fmt, ops::Range, str::FromStr};

use fast_image_resize::{
    FilterType, ImageView, ResizeAlg, ResizeOptions, Resizer,
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
    fn algorithm(self) -> ResizeAlg {
        match self {
            Self::Nearest => ResizeAlg::Nearest,
            Self::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Self::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        }
    }

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
    Rows::new(values, size, resample, None)?.all()
}

/// A map on another grid, made a few rows at a time: a large picture's is never held as a whole.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The map with as many columns as wanted, and its own rows.
    wide: TypedImage<'static, F32>,
    size: ImageSize,
    resample: Resample,
    /// The greatest value that may come.
    top: Option<f32>,
}

impl Rows {
    /// Of `values`, on a grid of `size`, clamped to 0 and `top` if there is one.
    pub(super) fn new(values: &Array2<f32>, size: ImageSize, resample: Resample, top: Option<f32>) -> Result<Self> {
        let (columns, rows) = (values.ncols() as u32, values.nrows() as u32);
        if size.pixels() == 0 || values.is_empty() {
            return Err(refusal(format!("cannot resample {columns}x{rows} to {size}")));
        }
        let pixels: Vec<F32> = values.iter().copied().map(F32::new).collect();
        let map = TypedImageRef::new(columns, rows, &pixels).map_err(refusal)?;
        let mut wide = TypedImage::new(size.width, rows);
        let options = ResizeOptions::new().resize_alg(resample.algorithm()).use_alpha(false);
        Resizer::new().resize_typed(&map, &mut wide, &options).map_err(refusal)?;
        Ok(Self { wide, size, resample, top })
    }

    /// The rows `range`, one after the other. `room` is overwritten.
    pub(crate) fn get<'r>(&self, range: Range<u32>, room: &'r mut Vec<F32>) -> Result<&'r [F32]> {
        let count = range.end - range.start;
        let width = self.size.width as usize;
        room.resize(width * count as usize, F32::new(0.0));
        if self.resample == Resample::Nearest {
            // In whole numbers, so that it does not matter which rows are asked for.
            let cells = u64::from(self.wide.height());
            for (row, out) in range.zip(room.chunks_exact_mut(width)) {
                let cell = (2 * u64::from(row) + 1) * cells / (2 * u64::from(self.size.height));
                out.copy_from_slice(&self.wide.pixels()[cell as usize * width..][..width]);
            }
            return Ok(room);
        }
        let mut out = TypedImage::from_pixels_slice(self.size.width, count, room).map_err(refusal)?;
        let scale = f64::from(self.wide.height()) / f64::from(self.size.height);
        let top = f64::from(range.start) * scale;
        let mut height = f64::from(range.end) * scale - top;
        while top + height > f64::from(self.wide.height()) {
            height = height.next_down(); // the sum is rounded
        }
        let options = ResizeOptions::new().resize_alg(self.resample.algorithm()).use_alpha(false).crop(
            0.0,
            top,
            f64::from(self.size.width),
            height,
        );
        Resizer::new().resize_typed(&self.wide, &mut out, &options).map_err(refusal)?;
        if let Some(top) = self.top {
            for value in room.iter_mut() {
                value.0 = value.0.clamp(0.0, top);
            }
        }
        Ok(room)
    }

    /// All of it.
    pub(super) fn all(&self) -> Result<Array2<f32>> {
        let mut room = Vec::new();
        let values = self.get(0..self.size.height, &mut room)?.iter().map(|value| value.0).collect();
        Array2::from_shape_vec((self.size.height as usize, self.size.width as usize), values).map_err(refusal)
    }
}

fn refusal(reason: impl fmt::Display) -> Error {
    Error::argument("map size", reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_do_not_depend_on_how_many_are_taken(
            grid in (1_usize..12, 1_usize..12), width in 1_u32..60, height in 1_u32..60, at_once in 1_u32..20, kind in 0..3_usize,
        ) {
            let values = Array2::from_shape_fn(grid, |(y, x)| ((y * 7 + x * 5) % 11) as f32 / 10.0);
            let size = ImageSize::new(width, height);
            let rows = Rows::new(&values, size, Resample::NAMES[kind].0, Some(1.0)).unwrap();
            let all = rows.all().unwrap();
            for first in (0..height).step_by(at_once as usize) {
                let mut room = vec![F32::new(9.0); 3];
                let part = rows.get(first..(first + at_once).min(height), &mut room).unwrap();
                let same = all.iter().skip((first * width) as usize).zip(part);
                for (whole, part) in same {
                    prop_assert!((whole - part.0).abs() < 1e-6, "{} {}", whole, part.0);
                }
            }
        }
    }
}
