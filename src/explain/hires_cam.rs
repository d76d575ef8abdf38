//! HiResCAM (Draelos & Carin 2020): every position's own gradient, not the mean over positions.
//!
//! With `A` the features and `y` the class's score, the map is `ReLU(Σ_k ∂y/∂A_k ⊙ A_k)`. Where a pooled linear
//! classifier follows, that is what each position adds to the score.

use tch::{Kind, Tensor};

use super::base::{Slope, over_channels};
use crate::Result;

pub(super) fn map(Slope { features, gradient }: &Slope) -> Result<Tensor> {
    over_channels(&gradient.f_mul(&features.f_to_kind(Kind::Float)?)?)
}
