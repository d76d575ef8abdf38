//! XGrad-CAM (Fu et al. 2020): channel weights that come as near as they can to saying what the score would lose
//! without the channel.
//!
//! With `A` the features and `g = ∂y/∂A`, channel `k` weighs `w_k = Σ_i g_ki A_ki / Σ_j A_kj`, and the map is
//! `ReLU(Σ_k w_k A_k)`.

use ndarray::Array2;

use super::Slope;
use super::base::{over_positions, weighted};

/// Keeps the denominator from 0, as in pytorch-grad-cam.
const EPSILON: f64 = 1e-7;

pub(super) fn map(Slope { features, gradient }: &Slope) -> Array2<f32> {
    let sums = over_positions(features.view(), gradient.view(), |_, feature, _| feature);
    let share = |channel: usize, feature: f64, slope: f64| slope * feature / (sums[channel] + EPSILON);
    weighted(&over_positions(features.view(), gradient.view(), share), features.view())
}
