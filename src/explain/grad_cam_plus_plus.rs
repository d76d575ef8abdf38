//! Grad-CAM++ (Chattopadhay et al. 2018): Grad-CAM that does not favour what covers many positions.
//!
//! With `A` the features and `g = ∂y/∂A`, position `i` of channel `k` counts
//! `α_ki = g_ki² / (2 g_ki² + Σ_j A_kj · g_ki³)`, where `g_ki` is not 0; channel `k` weighs
//! `w_k = Σ_i α_ki ReLU(g_ki)`, and the map is `ReLU(Σ_k w_k A_k)`.

use tch::Tensor;

use super::base::{Slope, over_positions, weighted};
use crate::Result;

/// Keeps the denominator from 0, as in pytorch-grad-cam.
const EPSILON: f64 = 1e-6;

pub(super) fn map(Slope { features, gradient }: &Slope) -> Result<Tensor> {
    let square = gradient.f_square()?;
    let sums = over_positions(features)?; // [N, C, 1, 1]
    let denominator = &square * 2.0 + sums * &square * gradient + EPSILON;
    let share = (square / denominator).f_where_self(&gradient.f_ne(0.0)?, &gradient.f_zeros_like()?)?;
    weighted(&over_positions(&(gradient.f_relu()? * share))?, features)
}
