//! RISE (Petsiuk et al. 2018): the class's mean probability where random masks let a place through.
//!
//! A mask is a coarse grid of noughts and ones, ones with chance ½, enlarged (bilinear) by a whole number of pixels a
//! cell and shifted at random by less than a cell; the short side of the picture has 7 cells. With `M_i` the masks and
//! `f` the class's probability, the map is `Σ_i f(I ⊙ M_i) M_i / Σ_i M_i` at each pixel: the paper's, with the mean of the
//! masks that were drawn in the stead of its expectation. No place is 0 in it; what matters is where it is higher.

use ndarray::{Array2, Zip};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::variants::{GoOn, Subject, enlarged, taps};
use crate::Result;

/// Cells along the short side.
const CELLS: usize = 7;
/// The chance that a cell lets the picture through.
const KEEP: f64 = 0.5;
/// Keeps a place that no mask lets through from dividing by 0.
const EPSILON: f32 = 1e-6;

/// The map, `[H, W]`, as large as the network's input. The masks are the same whatever the size of a batch.
pub(super) fn map(subject: &Subject<'_>, go_on: &mut GoOn<'_>) -> Result<Array2<f32>> {
    let [height, width] = subject.sides();
    let mut random = ChaCha8Rng::seed_from_u64(subject.options.seed);
    let mut passed = Array2::<f32>::zeros((height, width));
    let mut weighed = Array2::<f32>::zeros((height, width));
    subject.in_batches(subject.options.masks, go_on, |batch| {
        let drawn: Vec<_> = batch.map(|_| Mask::draw(&mut random, height, width)).collect();
        let masks: Vec<_> = drawn.par_iter().map(|mask| mask.enlarged(height, width)).collect();
        for (mask, probability) in masks.iter().zip(subject.probabilities(subject.through(&masks).view())?) {
            Zip::from(&mut passed).and(&mut weighed).and(mask).for_each(|passed, weighed, &value| {
                *passed += value;
                *weighed += value * probability;
            });
        }
        Ok(())
    })?;
    Ok(weighed / passed.mapv_into(|passed| passed.max(EPSILON)))
}

/// A grid of noughts and ones, and how far it is shifted.
struct Mask {
    grid: Array2<f32>,
    /// The side of a cell, in pixels.
    cell: usize,
    down: usize,
    across: usize,
}

impl Mask {
    fn draw(random: &mut ChaCha8Rng, height: usize, width: usize) -> Self {
        let cell = height.min(width).div_ceil(CELLS);
        let sides = (height.div_ceil(cell), width.div_ceil(cell));
        let grid = Array2::from_shape_simple_fn(sides, || f32::from(u8::from(random.random_bool(KEEP))));
        let mut shift = || random.random_range(0..cell as i64) as usize;
        let (down, across) = (shift(), shift());
        Self { grid, cell, down, across }
    }

    /// As large as the picture.
    fn enlarged(&self, height: usize, width: usize) -> Array2<f32> {
        let part = |cells: usize, from: usize, side: usize| {
            let all = taps(cells, (cells + 1) * self.cell, false);
            all[from..from + side].to_vec()
        };
        let (rows, columns) = self.grid.dim();
        enlarged(self.grid.view(), &part(rows, self.down, height), &part(columns, self.across, width))
    }
}
