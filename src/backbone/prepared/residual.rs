//! Residual networks for inference.

use tch::Tensor;

use super::Prepared;
use crate::Result;
use crate::backbone::head::PreparedHead;
use crate::backbone::{GateInside, GateStem, Stem};
use crate::kernels::{Axis, Clamp, Convolution, Map, Padding, max_pool};

/// A residual network.
#[derive(Debug)]
pub(in crate::backbone) struct Residual {
    pub(in crate::backbone) stem: Convolution,
    /// The stem's form: which pooling follows its convolution.
    pub(in crate::backbone) pooled: Stem,
    pub(in crate::backbone) stages: Vec<Vec<ResidualBlock>>,
    pub(in crate::backbone) classifier: PreparedHead,
}

/// One block: two layers or three.
#[derive(Debug)]
pub(in crate::backbone) struct ResidualBlock {
    pub(in crate::backbone) layers: Vec<Convolution>,
    pub(in crate::backbone) downsample: Option<Convolution>,
    /// The place inside the stage that its branch is, if that is gated; its last layer has no activation then.
    pub(in crate::backbone) gated: Option<usize>,
}

impl Prepared for Residual {
    fn stem_gated(&self, xs: &Tensor, gate: &mut GateStem<'_>) -> Result<Tensor> {
        let xs = self.stem.forward(&Map::of("stem", xs, self.stem.channels())?, None);
        let channels = xs.channels;
        let xs = gate(&xs.tensor())?;
        match self.pooled {
            Stem { max_pool: false, .. } => return Ok(xs),
            Stem { unpadded: true, .. } => return Ok(crate::backbone::resnet::pool(self.pooled, &xs)),
            _ => {}
        }
        let xs = Map::of("stem", &xs, channels)?;
        Ok(max_pool(&xs, Axis { kernel: 3, stride: 2, padding: Padding::Each(1) }).tensor())
    }

    fn stage(&self, index: usize, xs: &Tensor, gate: &mut GateInside<'_>) -> Result<Tensor> {
        let blocks = &self.stages[index];
        let first = Map::of("stage", xs, blocks[0].layers[0].channels())?;
        Ok(blocks.iter().try_fold(first, |xs, block| block.forward(xs, gate))?.tensor())
    }

    fn head_conv(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(xs.shallow_clone())
    }

    fn head_activation(&self, features: &Tensor) -> Result<Tensor> {
        Ok(features.shallow_clone())
    }

    fn classify(&self, features: &Tensor) -> Result<Tensor> {
        self.classifier.classify(features)
    }
}

impl ResidualBlock {
    fn forward(&self, xs: Map, gate: &mut GateInside<'_>) -> Result<Map> {
        let shortcut = self.downsample.as_ref().map(|layer| layer.forward(&xs, None));
        let shortcut = shortcut.as_ref().unwrap_or(&xs);
        let [first, inner @ .., last] = &self.layers[..] else { unreachable!("a block has two layers or three") };
        let inner = inner.iter().fold(first.forward(&xs, None), |xs, layer| layer.forward(&xs, None));
        let Some(place) = self.gated else { return Ok(last.forward(&inner, Some(shortcut))) };
        let branch = last.forward(&inner, None);
        let gated = gate(place, &branch.tensor())?;
        Ok(Map::of("branch", &gated, branch.channels)?.add(shortcut, Clamp::RELU))
    }
}
