//! Grad-CAM (Selvaraju et al. 2017): where the features that speak for a class lie.
//!
//! With `A` the features and `y` the class's score before the softmax, channel `k` weighs
//! `α_k = mean over positions of ∂y/∂A_k`, and the map is `ReLU(Σ_k α_k A_k)`.

use ndarray::Array2;
use tch::{Kind, Tensor};

use super::base::{Slope, gradient, to_arrays, weighted};
use crate::Result;

pub(super) fn map(Slope { features, gradient }: &Slope) -> Result<Tensor> {
    let weights = gradient.f_mean_dim([2, 3].as_slice(), true, Kind::Float)?; // [N, C, 1, 1]
    weighted(&weights, features)
}

/// One Grad-CAM map per picture, `[h, w]` on the features' own grid: 0 or more, not scaled.
///
/// `features` are those of the last convolution, `[N, C, h, w]`, as [`Backbone::head`] gives them; `classes` names one
/// class per picture; `classify` turns features into class scores, `[N, classes]`, as [`Network::classify`] does, out of
/// training, so that no picture touches another. The features are taken out of their graph: the gradient reaches them
/// and goes no further.
///
/// [`Backbone::head`]: crate::backbone::Backbone::head
/// [`Network::classify`]: crate::network::Network::classify
///
/// # Errors
/// If the shapes do not fit one another, a class does not exist, or the scores do not depend on the features.
pub fn grad_cam(
    features: &Tensor,
    classes: &[i64],
    classify: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Vec<Array2<f32>>> {
    let gradient = gradient(features, classes, classify)?;
    to_arrays(&map(&Slope { features: features.detach(), gradient })?)
}
