//! Features to be looked at, channel by channel.

use std::iter::zip;

use ndarray::{Array1, Array3, ArrayView3, Axis, s};
use serde::{Deserialize, Serialize};

/// The most cells that a channel is kept with.
const MOST_CELLS: usize = 600;
/// The steps between a channel's least and greatest value.
const STEPS: f32 = 255.0;

/// The features of one picture at a place, in 8 bits for each cell and channel: enough to be looked at.
///
/// Of more than 600 cells the mean of squares of cells is kept, the least squares that leave no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureMaps {
    /// The least value of each channel, `[C]`; its code is 0.
    pub lows: Array1<f32>,
    /// The greatest value of each channel, `[C]`; its code is 255.
    pub highs: Array1<f32>,
    /// The codes, `[C, h, w]`.
    pub codes: Array3<u8>,
}

impl FeatureMaps {
    /// Of features `[C, h, w]`; what is no number counts as the channel's least.
    pub fn of(features: ArrayView3<'_, f32>) -> Self {
        let pooled = pooled(features);
        let channels = pooled.len_of(Axis(0));
        let (mut lows, mut highs) = (Array1::zeros(channels), Array1::zeros(channels));
        let mut codes = Array3::zeros(pooled.dim());
        for (channel, (values, mut codes)) in zip(pooled.outer_iter(), codes.outer_iter_mut()).enumerate() {
            let finite = || values.iter().copied().filter(|value| value.is_finite());
            let (low, high) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
            let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
            let step = if high > low { STEPS / (high - low) } else { 0.0 };
            codes.zip_mut_with(&values, |code, value| *code = ((value - low) * step + 0.5) as u8);
            (lows[channel], highs[channel]) = (low, high);
        }
        Self { lows, highs, codes }
    }
}

/// The means over squares of cells, if there are too many of these.
fn pooled(features: ArrayView3<'_, f32>) -> Array3<f32> {
    let (channels, rows, columns) = features.dim();
    let fits = |side: &usize| rows.div_ceil(*side) * columns.div_ceil(*side) <= MOST_CELLS;
    let side = (1..=rows.max(columns)).find(fits).unwrap_or(1);
    if side == 1 {
        return features.to_owned();
    }
    let cell = |(channel, row, column): (usize, usize, usize)| {
        let part = |at: usize, of: usize| at * side..((at + 1) * side).min(of);
        features.slice(s![channel, part(row, rows), part(column, columns)]).mean().unwrap_or_default()
    };
    Array3::from_shape_fn((channels, rows.div_ceil(side), columns.div_ceil(side)), cell)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, array};

    use super::*;

    #[test]
    fn each_channel_spans_its_own_values() {
        let features = array![[[-1.0, 0.0], [0.5, 1.0]], [[3.0, 3.0], [3.0, f32::NAN]]];
        let kept = FeatureMaps::of(features.view());
        assert_eq!(kept.codes, array![[[0, 128], [191, 255]], [[0, 0], [0, 0]]]);
        assert_eq!((kept.lows, kept.highs), (array![-1.0, 3.0], array![1.0, 3.0]));
    }

    #[test]
    fn large_grids_become_means_of_squares() {
        let features = Array::from_shape_fn((2, 30, 41), |(channel, row, column)| (channel * row + column) as f32);
        let kept = FeatureMaps::of(features.view());
        assert_eq!(kept.codes.dim(), (2, 15, 21));
        // Columns 0 and 1, and 40 alone.
        assert_eq!((kept.lows[0], kept.highs[0]), (0.5, 40.0));
    }
}
