//! Grad-CAM (Selvaraju et al. 2017): where the features that speak for a class lie.
//!
//! With `A` the features of the last convolution and `y` the class's score before the softmax, channel `k` weighs
//! `α_k = mean over positions of ∂y/∂A_k`, and the map is `ReLU(Σ_k α_k A_k)`.

use ndarray::Array2;
use tch::{Kind, Tensor};

use crate::{Error, Result};

/// One Grad-CAM map per picture, `[h, w]` on the features' own grid: 0 or more, not scaled.
///
/// `features` are those of the last convolution, `[N, C, h, w]`, as [`Backbone::head`] gives them; `classes` names one
/// class per picture; `classify` turns features into class scores, `[N, classes]`, as [`Backbone::classify`] does, out of
/// training, so that no picture touches another. The features are taken out of their graph: the gradient reaches them
/// and goes no further.
///
/// [`Backbone::head`]: crate::backbone::Backbone::head
/// [`Backbone::classify`]: crate::backbone::Backbone::classify
///
/// # Errors
/// If the shapes do not fit one another, a class does not exist, or the scores do not depend on the features.
pub fn grad_cam(
    features: &Tensor,
    classes: &[i64],
    classify: impl FnOnce(&Tensor) -> Tensor,
) -> Result<Vec<Array2<f32>>> {
    let &[batch, _, height, width] = features.size().as_slice() else {
        return Err(wrong("features [N, C, h, w]", &features.size()));
    };
    if batch != classes.len() as i64 {
        return Err(wrong(&format!("features of {} pictures", classes.len()), &features.size()));
    }
    tch::with_grad(|| {
        let features = features.detach().set_requires_grad(true);
        let scores = classify(&features);
        let &[rows, count] = scores.size().as_slice() else {
            return Err(wrong("scores [N, classes]", &scores.size()));
        };
        if rows != batch || classes.iter().any(|class| !(0..count).contains(class)) {
            return Err(wrong(&format!("scores of {batch} pictures for the classes {classes:?}"), &scores.size()));
        }
        let index = Tensor::from_slice(classes).view([batch, 1]).to_device(scores.device());
        let score = scores.f_gather(1, &index, false)?.f_sum(scores.kind())?;
        // libtorch follows the graph of a score without one to a null pointer, so ask first.
        let gradients = if score.requires_grad() {
            Tensor::f_run_backward(&[score], &[&features], false, false)?
        } else {
            Vec::new()
        };
        let Some(gradient) = gradients.first().filter(|gradient| gradient.defined()) else {
            return Err(wrong("scores that depend on the features", &scores.size()));
        };
        let weights = gradient.f_mean_dim([2, 3].as_slice(), true, Kind::Float)?; // [N, C, 1, 1]
        let maps =
            (weights * features.detach().to_kind(Kind::Float)).f_sum_dim_intlist([1].as_slice(), false, Kind::Float)?;
        let maps = maps.f_relu()?.f_to_device(tch::Device::Cpu)?.f_contiguous()?; // [N, h, w]
        (0..batch).map(|n| to_array(&maps.get(n), height as usize, width as usize)).collect()
    })
}

fn to_array(map: &Tensor, height: usize, width: usize) -> Result<Array2<f32>> {
    let mut values = vec![0.0; height * width];
    map.f_copy_data(&mut values, height * width)?;
    let shape = [height as i64, width as i64];
    Array2::from_shape_vec((height, width), values).map_err(|_| wrong("a map [h, w]", &shape))
}

fn wrong(expected: &str, got: &[i64]) -> Error {
    Error::Input { layer: "grad_cam", expected: expected.to_owned(), got: format!("{got:?}") }
}
