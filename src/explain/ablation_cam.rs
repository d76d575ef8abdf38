//! Ablation-CAM (Desai & Ramaswamy 2020): a channel weighs by what the score loses without it.
//!
//! With `y` the class's score before the softmax and `y_k` the one without channel `k`, `w_k = (y - y_k) / y`, and the map
//! is `ReLU(Σ_k w_k A_k)`. A channel is taken out as in pytorch-grad-cam: it becomes 0 where no feature is below 0, and
//! else far below all features, so that the activation after it lets nothing through.
//!
//! For a class whose score is below 0 the sign of every weight turns, as the formula says.

use half::f16;
use tch::{Kind, Tensor};

use super::base::{shape, weighted};
use super::variants::{GoOn, Subject};
use crate::Result;

/// How far below the least feature a channel falls.
const FAR: f64 = 1e7;

/// `features` are `[1, C, h, w]`, and `rest` takes them, or several of their kind, to class scores; the map is
/// `[1, h, w]`.
pub(super) fn map(
    subject: &Subject<'_>,
    features: &Tensor,
    rest: &dyn Fn(&Tensor) -> Result<Tensor>,
    go_on: &mut GoOn<'_>,
) -> Result<Tensor> {
    let [_, channels, ..] = shape(features)?;
    let least = features.f_min()?.f_double_value(&[])?;
    let without = match (least, features.kind()) {
        (0.0, _) => 0.0,
        (_, Kind::Half) => f16::MIN.to_f64(), // FAR is beyond it
        _ => least - FAR,
    };
    let whole = tch::no_grad(|| subject.scores(&rest(features)?))?[0];
    let whole = if whole == 0.0 { f32::MIN_POSITIVE } else { whole };
    let mut weights = Vec::with_capacity(channels as usize);
    subject.in_batches(channels as usize, go_on, |batch| {
        let ablated = features.f_repeat([batch.len() as i64, 1, 1, 1])?;
        for (copy, channel) in batch.enumerate() {
            let _ = ablated.f_select(0, copy as i64)?.f_select(0, channel as i64)?.f_fill_(without)?;
        }
        let scores = subject.scores(&rest(&ablated)?)?;
        weights.extend(scores.into_iter().map(|score| (whole - score) / whole));
        Ok(())
    })?;
    let weights = Tensor::from_slice(&weights).f_to_kind(Kind::Float)?.f_to_device(features.device())?;
    weighted(&weights.f_view([1, -1, 1, 1])?, features)
}
