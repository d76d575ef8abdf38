//! Gradients of tensors: what a class's score says of features, by libtorch's autograd.

use ndarray::{Array2, Ix3};
use tch::{Kind, Tensor};

use super::Slope;
use crate::host::to_host;
use crate::{Error, Result};

/// What a score in f16 is multiplied with, lest its small gradients vanish.
const UPSCALED: f64 = 1024.0;

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
    let map = |picture| Ok(super::grad_cam::map(&slope_of(&features.f_get(picture)?, &gradient.f_get(picture)?)?));
    (0..classes.len() as i64).map(map).collect()
}

/// Features and gradient of one picture, `[C, h, w]`, on the host.
pub(crate) fn slope_of(features: &Tensor, gradient: &Tensor) -> Result<Slope> {
    Ok(Slope { features: to_host::<Ix3>(&features.f_detach()?)?, gradient: to_host::<Ix3>(&gradient.f_detach()?)? })
}

/// The gradient of the score of each picture's class before the softmax, in f32: `[N, C, h, w]`.
///
/// `features` are `[N, C, h, w]`; `classify` turns them into scores `[N, classes]`, out of training, so that no picture
/// touches another. The features are taken out of their graph: the gradient reaches them and goes no further.
pub(crate) fn gradient(
    features: &Tensor,
    classes: &[i64],
    classify: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let batch = match features.size()[..] {
        [batch, _, _, _] if batch == classes.len() as i64 => batch,
        _ => return Err(wrong(&format!("features [N, C, h, w] of {} pictures", classes.len()), &features.size())),
    };
    tch::with_grad(|| {
        let features = features.detach().set_requires_grad(true);
        let scores = classify(&features)?;
        let &[rows, count] = scores.size().as_slice() else {
            return Err(wrong("scores [N, classes]", &scores.size()));
        };
        if rows != batch || classes.iter().any(|class| !(0..count).contains(class)) {
            return Err(wrong(&format!("scores of {batch} pictures for the classes {classes:?}"), &scores.size()));
        }
        let index = Tensor::from_slice(classes).view([batch, 1]).to_device(scores.device());
        let factor = if scores.kind() == Kind::Half { UPSCALED } else { 1.0 };
        let score = scores.f_gather(1, &index, false)?.f_sum(scores.kind())?.f_mul_scalar(factor)?;
        // libtorch follows the graph of a score without one to a null pointer, so ask first.
        let gradients = if score.requires_grad() {
            Tensor::f_run_backward(&[score], &[&features], false, false)?
        } else {
            Vec::new()
        };
        let gradient = gradients.into_iter().find(Tensor::defined);
        let gradient = gradient.ok_or_else(|| wrong("scores that depend on the features", &scores.size()))?;
        Ok(gradient.f_detach()?.f_to_kind(Kind::Float)?.f_div_scalar(factor)?)
    })
}

fn wrong(expected: &str, got: &[i64]) -> Error {
    Error::Input { layer: "explain", expected: expected.to_owned(), got: format!("{got:?}") }
}
