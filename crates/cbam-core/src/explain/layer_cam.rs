//! LayerCAM (Jiang et al. 2021): each position weighs by its own gradient where that is over 0, which keeps early stages
//! sharp.
//!
//! With `A` the features and `y` the class's score, the map is `ReLU(Σ_k ReLU(∂y/∂A_k) ⊙ A_k)`.

use ndarray::Array2;

use super::Slope;
use super::base::over_channels;

pub(super) fn map(Slope { features, gradient }: &Slope) -> Array2<f32> {
    over_channels(features.view(), gradient.view(), |feature, slope| feature * slope.max(0.0))
}
