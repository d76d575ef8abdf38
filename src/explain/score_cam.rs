//! Score-CAM (Wang et al. 2020): a channel weighs by the score of the picture seen through it.
//!
//! Each channel `A_k` is enlarged to the picture, scaled to [0, 1] and multiplied with it; `w` is the softmax over
//! channels of the class's scores before their softmax, and the map is `ReLU(Σ_k w_k A_k)`.

use tch::{Kind, Tensor};

use super::base::{shape, weighted};
use super::variants::{GoOn, Subject};
use crate::Result;

/// Keeps the range of a constant channel from 0, as in pytorch-grad-cam.
const EPSILON: f64 = 1e-8;

/// `features` are `[1, C, h, w]`; the map is `[1, h, w]`.
pub(super) fn map(subject: &Subject<'_>, features: &Tensor, go_on: &mut GoOn<'_>) -> Result<Tensor> {
    let [_, channels, ..] = shape(features)?;
    let mut scores = Vec::with_capacity(channels as usize);
    subject.in_batches(channels as usize, go_on, |batch| {
        let some = features.f_narrow(1, batch.start as i64, batch.len() as i64)?.f_to_kind(Kind::Float)?;
        let large = some.f_upsample_bilinear2d(subject.sides()?, true, None, None)?; // [1, n, H, W]
        let low = large.f_amin([2i64, 3].as_slice(), true)?;
        let high = large.f_amax([2i64, 3].as_slice(), true)?;
        let masks = (large - &low) / (high - low + EPSILON);
        let seen = masks.f_transpose(0, 1)?.f_mul(subject.pixels)?; // [n, 3, H, W]
        scores.extend(subject.scores(&(subject.classify)(&seen)?)?);
        Ok(())
    })?;
    let weights = Tensor::from_slice(&scores).f_softmax(0, Kind::Float)?.f_to_device(features.device())?;
    weighted(&weights.f_view([1, -1, 1, 1])?, features)
}
