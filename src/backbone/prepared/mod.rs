//! Backbones in the form for inference on a CPU.

mod mobile;
mod plain;
mod residual;

use std::fmt::Debug;

use tch::Tensor;
use tch::nn::BatchNorm;

use super::{GateInside, GateStem};
use crate::Result;
use crate::kernels::{Axis, Clamp, Convolution, Depthwise, InvertedResidual, Pointwise, values};

pub(super) use mobile::{Mobile, MobileBlock};
pub(super) use plain::Plain;
pub(super) use residual::{Residual, ResidualBlock};

/// A backbone with its BatchNorm folded into its convolutions, on the crate's own kernels: f32, without gradients.
///
/// Every map is `[N, C, h, w]` with its channels together in memory, where a kernel made it.
pub trait Prepared: Debug + Send {
    /// As [`Backbone::stem_gated`](super::Backbone::stem_gated).
    ///
    /// # Errors
    /// What `gate` returns; [`Error::Input`](crate::Error::Input) for what is no f32 picture on the CPU.
    fn stem_gated(&self, xs: &Tensor, gate: &mut GateStem<'_>) -> Result<Tensor>;

    /// As [`Backbone::stage_gated`](super::Backbone::stage_gated), but hands out the features only at the places that
    /// [`Backbone::prepare`](super::Backbone::prepare) was told of.
    ///
    /// # Errors
    /// What `gate` returns; [`Error::Input`](crate::Error::Input) for features that are not this stage's.
    fn stage(&self, index: usize, xs: &Tensor, gate: &mut GateInside<'_>) -> Result<Tensor>;

    /// From a picture to what [`stage`](Self::stage) 0 returns, in one go; none if there is no such way.
    ///
    /// # Errors
    /// As [`stem_gated`](Self::stem_gated), without a gate.
    fn first_stage(&self, xs: &Tensor) -> Result<Option<Tensor>> {
        let _ = xs;
        Ok(None)
    }

    /// As [`Backbone::head_conv`](super::Backbone::head_conv).
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for features that are not the last stage's.
    fn head_conv(&self, xs: &Tensor) -> Result<Tensor>;

    /// As [`Backbone::head_activation`](super::Backbone::head_activation).
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for features that are not the head's.
    fn head_activation(&self, features: &Tensor) -> Result<Tensor>;

    /// As [`Backbone::classify`](super::Backbone::classify).
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for features that are not the head's.
    fn classify(&self, features: &Tensor) -> Result<Tensor>;
}

/// Numbers the places inside a stage as they come.
pub(in crate::backbone) struct Places<'a> {
    stage: usize,
    next: usize,
    gated: &'a dyn Fn(usize, usize) -> bool,
}

impl<'a> Places<'a> {
    pub(in crate::backbone) fn of(stage: usize, gated: &'a dyn Fn(usize, usize) -> bool) -> Self {
        Self { stage, next: 0, gated }
    }

    /// The next block: whether its widened features, and its branch, are places of this stage.
    pub(in crate::backbone) fn block(
        &mut self,
        kernel: InvertedResidual,
        expansion: bool,
        residual: bool,
    ) -> MobileBlock {
        let (gated_expansion, gated_branch) = (self.next(expansion), self.next(residual));
        MobileBlock { kernel, residual, gated_expansion, gated_branch }
    }

    /// The next place if `exists` says that there is one, and its features are wanted.
    fn next(&mut self, exists: bool) -> Option<usize> {
        let place = self.next;
        self.next += usize::from(exists);
        (exists && (self.gated)(self.stage, place)).then_some(place)
    }
}

/// A convolution and the BatchNorm behind it, as one convolution with bias.
pub(in crate::backbone) struct Folded<'a> {
    weight: &'a [f32], // [outputs, …]
    scale: Vec<f64>,
    bias: Vec<f32>,
}

impl<'a> Folded<'a> {
    /// Of a convolution without bias; none if the weights are not f32 on the CPU.
    pub(in crate::backbone) fn of(weight: &'a Tensor, norm: &BatchNorm, eps: f64) -> Option<Self> {
        Self::biased(weight, None, Some((norm, eps)))
    }

    /// The same, of a convolution that may have a bias, and may have no BatchNorm.
    pub(in crate::backbone) fn biased(
        weight: &'a Tensor,
        bias: Option<&Tensor>,
        norm: Option<(&BatchNorm, f64)>,
    ) -> Option<Self> {
        let outputs = weight.size()[0] as usize;
        let before = match bias {
            Some(bias) => values(bias)?.to_vec(),
            None => vec![0.0; outputs],
        };
        let Some((norm, eps)) = norm else {
            return Some(Self { weight: values(weight)?, scale: vec![1.0; outputs], bias: before });
        };
        let given = |tensor: &Option<Tensor>, or: f32| match tensor {
            Some(tensor) => Some(values(tensor)?.to_vec()),
            None => Some(vec![or; outputs]),
        };
        let (mean, variance) = (values(&norm.running_mean)?, values(&norm.running_var)?);
        let (factor, offset) = (given(&norm.ws, 1.0)?, given(&norm.bs, 0.0)?);
        let scale = factor
            .iter()
            .zip(variance)
            .map(|(factor, variance)| f64::from(*factor) / (f64::from(*variance) + eps).sqrt());
        let scale: Vec<f64> = scale.collect();
        let moved = before.iter().zip(mean).map(|(before, mean)| f64::from(*before) - f64::from(*mean));
        let bias =
            moved.zip(&scale).zip(&offset).map(|((moved, scale), offset)| (moved * scale + f64::from(*offset)) as f32);
        let bias = bias.collect();
        Some(Self { weight: values(weight)?, scale, bias })
    }

    /// As a 1×1 convolution.
    pub(in crate::backbone) fn pointwise(&self, clamp: Clamp) -> Pointwise {
        let inputs = self.weight.len() / self.bias.len();
        Pointwise::of(inputs, &self.bias, |output, input| self.at(output, output * inputs + input), clamp)
    }

    /// As a convolution of any kernel.
    pub(in crate::backbone) fn convolution(&self, axis: Axis, clamp: Clamp) -> Convolution {
        let row = self.weight.len() / self.bias.len();
        let channels = row / (axis.kernel * axis.kernel);
        Convolution::of(channels, &self.bias, |output, index| self.at(output, output * row + index), axis, clamp)
    }

    /// As a depthwise convolution.
    pub(in crate::backbone) fn depthwise(&self, axis: Axis, clamp: Clamp) -> Depthwise {
        let taps = axis.kernel * axis.kernel;
        Depthwise::of(&self.bias, |channel, tap| self.at(channel, channel * taps + tap), axis, clamp)
    }

    fn at(&self, output: usize, index: usize) -> f32 {
        (f64::from(self.weight[index]) * self.scale[output]) as f32
    }
}
