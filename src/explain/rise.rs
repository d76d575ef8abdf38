//! RISE (Petsiuk et al. 2018): the class's mean probability where random masks let a place through.
//!
//! A mask is a coarse grid of noughts and ones, ones with chance ½, enlarged (bilinear) by a whole number of pixels a
//! cell and shifted at random by less than a cell; the short side of the picture has 7 cells. With `M_i` the masks and
//! `f` the class's probability, the map is `Σ_i f(I ⊙ M_i) M_i / Σ_i M_i` at each pixel: the paper's, with the mean of the
//! masks that were drawn in the stead of its expectation. No place is 0 in it; what matters is where it is higher.

use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::base::to_array;
use super::variants::{GoOn, Subject};
use crate::Result;

/// Cells along the short side.
const CELLS: i64 = 7;
/// The chance that a cell lets the picture through.
const KEEP: f64 = 0.5;
/// Keeps a place that no mask lets through from dividing by 0.
const EPSILON: f64 = 1e-6;

/// The map, `[H, W]`, as large as the network's input. The masks are the same whatever the size of a batch.
pub(super) fn map(subject: &Subject<'_>, go_on: &mut GoOn<'_>) -> Result<Array2<f32>> {
    let sides = subject.sides()?;
    let mut random = ChaCha8Rng::seed_from_u64(subject.options.seed);
    let like = (Kind::Float, subject.pixels.device());
    let mut passed = Tensor::f_zeros([1, 1, sides[0], sides[1]], like)?;
    let mut weighed = passed.f_zeros_like()?;
    subject.in_batches(subject.options.masks, go_on, |batch| {
        let masks = batch.map(|_| mask(&mut random, sides)).collect::<Result<Vec<_>>>()?;
        let masks = Tensor::f_cat(&masks, 0)?.f_to_device(like.1)?; // [n, 1, H, W]
        let probabilities = subject.probabilities(&masks.f_mul(subject.pixels)?)?;
        let probabilities = Tensor::from_slice(&probabilities).f_to_device(like.1)?.f_view([-1, 1, 1, 1])?;
        let sum = |values: &Tensor| values.f_sum_dim_intlist([0i64].as_slice(), true, Kind::Float);
        passed += sum(&masks)?;
        weighed += sum(&(masks * probabilities))?;
        Ok(())
    })?;
    to_array(&(weighed / passed.f_clamp_min(EPSILON)?).f_squeeze_dim(1)?)
}

/// One mask, `[1, 1, H, W]`, on the host.
fn mask(random: &mut ChaCha8Rng, [height, width]: [i64; 2]) -> Result<Tensor> {
    let div_ceil = |a: i64, b: i64| (a + b - 1) / b;
    let cell = div_ceil(height.min(width), CELLS);
    let [rows, columns] = [height, width].map(|side| div_ceil(side, cell));
    let grid: Vec<f32> = (0..rows * columns).map(|_| f32::from(u8::from(random.random_bool(KEEP)))).collect();
    let (down, across) = (random.random_range(0..cell), random.random_range(0..cell));
    let grid = Tensor::from_slice(&grid).f_view([1, 1, rows, columns])?;
    let large = grid.f_upsample_bilinear2d([(rows + 1) * cell, (columns + 1) * cell], false, None, None)?;
    Ok(large.f_narrow(2, down, height)?.f_narrow(3, across, width)?)
}
