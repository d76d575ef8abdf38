//! HiResCAM (Draelos & Carin 2020): every position's own gradient, not the mean over positions.
//!
//! With `A` the features and `y` the class's score, the map is `ReLU(Σ_k ∂y/∂A_k ⊙ A_k)`. Where a pooled linear
//! classifier follows, that is what each position adds to the score.

use ndarray::Array2;

use super::Slope;
use super::base::over_channels;

pub(super) fn map(Slope { features, gradient }: &Slope) -> Array2<f32> {
    over_channels(features.view(), gradient.view(), |feature, slope| feature * slope)
}
