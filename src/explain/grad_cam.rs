//! Grad-CAM (Selvaraju et al. 2017): where the features that speak for a class lie.
//!
//! With `A` the features and `y` the class's score before the softmax, channel `k` weighs
//! `α_k = mean over positions of ∂y/∂A_k`, and the map is `ReLU(Σ_k α_k A_k)`.

use ndarray::{Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::base::{Slope, gradient, shape, to_arrays, weighted, wrong};
use crate::{Result, kernels};

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

/// The same in closed form, where the scores are linear in the mean of each channel (Zhou et al. 2016, whose class
/// activation maps Grad-CAM generalises): the gradient is the class's row of `weight`, `[classes, C]`, over the number of
/// positions.
///
/// # Errors
/// If the shapes do not fit one another, or a class does not exist.
pub(crate) fn class_activation(features: &Tensor, classes: &[i64], weight: &Tensor) -> Result<Vec<Array2<f32>>> {
    let [batch, channels, height, width] = shape(features)?;
    let count = weight.size()[0];
    if batch != classes.len() as i64 || classes.iter().any(|class| !(0..count).contains(class)) {
        return Err(wrong(&format!("features of pictures for the classes {classes:?}"), &features.size()));
    }
    let rows = weight.f_index_select(0, &Tensor::from_slice(classes).to_device(weight.device()))?; // [N, C]
    let slopes = rows.f_to_kind(Kind::Float)?.f_view([batch, channels, 1])? / (height * width) as f64;
    let positions =
        features.f_to_kind(Kind::Float)?.f_permute([0, 2, 3, 1])?.f_reshape([batch, height * width, channels])?;
    let (Some(values), Some(of_channels)) = (kernels::values(&positions), kernels::values(&slopes)) else {
        return to_arrays(&positions.f_bmm(&slopes)?.f_view([batch, height, width])?.f_relu()?);
    };
    let [channels, height, width] = [channels, height, width].map(|side| side as usize);
    let of_picture = (height * width * channels).max(1);
    let pictures = values.par_chunks(of_picture).zip(of_channels.par_chunks(channels.max(1)));
    let map = |(values, slope)| {
        let values = ArrayView2::from_shape((height * width, channels), values)?;
        let map = values.dot(&ArrayView1::from(slope)).mapv_into(|value| if value < 0.0 { 0.0 } else { value });
        map.into_shape_with_order((height, width))
    };
    pictures
        .map(map)
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| wrong("features with positions", &features.size()))
}
