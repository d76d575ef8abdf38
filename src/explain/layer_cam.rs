//! LayerCAM (Jiang et al. 2021): each position weighs by its own gradient where that is over 0, which keeps early stages
//! sharp.
//!
//! With `A` the features and `y` the class's score, the map is `ReLU(Σ_k ReLU(∂y/∂A_k) ⊙ A_k)`.

use tch::{Kind, Tensor};

use super::base::{Slope, over_channels};
use crate::Result;

pub(super) fn map(Slope { features, gradient }: &Slope) -> Result<Tensor> {
    over_channels(&gradient.f_relu()?.f_mul(&features.f_to_kind(Kind::Float)?)?)
}
