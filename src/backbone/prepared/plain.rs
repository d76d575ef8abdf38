//! Convolutions one after the other for inference: VGG.

use tch::Tensor;
use tch::nn::Linear;

use super::Prepared;
use crate::Result;
use crate::backbone::{GateInside, GateStem};
use crate::kernels::{Axis, Convolution, Map, Padding, max_pool};

/// A network of convolutions, pooled before every stage but the first.
#[derive(Debug)]
pub(in crate::backbone) struct Plain {
    pub(in crate::backbone) stages: Vec<Vec<Convolution>>,
    /// From the last stage's output to class scores, as the network itself does it: its matrices are larger than all else.
    pub(in crate::backbone) classifier: Option<[Linear; 3]>,
    pub(in crate::backbone) classify: fn(Option<&[Linear; 3]>, &Tensor, bool) -> Tensor,
}

impl Prepared for Plain {
    fn stem_gated(&self, xs: &Tensor, _gate: &mut GateStem<'_>) -> Result<Tensor> {
        Ok(xs.shallow_clone())
    }

    fn stage(&self, index: usize, xs: &Tensor, _gate: &mut GateInside<'_>) -> Result<Tensor> {
        let layers = &self.stages[index];
        let xs = Map::of("stage", xs, layers[0].channels())?;
        let xs = if index == 0 { xs } else { max_pool(&xs, Axis { kernel: 2, stride: 2, padding: Padding::Each(0) }) };
        Ok(layers.iter().fold(xs, |xs, layer| layer.forward(&xs, None)).tensor())
    }

    fn head_conv(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(xs.shallow_clone())
    }

    fn head_activation(&self, features: &Tensor) -> Result<Tensor> {
        Ok(features.shallow_clone())
    }

    fn classify(&self, features: &Tensor) -> Result<Tensor> {
        Ok((self.classify)(self.classifier.as_ref(), features, false))
    }
}
