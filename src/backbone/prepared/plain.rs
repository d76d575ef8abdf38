//! Convolutions one after the other for inference: VGG.

use tch::Tensor;
use tch::nn::Linear;

use super::Prepared;
use crate::backbone::{GateInside, GateStem};
use crate::kernels::{Axis, Convolution, Map, Padding, max_pool};
use crate::{Error, Result};

/// A network of convolutions, pooled before every stage but the first.
#[derive(Debug)]
pub(in crate::backbone) struct Plain {
    pub(in crate::backbone) stages: Vec<Vec<Convolution>>,
    /// From the last stage's output to class scores, as the network itself does it: its matrices are larger than all else.
    pub(in crate::backbone) classifier: Option<Vec<Linear>>,
    pub(in crate::backbone) classify: fn(Option<&[Linear]>, &Tensor, bool) -> Tensor,
}

impl Prepared for Plain {
    fn stem_gated(&self, xs: &Tensor, _gate: &mut GateStem<'_>) -> Result<Tensor> {
        Ok(xs.shallow_clone())
    }

    fn stage(&self, index: usize, xs: &Tensor, _gate: &mut GateInside<'_>) -> Result<Tensor> {
        let layers = &self.stages[index];
        let xs = Map::of("stage", xs, layers[0].channels())?;
        let pool = Axis { kernel: 2, stride: 2, padding: Padding::Each(0) };
        if index > 0 && !(pool.fits(xs.height) && pool.fits(xs.width)) {
            let got = format!("{}x{}", xs.width, xs.height);
            return Err(Error::Input {
                layer: "stage",
                expected: "features of 2x2 positions at least".to_owned(),
                got,
            });
        }
        let xs = if index == 0 { xs } else { max_pool(&xs, pool) };
        Ok(layers.iter().fold(xs, |xs, layer| layer.forward(&xs, None)).tensor())
    }

    fn head_conv(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(xs.shallow_clone())
    }

    fn head_activation(&self, features: &Tensor) -> Result<Tensor> {
        Ok(features.shallow_clone())
    }

    fn classify(&self, features: &Tensor) -> Result<Tensor> {
        Ok((self.classify)(self.classifier.as_deref(), features, false))
    }
}
