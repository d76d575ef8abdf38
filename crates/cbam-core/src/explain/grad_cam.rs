//! Grad-CAM (Selvaraju et al. 2017): where the features that speak for a class lie.
//!
//! With `A` the features and `y` the class's score before the softmax, channel `k` weighs
//! `α_k = mean over positions of ∂y/∂A_k`, and the map is `ReLU(Σ_k α_k A_k)`.

use ndarray::Array2;

use super::Slope;
use super::base::{over_positions, weighted};

impl Slope {
    /// Grad-CAM of the score that it is the slope of: `[h, w]`, 0 or more, not scaled.
    pub fn grad_cam(&self) -> Array2<f32> {
        let (_, height, width) = self.features.dim();
        let positions = (height * width) as f64;
        let weights = over_positions(self.features.view(), self.gradient.view(), |_, _, slope| slope / positions);
        weighted(&weights, self.features.view())
    }
}
