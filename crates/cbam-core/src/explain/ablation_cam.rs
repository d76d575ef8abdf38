//! Ablation-CAM (Desai & Ramaswamy 2020): a channel weighs by what the score loses without it.
//!
//! With `y` the class's score before the softmax and `y_k` the one without channel `k`, `w_k = (y - y_k) / y`, and the map
//! is `ReLU(Σ_k w_k A_k)`. A channel is taken out as in pytorch-grad-cam: it becomes 0 where no feature is below 0, and
//! else far below all features, so that the activation after it lets nothing through.
//!
//! For a class whose score is below 0 the sign of every weight turns, as the formula says.

use ndarray::{Array2, ArrayView3, Axis};

use super::base::weighted;
use super::variants::{GoOn, Subject};
use crate::Result;

/// How far below the least feature a channel falls.
const FAR: f32 = 1e7;

/// `features` are those of `place`, `[C, h, w]`; the map is `[h, w]`.
pub(super) fn map(
    subject: &Subject<'_>,
    place: &str,
    features: ArrayView3<'_, f32>,
    go_on: &mut GoOn<'_>,
) -> Result<Array2<f32>> {
    let (channels, rows, columns) = features.dim();
    let least = features.iter().copied().fold(f32::INFINITY, f32::min);
    let without = if least == 0.0 { 0.0 } else { least - FAR };
    let of = |features: ndarray::ArrayView4<'_, f32>| {
        let numbers = subject.network.logits_from(place, features)?;
        subject.scores(numbers.view())
    };
    let whole = of(features.insert_axis(Axis(0)))?.first().copied().unwrap_or_default();
    let whole = if whole == 0.0 { f32::MIN_POSITIVE } else { whole };
    let mut weights = Vec::with_capacity(channels);
    subject.in_batches(channels, go_on, |batch| {
        let mut ablated = features
            .broadcast((batch.len(), channels, rows, columns))
            .map_or_else(|| ndarray::Array4::zeros((0, channels, rows, columns)), |copies| copies.to_owned());
        for (mut copy, channel) in ablated.outer_iter_mut().zip(batch) {
            copy.index_axis_mut(Axis(0), channel).fill(without);
        }
        weights.extend(of(ablated.view())?.into_iter().map(|score| f64::from((whole - score) / whole)));
        Ok(())
    })?;
    Ok(weighted(&weights, features))
}
