//! Score-CAM (Wang et al. 2020): a channel weighs by the score of the picture seen through it.
//!
//! Each channel `A_k` is enlarged to the picture, scaled to [0, 1] and multiplied with it; `w` is the softmax over
//! channels of the class's scores before their softmax, and the map is `ReLU(Σ_k w_k A_k)`.

use ndarray::{Array2, ArrayView2, ArrayView3};
use rayon::prelude::*;

use super::base::weighted;
use super::variants::{GoOn, Subject, enlarged, taps};
use crate::Result;

/// Keeps the range of a constant channel from 0, as in pytorch-grad-cam.
const EPSILON: f32 = 1e-8;

/// `features` are `[C, h, w]`; the map is `[h, w]`.
pub(super) fn map(subject: &Subject<'_>, features: ArrayView3<'_, f32>, go_on: &mut GoOn<'_>) -> Result<Array2<f32>> {
    let (channels, rows, columns) = features.dim();
    let [height, width] = subject.sides();
    let (rows, columns) = (taps(rows, height, true), taps(columns, width, true));
    let mask = |channel: ArrayView2<'_, f32>| {
        let large = enlarged(channel, &rows, &columns);
        let low = large.iter().copied().fold(f32::INFINITY, f32::min);
        let high = large.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        large.mapv_into(|value| (value - low) / (high - low + EPSILON))
    };
    let mut scores = Vec::with_capacity(channels);
    subject.in_batches(channels, go_on, |batch| {
        let masks: Vec<_> = batch.into_par_iter().map(|k| mask(features.index_axis(ndarray::Axis(0), k))).collect();
        let numbers = subject.network.logits(subject.through(&masks).view())?;
        scores.extend(subject.scores(numbers.view())?);
        Ok(())
    })?;
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = scores.iter().map(|score| f64::from(score - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    let weights: Vec<f64> = powers.iter().map(|power| power / sum).collect();
    Ok(weighted(&weights, features))
}
