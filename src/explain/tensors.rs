//! Gradients of tensors: what a class's score says of features, by libtorch's autograd.

use std::cell::Cell;

use half::f16;
use ndarray::{Array2, Array3, ArrayView, ArrayView3, ArrayView4, Axis, Dimension, Ix2, Ix3};
use tch::{Device, Kind, Tensor};

use super::{Features, Slope};
use crate::classes::Outputs;
use crate::host::{to_host, to_tensor};
use crate::{Error, ErrorKind, Result};

/// What a score in f16 is multiplied with, lest its small gradients vanish.
const UPSCALED: f64 = 1024.0;

/// Anybody's tch network as [`Features`]: one function from pictures to features, one from these to the numbers for the classes.
///
/// Both take and give tensors on the network's device, `[N, 3, H, W]`, `[N, C, h, w]` and `[N, classes]`, out of training, so that no
/// picture touches another. Pictures come in f32; features go to the second function in the kind in which the first gave them. The
/// only place is `features`.
///
/// ```
/// use cbam::explain::{ExplainOptions, Method, TensorFeatures, explain};
/// use tch::{Device, nn, nn::Module};
///
/// let vs = nn::VarStore::new(Device::Cpu);
/// let stem = nn::conv2d(vs.root() / "conv", 3, 8, 3, nn::ConvConfig { stride: 2, ..Default::default() });
/// let classes = nn::linear(vs.root() / "classes", 8, 5, Default::default());
/// let network = TensorFeatures::new(
///     5,
///     |pixels| Ok(stem.forward(pixels).relu()),
///     |features| Ok(classes.forward(&features.adaptive_avg_pool2d([1, 1]).flatten(1, -1))),
/// );
/// let pixels = ndarray::Array3::from_shape_fn((3, 33, 41), |(c, y, x)| (c + y * x) as f32 / 1400.0);
/// let map = explain(&network, pixels.view(), Method::GradCam, None, 2, &ExplainOptions::default(), &mut |_, _| true)?;
/// assert_eq!(map.dim(), (16, 20));
/// # Ok::<(), cbam::Error>(())
/// ```
pub struct TensorFeatures<F, L> {
    features: F,
    logits: L,
    numbers: usize,
    outputs: Outputs,
    device: Device,
    /// Of the features that it gave last.
    kind: Cell<Kind>,
}

impl<F, L> TensorFeatures<F, L>
where
    F: Fn(&Tensor) -> Result<Tensor>,
    L: Fn(&Tensor) -> Result<Tensor>,
{
    /// A network of that many numbers for its classes, on the CPU: `features` makes features of pictures, `logits` the numbers of
    /// features.
    pub fn new(numbers: usize, features: F, logits: L) -> Self {
        let outputs = Outputs::default().of_logits(numbers as i64);
        Self { features, logits, numbers, outputs, device: Device::Cpu, kind: Cell::new(Kind::Float) }
    }

    /// The same on another device.
    pub fn on(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// The same with its numbers taken in another sense than that one class of all is right.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] for a softmax over one number.
    pub fn with_outputs(self, outputs: Outputs) -> Result<Self> {
        outputs.check(self.numbers as i64)?;
        Ok(Self { outputs, ..self })
    }

    fn there<D: Dimension>(&self, array: ArrayView<'_, f32, D>) -> Result<Tensor> {
        Ok(to_tensor(array)?.f_to_device(self.device)?)
    }

    fn at(&self, pixels: ArrayView3<'_, f32>) -> Result<Tensor> {
        let features = tch::no_grad(|| (self.features)(&self.there(pixels.insert_axis(Axis(0)))?))?;
        self.kind.set(features.kind());
        Ok(features)
    }
}

impl<F, L> Features for TensorFeatures<F, L>
where
    F: Fn(&Tensor) -> Result<Tensor>,
    L: Fn(&Tensor) -> Result<Tensor>,
{
    fn numbers(&self) -> usize {
        self.numbers
    }

    fn outputs(&self) -> Outputs {
        self.outputs
    }

    fn logits(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>, ErrorKind> {
        Ok(tch::no_grad(|| to_host::<Ix2>(&(self.logits)(&(self.features)(&self.there(pixels)?)?)?))?)
    }

    fn places(&self) -> Vec<String> {
        vec!["features".to_owned()]
    }

    fn features(&self, _: &str, pixels: ArrayView3<'_, f32>) -> Result<Array3<f32>, ErrorKind> {
        Ok(features_of(&self.at(pixels)?, 0)?)
    }

    fn logits_from(&self, _: &str, features: ArrayView4<'_, f32>) -> Result<Array2<f32>, ErrorKind> {
        Ok(tch::no_grad(|| {
            let mut features = self.there(features)?;
            if self.kind.get() == Kind::Half {
                features = features.f_clamp(f16::MIN.to_f64(), f16::MAX.to_f64())?;
            }
            to_host::<Ix2>(&(self.logits)(&features.f_to_kind(self.kind.get())?)?)
        })?)
    }

    fn slope(&self, _: &str, pixels: ArrayView3<'_, f32>, class: usize) -> Result<Slope, ErrorKind> {
        let features = self.at(pixels)?;
        let scores = |features: &Tensor| tensor_scores(self.outputs, &(self.logits)(features)?);
        let gradient = gradient(&features, &[class as i64], scores)?;
        Ok(slope_of(&features, &gradient, 0)?)
    }
}

impl<F, L> std::fmt::Debug for TensorFeatures<F, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("TensorFeatures");
        shown.field("numbers", &self.numbers).field("outputs", &self.outputs).field("device", &self.device);
        shown.finish_non_exhaustive()
    }
}

/// As [`Outputs::scores`], of a tensor, so that gradients can be taken: numbers `[N, numbers]` to `[N, answers]`.
pub(crate) fn tensor_scores(outputs: Outputs, numbers: &Tensor) -> Result<Tensor> {
    /// The least distance of a probability from 0 and 1 for its score.
    const LEAST: f64 = 1e-7;
    let scores = match outputs {
        Outputs::Softmax | Outputs::Sigmoid => numbers.shallow_clone(),
        Outputs::Score => return Ok(numbers.shallow_clone()),
        Outputs::Probabilities => numbers.f_to_kind(Kind::Float)?.f_logit(LEAST)?,
    };
    if numbers.size().last() != Some(&1) {
        return Ok(scores);
    }
    Ok(Tensor::f_cat(&[&scores.f_neg()?, &scores], -1)?)
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
    let map = |picture| Ok(slope_of(features, &gradient, picture)?.grad_cam());
    (0..classes.len() as i64).map(map).collect()
}

/// One picture's features of a batch's, `[C, h, w]`, on the host.
pub(crate) fn features_of(features: &Tensor, picture: i64) -> Result<Array3<f32>> {
    to_host::<Ix3>(&features.f_get(picture)?.f_detach()?)
}

/// The same with their gradient.
pub(crate) fn slope_of(features: &Tensor, gradient: &Tensor, picture: i64) -> Result<Slope> {
    Ok(Slope { features: features_of(features, picture)?, gradient: features_of(gradient, picture)? })
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
    ErrorKind::Input { layer: "explain", expected: expected.to_owned(), got: format!("{got:?}") }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_have_the_scores_that_arrays_have() {
        for (outputs, numbers) in [
            (Outputs::Softmax, vec![0.9, -2.0, 3.0]),
            (Outputs::Sigmoid, vec![0.9]),
            (Outputs::Probabilities, vec![0.25, 0.0, 1.0, 0.999]),
            (Outputs::Probabilities, vec![0.3]),
        ] {
            let numbers = ndarray::Array2::from_shape_vec((1, numbers.len()), numbers).unwrap();
            let of_tensor =
                to_host::<ndarray::Ix2>(&tensor_scores(outputs, &to_tensor(numbers.view()).unwrap()).unwrap()).unwrap();
            let of_array = outputs.scores(numbers.view());
            assert!((of_tensor - of_array).iter().all(|difference| difference.abs() < 1e-5), "{outputs}");
        }
    }
}
