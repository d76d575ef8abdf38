//! Backbones in the form for inference on a CPU.

use std::fmt::Debug;

use tch::nn::{BatchNorm, Linear};
use tch::{Device, Kind, Tensor};

use super::GateInside;
use crate::Result;
use crate::kernels::{Clamp, InvertedResidual, Map, Pointwise, Stem};

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

/// Whether the kernels take a network of these weights.
pub(super) fn takes(weight: &Tensor) -> bool {
    weight.device() == Device::Cpu && weight.kind() == Kind::Float
}

/// A convolution without bias and the BatchNorm behind it, as one convolution with bias: its weights, `[outputs, …]` row by
/// row, and its biases. Computed in f64.
pub(super) fn fold(weight: &Tensor, norm: &BatchNorm, eps: f64) -> (Vec<f32>, Vec<f32>) {
    tch::no_grad(|| {
        let wide = |tensor: &Tensor| tensor.to_kind(Kind::Double);
        let scale = (wide(&norm.running_var) + eps).rsqrt();
        let scale = norm.ws.as_ref().map_or_else(|| scale.shallow_clone(), |ws| wide(ws) * &scale);
        let bias = -wide(&norm.running_mean) * &scale;
        let bias = norm.bs.as_ref().map_or_else(|| bias.shallow_clone(), |bs| wide(bs) + &bias);
        let weight = wide(weight).flatten(1, -1) * scale.unsqueeze(1);
        (values(&weight), values(&bias))
    })
}

/// A linear layer.
pub(super) fn linear(layer: &Linear) -> Pointwise {
    let bias = layer.bs.as_ref().map_or_else(|| vec![0.0; layer.ws.size()[0] as usize], values);
    Pointwise::new(&values(&layer.ws), &bias, Clamp::NONE)
}

fn values(tensor: &Tensor) -> Vec<f32> {
    let mut values = vec![0.0; tensor.numel()];
    let count = values.len();
    tensor.to_kind(Kind::Float).contiguous().copy_data(&mut values, count);
    values
}
