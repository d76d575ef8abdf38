//! Grad-CAM++ (Chattopadhay et al. 2018): Grad-CAM that does not favour what covers many positions.
//!
//! With `A` the features and `g = ∂y/∂A`, position `i` of channel `k` counts
//! `α_ki = g_ki² / (2 g_ki² + Σ_j A_kj · g_ki³)`, where `g_ki` is not 0; channel `k` weighs
//! `w_k = Σ_i α_ki ReLU(g_ki)`, and the map is `ReLU(Σ_k w_k A_k)`.

use ndarray::Array2;

use super::Slope;
use super::base::{over_positions, weighted};

/// Keeps the denominator from 0, as in pytorch-grad-cam.
const EPSILON: f64 = 1e-6;

pub(super) fn map(Slope { features, gradient }: &Slope) -> Array2<f32> {
    let sums = over_positions(features.view(), gradient.view(), |_, feature, _| feature);
    let weights = over_positions(features.view(), gradient.view(), |channel, _, slope| {
        if slope == 0.0 {
            return 0.0;
        }
        let square = slope * slope;
        square / (2.0 * square + sums[channel] * square * slope + EPSILON) * slope.max(0.0)
    });
    weighted(&weights, features.view())
}
