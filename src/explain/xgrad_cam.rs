//! XGrad-CAM (Fu et al. 2020): channel weights that come as near as they can to saying what the score would lose
//! without the channel.
//!
//! With `A` the features and `g = ∂y/∂A`, channel `k` weighs `w_k = Σ_i g_ki A_ki / Σ_j A_kj`, and the map is
//! `ReLU(Σ_k w_k A_k)`.

use tch::{Kind, Tensor};

use super::base::{Slope, over_positions, weighted};
use crate::Result;

/// Keeps the denominator from 0, as in pytorch-grad-cam.
const EPSILON: f64 = 1e-7;

pub(super) fn map(Slope { features, gradient }: &Slope) -> Result<Tensor> {
    let features = features.f_to_kind(Kind::Float)?;
    let sums = over_positions(&features)? + EPSILON; // [N, C, 1, 1]
    weighted(&over_positions(&(gradient * &features / sums))?, &features)
}
