//! Backbones in the form for inference on a CPU.

use std::fmt::Debug;

use tch::Tensor;
use tch::nn::{BatchNorm, Linear};

use super::GateInside;
use crate::Result;
use crate::kernels::{Axis, Clamp, Depthwise, InvertedResidual, Map, Pointwise, Stem, values};

/// A backbone with its BatchNorm folded into its convolutions, on the crate's own kernels: f32, without gradients.
///
/// Every map is `[N, C, h, w]` with its channels together in memory, where a kernel made it.
pub trait Prepared: Debug + Send {
    /// As [`Backbone::stem`](super::Backbone::stem).
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for what is no f32 picture on the CPU.
    fn stem(&self, xs: &Tensor) -> Result<Tensor>;

    /// As [`Backbone::stage_gated`](super::Backbone::stage_gated), but hands out the features only at the places that
    /// [`Backbone::prepare`](super::Backbone::prepare) was told of.
    ///
    /// # Errors
    /// What `gate` returns; [`Error::Input`](crate::Error::Input) for features that are not this stage's.
    fn stage(&self, index: usize, xs: &Tensor, gate: &mut GateInside<'_>) -> Result<Tensor>;

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

/// A network of inverted residual blocks.
#[derive(Debug)]
pub(super) struct Mobile {
    pub(super) stem: Stem,
    pub(super) stages: Vec<Vec<MobileBlock>>,
    pub(super) head: Pointwise,
    pub(super) head_clamp: Clamp,
    pub(super) classifier: Pointwise,
}

/// One block.
#[derive(Debug)]
pub(super) struct MobileBlock {
    pub(super) kernel: InvertedResidual,
    pub(super) residual: bool,
    /// The place inside the stage that its widened features are, if they are gated.
    pub(super) gated_expansion: Option<usize>,
    /// The place inside the stage that its branch is, if that is gated.
    pub(super) gated_branch: Option<usize>,
}

impl Prepared for Mobile {
    fn stem(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(self.stem.forward(xs)?.tensor())
    }

    fn stage(&self, index: usize, xs: &Tensor, gate: &mut GateInside<'_>) -> Result<Tensor> {
        let blocks = &self.stages[index];
        let mut xs = Map::of("stage", xs, blocks[0].kernel.inputs())?;
        for block in blocks {
            xs = block.forward(&xs, gate)?;
        }
        Ok(xs.tensor())
    }

    fn head_conv(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(self.head.forward(&Map::of("head", xs, self.head.inputs())?).tensor())
    }

    fn head_activation(&self, features: &Tensor) -> Result<Tensor> {
        Ok(Map::of("head", features, self.head.outputs())?.clamped(self.head_clamp).tensor())
    }

    fn classify(&self, features: &Tensor) -> Result<Tensor> {
        let pooled = Map::of("classifier", features, self.classifier.inputs())?.mean();
        Ok(self.classifier.forward(&pooled).tensor().flatten(1, -1))
    }
}

impl MobileBlock {
    fn forward(&self, xs: &Map, gate: &mut GateInside<'_>) -> Result<Map> {
        let adds = self.residual && self.gated_branch.is_none();
        let branch = match (self.gated_expansion, &self.kernel.expand) {
            (Some(place), Some(expand)) => {
                let gated = gate(place, &expand.forward(xs).tensor())?;
                self.kernel.filter(&Map::of("expansion", &gated, expand.outputs())?, adds.then_some(xs))
            }
            _ => self.kernel.forward(xs, adds),
        };
        let Some(place) = self.gated_branch else { return Ok(branch) };
        let gated = gate(place, &branch.tensor())?;
        Map::of("branch", &(gated + xs.tensor()), branch.channels)
    }
}

/// Numbers the places inside a stage as they come.
pub(super) struct Places<'a> {
    stage: usize,
    next: usize,
    gated: &'a dyn Fn(usize, usize) -> bool,
}

impl<'a> Places<'a> {
    pub(super) fn of(stage: usize, gated: &'a dyn Fn(usize, usize) -> bool) -> Self {
        Self { stage, next: 0, gated }
    }

    /// The next place if `exists` says that there is one, and its features are wanted.
    pub(super) fn next(&mut self, exists: bool) -> Option<usize> {
        let place = self.next;
        self.next += usize::from(exists);
        (exists && (self.gated)(self.stage, place)).then_some(place)
    }
}

/// A convolution without bias and the BatchNorm behind it, as one convolution with bias.
pub(super) struct Folded<'a> {
    weight: &'a [f32], // [outputs, …]
    scale: Vec<f64>,
    bias: Vec<f32>,
}

impl<'a> Folded<'a> {
    /// None if the weights are not f32 on the CPU.
    pub(super) fn of(weight: &'a Tensor, norm: &BatchNorm, eps: f64) -> Option<Self> {
        let outputs = weight.size()[0] as usize;
        let given = |tensor: &Option<Tensor>, or: f32| match tensor {
            Some(tensor) => Some(values(tensor)?.to_vec()),
            None => Some(vec![or; outputs]),
        };
        let (mean, variance) = (values(&norm.running_mean)?, values(&norm.running_var)?);
        let (factor, offset) = (given(&norm.ws, 1.0)?, given(&norm.bs, 0.0)?);
        let scale = factor.iter().zip(variance).map(|(factor, variance)| f64::from(*factor) / (f64::from(*variance) + eps).sqrt());
        let scale: Vec<f64> = scale.collect();
        let bias = offset.iter().zip(mean).zip(&scale);
        let bias = bias.map(|((offset, mean), scale)| (f64::from(*offset) - f64::from(*mean) * scale) as f32).collect();
        Some(Self { weight: values(weight)?, scale, bias })
    }

    /// As a 1×1 convolution, or one over all values under a kernel.
    pub(super) fn pointwise(&self, clamp: Clamp) -> Pointwise {
        let inputs = self.weight.len() / self.bias.len();
        Pointwise::of(inputs, &self.bias, |output, input| self.at(output, output * inputs + input), clamp)
    }

    /// As a depthwise convolution.
    pub(super) fn depthwise(&self, axis: Axis, clamp: Clamp) -> Depthwise {
        let taps = axis.kernel * axis.kernel;
        Depthwise::of(&self.bias, |channel, tap| self.at(channel, channel * taps + tap), axis, clamp)
    }

    fn at(&self, output: usize, index: usize) -> f32 {
        (f64::from(self.weight[index]) * self.scale[output]) as f32
    }
}

/// A linear layer; none if it is not f32 on the CPU.
pub(super) fn linear(layer: &Linear) -> Option<Pointwise> {
    let bias = match &layer.bs {
        Some(bias) => values(bias)?.to_vec(),
        None => vec![0.0; layer.ws.size()[0] as usize],
    };
    Some(Pointwise::new(values(&layer.ws)?, &bias, Clamp::NONE))
}
