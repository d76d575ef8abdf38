//! What the methods that look at features have in common: sums over channels and over positions.

use std::iter::zip;

use ndarray::{Array2, ArrayView3, Zip};

use crate::Error;

/// `Σ_k weights_k A_k`, where it is over 0: a weight for each channel of features `[C, h, w]`, to `[h, w]`.
pub(super) fn weighted(weights: &[f64], features: ArrayView3<'_, f32>) -> Array2<f32> {
    let (_, height, width) = features.dim();
    let mut sums = Array2::<f64>::zeros((height, width));
    for (&weight, channel) in zip(weights, features.outer_iter()) {
        Zip::from(&mut sums).and(channel).for_each(|sum, &value| *sum += weight * f64::from(value));
    }
    over_zero(sums)
}

/// The sum over channels of what `value` makes of a feature and its gradient, where it is over 0: both `[C, h, w]`, to `[h, w]`.
pub(super) fn over_channels(
    features: ArrayView3<'_, f32>,
    gradient: ArrayView3<'_, f32>,
    value: impl Fn(f64, f64) -> f64,
) -> Array2<f32> {
    let (_, height, width) = features.dim();
    let mut sums = Array2::<f64>::zeros((height, width));
    for (channel, slope) in zip(features.outer_iter(), gradient.outer_iter()) {
        Zip::from(&mut sums)
            .and(channel)
            .and(slope)
            .for_each(|sum, &feature, &slope| *sum += value(f64::from(feature), f64::from(slope)));
    }
    over_zero(sums)
}

/// For each channel the sum over positions of what `value` makes of a feature and its gradient.
pub(super) fn over_positions(
    features: ArrayView3<'_, f32>,
    gradient: ArrayView3<'_, f32>,
    value: impl Fn(usize, f64, f64) -> f64,
) -> Vec<f64> {
    let channels = zip(features.outer_iter(), gradient.outer_iter()).enumerate();
    let sum = |(channel, (features, slopes)): (usize, (ndarray::ArrayView2<'_, f32>, ndarray::ArrayView2<'_, f32>))| {
        zip(features, slopes).map(|(&feature, &slope)| value(channel, f64::from(feature), f64::from(slope))).sum()
    };
    channels.map(sum).collect()
}

fn over_zero(sums: Array2<f64>) -> Array2<f32> {
    // What is not a number stays so, and is an error in the end.
    sums.mapv(|sum| if sum < 0.0 { 0.0 } else { sum as f32 })
}

pub(super) fn wrong(expected: &str, got: &[usize]) -> Error {
    Error::Input { layer: "explain", expected: expected.to_owned(), got: format!("{got:?}") }
}
