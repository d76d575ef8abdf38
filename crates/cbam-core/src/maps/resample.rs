//! Resampling of a grid of numbers: separable, and so a few rows at a time, into whatever they are needed for next.
// What is not inlined into a dispatched task loses that task's instructions.
#![allow(clippy::inline_always)]

use std::iter::zip;

use ndarray::{Array2, ArrayView1};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::simd::dispatch;
use crate::text::named;
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

named! { Resample as "resample"; Nearest => "nearest", Bilinear => "bilinear", Bicubic => "bicubic" }

type Kernel = fn(f64) -> f64;

impl Resample {
    /// How much a cell counts by how far away it lies, and from which distance on it counts nothing; `None` where only the nearest does.
    fn kernel(self) -> Option<(Kernel, f64)> {
        match self {
            Self::Nearest => None,
            Self::Bilinear => Some((|x| (1.0 - x.abs()).max(0.0), 1.0)),
            Self::Bicubic => Some((
                |x| match x.abs() {
                    x if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
                    x if x < 2.0 => ((2.5 - 0.5 * x) * x - 4.0) * x + 2.0,
                    _ => 0.0,
                },
                2.0,
            )),
        }
    }
}

/// `values` on a grid of `size`, none of them under 0.
pub(super) fn resample(values: &Array2<f32>, size: ImageSize, resample: Resample) -> Result<Array2<f32>> {
    Rows::new(values, size, resample, f32::MAX)?.all()
}

/// What each new cell along one axis takes of the old ones.
#[derive(Debug)]
struct Taps {
    /// The first old cell that counts.
    firsts: Vec<usize>,
    /// How much it and those after it count, `count` of them; together 1.
    weights: Vec<f32>,
    count: usize,
}

impl Taps {
    /// From `old` cells to `new` ones, none of them 0.
    fn new(old: usize, new: usize, resample: Resample) -> Self {
        let Some((kernel, reach)) = resample.kernel() else {
            let firsts = (0..new).map(|cell| (2 * cell + 1) * old / (2 * new)).collect();
            return Self { firsts, weights: vec![1.0; new], count: 1 };
        };
        let scale = old as f64 / new as f64;
        let stretch = scale.max(1.0); // a kernel of fewer cells than fall together would leave some out
        let count = old.min((2.0 * reach * stretch).ceil() as usize);
        let (mut firsts, mut weights) = (Vec::with_capacity(new), Vec::with_capacity(new * count));
        for cell in 0..new {
            let centre = (cell as f64 + 0.5) * scale;
            let first = ((centre - reach * stretch + 0.5) as usize).min(old - count);
            let counts = (first..first + count).map(|old| kernel((old as f64 + 0.5 - centre) / stretch) as f32);
            let own = weights.len();
            weights.extend(counts);
            let sum: f32 = weights[own..].iter().sum();
            weights[own..].iter_mut().for_each(|weight| *weight /= sum);
            firsts.push(first);
        }
        Self { firsts, weights, count }
    }

    /// The first old cell that counts for a new one, and the others with how much they do. A value is that of the first plus so
    /// much of the way to each other's: where all are the same it is that, to the last bit.
    #[inline(always)]
    fn of(&self, cell: usize) -> (usize, impl Iterator<Item = (usize, f32)>) {
        let first = self.firsts[cell];
        let weights = &self.weights[cell * self.count..][1..self.count];
        (first, zip(first + 1.., weights.iter().copied()))
    }
}

/// A map on another grid, made a piece of a row at a time: a large picture's is never held as a whole.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The map with as many columns as wanted, and its own rows, one after the other.
    wide: Vec<f32>,
    width: usize,
    vertical: Taps,
    /// The greatest value that may come.
    top: f32,
}

impl Rows {
    /// Of `values`, on a grid of `size`, clamped to 0 and `top`: a cubic overshoots at edges, and any sum is rounded.
    pub(super) fn new(values: &Array2<f32>, size: ImageSize, resample: Resample, top: f32) -> Result<Self> {
        let (height, old_width) = values.dim();
        if size.pixels() == 0 || values.is_empty() {
            return Err(Error::argument("map size", format!("cannot resample {old_width}x{height} to {size}")));
        }
        let columns = Taps::new(old_width, size.width as usize, resample);
        let widened = |row: ArrayView1<f32>, column| {
            let (first, others) = columns.of(column);
            let first = row[first];
            first + others.map(|(cell, weight)| (row[cell] - first) * weight).sum::<f32>()
        };
        let width = size.width as usize;
        let wide =
            values.rows().into_iter().flat_map(|row| (0..width).map(move |column| widened(row, column))).collect();
        Ok(Self { wide, width, vertical: Taps::new(height, size.height as usize, resample), top })
    }

    /// The values of a row from a column on, as many as `out` has.
    #[inline(always)]
    pub(crate) fn fill(&self, row: usize, column: usize, out: &mut [f32]) {
        let (first, others) = self.vertical.of(row);
        let first = &self.wide[first * self.width + column..][..out.len()];
        out.copy_from_slice(first);
        for (cell, weight) in others {
            let values = &self.wide[cell * self.width + column..];
            for ((out, value), first) in zip(zip(&mut *out, values), first) {
                *out += (value - first) * weight;
            }
        }
        for out in out {
            *out = out.clamp(0.0, self.top);
        }
    }

    /// All of it.
    pub(super) fn all(&self) -> Result<Array2<f32>> {
        /// About how many values one task makes.
        const TASK: usize = 1 << 16;
        let (height, width) = (self.vertical.firsts.len(), self.width);
        let rows = (TASK / width).max(1);
        let mut all = vec![0.0; height * width];
        all.par_chunks_mut(rows * width).enumerate().for_each(|(task, out)| {
            dispatch(Fill { rows: self, first: task * rows, out });
        });
        Array2::from_shape_vec((height, width), all).map_err(Error::internal)
    }
}

/// Some whole rows, for all the SIMD that the machine has.
struct Fill<'a> {
    rows: &'a Rows,
    first: usize,
    out: &'a mut [f32],
}

impl WithSimd for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (row, out) in self.out.chunks_exact_mut(self.rows.width).enumerate() {
            self.rows.fill(self.first + row, 0, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use fast_image_resize::images::{TypedImage, TypedImageRef};
    use fast_image_resize::pixels::F32;
    use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
    use proptest::prelude::*;

    use super::*;

    /// What the library says.
    fn reference(values: &Array2<f32>, size: ImageSize, resample: Resample) -> Vec<f32> {
        let pixels: Vec<_> = values.iter().copied().map(F32::new).collect();
        let map = TypedImageRef::new(values.ncols() as u32, values.nrows() as u32, &pixels).unwrap();
        let mut out = TypedImage::new(size.width, size.height);
        let algorithm = match resample {
            Resample::Nearest => ResizeAlg::Nearest, // where two are as near as each other, either
            Resample::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Resample::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        };
        Resizer::new().resize_typed(&map, &mut out, &ResizeOptions::new().resize_alg(algorithm)).unwrap();
        out.pixels().iter().map(|pixel| pixel.0).collect()
    }

    proptest! {
        #[test]
        fn it_is_the_librarys(grid in (1_usize..40, 1_usize..40), width in 1_u32..60, height in 1_u32..60, kind in 0..3_usize) {
            let values = Array2::from_shape_fn(grid, |(y, x)| ((y * 7 + x * 5) % 11) as f32 / 10.0);
            let (size, resample) = (ImageSize::new(width, height), Resample::ALL[kind]);
            let all = Rows::new(&values, size, resample, f32::MAX).unwrap().all().unwrap();
            let between = |old: usize, new: u32, cell: usize| ((2 * cell + 1) * old).is_multiple_of(2 * new as usize);
            for (((y, x), ours), theirs) in zip(all.indexed_iter(), reference(&values, size, resample)) {
                let either = kind == 0 && (between(grid.0, height, y) || between(grid.1, width, x));
                prop_assert!(either || (ours - theirs.max(0.0)).abs() < 1e-5, "{} {}", ours, theirs);
            }
        }

        #[test]
        fn what_is_flat_stays_flat(value in 0.0_f32..2.0, grid in (1_usize..9, 1_usize..9), width in 1_u32..60, height in 1_u32..60) {
            for resample in Resample::ALL {
                let rows = Rows::new(&Array2::from_elem(grid, value), ImageSize::new(width, height), resample, f32::MAX).unwrap();
                prop_assert!(rows.all().unwrap().iter().all(|out| *out == value));
            }
        }

        #[test]
        fn a_part_is_as_the_whole(grid in (1_usize..12, 1_usize..12), column in 0..40_usize, row in 0..30_usize, kind in 0..3_usize) {
            let values = Array2::from_shape_fn(grid, |(y, x)| ((y * 7 + x * 5) % 11) as f32 / 10.0);
            let rows = Rows::new(&values, ImageSize::new(50, 30), Resample::ALL[kind], 0.9).unwrap();
            let mut part = [9.0; 10];
            rows.fill(row, column, &mut part);
            let whole = rows.all().unwrap();
            prop_assert!(zip(part, whole.row(row).iter().skip(column)).all(|(part, whole)| part == *whole && part <= 0.9));
        }
    }
}
