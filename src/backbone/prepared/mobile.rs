//! Inverted residual blocks for inference: EfficientNet-Lite and MobileNetV2.

use tch::Tensor;

use super::Prepared;
use crate::Result;
use crate::backbone::head::PreparedHead;
use crate::backbone::{GateInside, GateStem};
use crate::kernels::{Clamp, Convolution, InvertedResidual, Map, Pointwise};

/// A network of inverted residual blocks.
#[derive(Debug)]
pub(in crate::backbone) struct Mobile {
    pub(in crate::backbone) stem: Convolution,
    pub(in crate::backbone) stages: Vec<Vec<MobileBlock>>,
    pub(in crate::backbone) head: Pointwise,
    pub(in crate::backbone) head_clamp: Clamp,
    pub(in crate::backbone) classifier: PreparedHead,
}

/// One block.
#[derive(Debug)]
pub(in crate::backbone) struct MobileBlock {
    pub(in crate::backbone) kernel: InvertedResidual,
    pub(in crate::backbone) residual: bool,
    /// The place inside the stage that its widened features are, if they are gated.
    pub(in crate::backbone) gated_expansion: Option<usize>,
    /// The place inside the stage that its branch is, if that is gated.
    pub(in crate::backbone) gated_branch: Option<usize>,
}

impl Prepared for Mobile {
    fn stem_gated(&self, xs: &Tensor, gate: &mut GateStem<'_>) -> Result<Tensor> {
        gate(&self.stem.forward(&Map::of("stem", xs, self.stem.channels())?, None).tensor())
    }

    fn stage(&self, index: usize, xs: &Tensor, gate: &mut GateInside<'_>) -> Result<Tensor> {
        let blocks = &self.stages[index];
        let mut xs = Map::of("stage", xs, blocks[0].kernel.inputs())?;
        for block in blocks {
            xs = block.forward(&xs, gate)?;
        }
        Ok(xs.tensor())
    }

    /// Where the first stage is one block that filters what the stem gives, as in all these networks.
    fn first_stage(&self, xs: &Tensor) -> Result<Option<Tensor>> {
        let [MobileBlock { kernel, residual: false, gated_branch: None, .. }] = &self.stages[0][..] else {
            return Ok(None);
        };
        if kernel.expand.is_some() {
            return Ok(None);
        }
        Ok(Some(kernel.behind(&self.stem, &Map::of("stem", xs, self.stem.channels())?).tensor()))
    }

    fn head_conv(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(self.head.forward(&Map::of("head", xs, self.head.inputs())?).tensor())
    }

    fn head_activation(&self, features: &Tensor) -> Result<Tensor> {
        Ok(Map::of("head", features, self.head.outputs())?.clamped(self.head_clamp).tensor())
    }

    fn classify(&self, features: &Tensor) -> Result<Tensor> {
        self.classifier.classify(features)
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
