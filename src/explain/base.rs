//! What the methods that look at features have in common: the features of a place, and what they do to a score.

use ndarray::Array2;
use tch::{Kind, Tensor};

use crate::network::{Network, Place};
use crate::{Error, Result};

/// What a score in f16 is multiplied with, lest its small gradients vanish.
const UPSCALED: f64 = 1024.0;

/// The features of one picture at a place, and the slope of one class's score there.
pub(crate) struct Slope {
    /// `A`, `[1, C, h, w]`.
    pub(crate) features: Tensor,
    /// `∂y/∂A`, `[1, C, h, w]`.
    pub(crate) gradient: Tensor,
}

impl Slope {
    /// Runs the network once to the end and back to `place`.
    pub(super) fn of(network: &Network, pixels: &Tensor, place: Place, class: i64) -> Result<Self> {
        let features = tch::no_grad(|| network.features_at(place, pixels))?;
        let scores = |features: &Tensor| network.scores(&network.logits_from(place, features)?);
        let gradient = gradient(&features, &[class], scores)?;
        Ok(Self { features, gradient })
    }
}

/// The gradient of the score of each picture's class before the softmax, in f32: `[N, C, h, w]`.
///
/// `features` are `[N, C, h, w]`; `classify` turns them into scores `[N, classes]`, out of training, so that no picture
/// touches another. The features are taken out of their graph: the gradient reaches them and goes no further.
pub(super) fn gradient(
    features: &Tensor,
    classes: &[i64],
    classify: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let [batch, ..] = shape(features)?;
    if batch != classes.len() as i64 {
        return Err(wrong(&format!("features of {} pictures", classes.len()), &features.size()));
    }
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

/// `Σ_k weights_k A_k`, where it is over 0: weights `[N, C, 1, 1]` and features `[N, C, h, w]` to `[N, h, w]`.
pub(super) fn weighted(weights: &Tensor, features: &Tensor) -> Result<Tensor> {
    over_channels(&weights.f_mul(&features.f_to_kind(Kind::Float)?)?)
}

/// The sum over channels, where it is over 0: `[N, C, h, w]` to `[N, h, w]`.
pub(super) fn over_channels(values: &Tensor) -> Result<Tensor> {
    Ok(values.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?.f_relu()?)
}

/// The sum over positions: `[N, C, h, w]` to `[N, C, 1, 1]`.
pub(super) fn over_positions(values: &Tensor) -> Result<Tensor> {
    Ok(values.f_sum_dim_intlist([2i64, 3].as_slice(), true, Kind::Float)?)
}

/// Maps `[N, h, w]` on the host.
pub(super) fn to_arrays(maps: &Tensor) -> Result<Vec<Array2<f32>>> {
    let &[count, height, width] = maps.size().as_slice() else { return Err(wrong("maps [N, h, w]", &maps.size())) };
    let (height, width) = (height as usize, width as usize);
    let maps = maps.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let to_array = |n| {
        let mut values = vec![0.0; height * width];
        maps.get(n).f_copy_data(&mut values, height * width)?;
        Array2::from_shape_vec((height, width), values).map_err(|_| wrong("a map [h, w]", &maps.size()))
    };
    (0..count).map(to_array).collect()
}

/// The map of the only picture.
pub(super) fn to_array(map: &Tensor) -> Result<Array2<f32>> {
    to_arrays(map)?.pop().ok_or_else(|| wrong("a map [1, h, w]", &map.size()))
}

/// The four sides of features.
pub(super) fn shape(features: &Tensor) -> Result<[i64; 4]> {
    features.size().try_into().map_err(|size: Vec<i64>| wrong("features [N, C, h, w]", &size))
}

pub(super) fn wrong(expected: &str, got: &[i64]) -> Error {
    Error::Input { layer: "explain", expected: expected.to_owned(), got: format!("{got:?}") }
}
