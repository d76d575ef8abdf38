//! Backbones in their form for inference: BatchNorm folded into the convolutions, on the crate's kernels.

mod head;
mod mobile;
mod plain;
mod residual;

use super::parameters::Named;
use crate::backbone::{Stage, table};
use crate::kernels::Map;
use crate::kernels::bf16::Unit;
use crate::network::NetworkConfig;
use crate::{Error, Result};
use mobile::Mobile;
use plain::Plain;
use residual::Residual;

/// What takes the features at a place inside a stage, and gives back what to go on with, of the same shape.
pub(super) type GateInside<'a> = dyn FnMut(usize, Map) -> Result<Map> + 'a;

/// What takes the first convolution's features.
pub(super) type GateStem<'a> = dyn FnMut(Map) -> Result<Map> + 'a;

/// A backbone and its classifier.
pub(super) trait Backbone: std::fmt::Debug + Send + Sync {
    /// Pictures to the input of the first stage; the first convolution's features, activated, go through `gate` before any pooling.
    fn stem(&self, xs: Map, gate: &mut GateStem<'_>) -> Result<Map>;

    /// One stage; the features at the places that it was built with go through `gate`.
    fn stage(&self, index: usize, xs: Map, gate: &mut GateInside<'_>) -> Result<Map>;

    /// From pictures to what stage 0 gives out, where that is one kernel.
    fn first_stage(&self, xs: &Map) -> Option<Map> {
        let _ = xs;
        None
    }

    /// The last stage's output through the convolution behind it, before its activation.
    fn head_conv(&self, xs: Map) -> Map {
        xs
    }

    /// The activation of that.
    fn head_activation(&self, features: Map) -> Map {
        features
    }

    /// Activated features to class scores `[N, classes]`, each picture's one after another.
    fn classify(&self, features: &Map) -> Result<Vec<f32>>;

    /// The gradient of a weighted sum of the class scores of one picture at the classifier's features, `[H, W, C]`.
    fn slope(&self, features: &Map, weights: &[f32]) -> Vec<f32>;

    /// The gradient at the mean of each channel, `[C]`, of a classifier that takes these means alone; `None` of any other.
    fn slope_at_mean(&self, mean: &Map, weights: &[f32]) -> Option<Vec<f32>> {
        let _ = (mean, weights);
        None
    }

    /// The same with the products of its convolutions in bfloat16.
    fn in_bf16(self: Box<Self>, unit: Unit) -> Box<dyn Backbone>;

    /// The least height and width of a picture, in pixels.
    fn smallest_side(&self) -> usize {
        1
    }
}

/// The backbone of a configuration; `gated` says of a stage and of a place [inside](Stage::inside) it whether the features there
/// are wanted.
pub(super) fn build(
    config: &NetworkConfig,
    p: &Named<'_>,
    gated: &dyn Fn(usize, usize) -> bool,
) -> Result<Box<dyn Backbone>> {
    let (arch, variant) = (config.arch, &config.variant);
    variant.check(arch)?;
    if let Some(table) = table::mobile(arch) {
        return Ok(Box::new(Mobile::new(&table, config, p, gated)?));
    }
    if let Some(table) = table::residual(arch) {
        return Ok(Box::new(Residual::new(&table, config, p, gated)?));
    }
    let table = table::plain(arch).ok_or_else(|| Error::internal(format!("{arch} has no table")))?;
    Ok(Box::new(Plain::new(&table, config, p)?))
}

/// The stages of a configuration's backbone.
pub(super) fn stages(config: &NetworkConfig) -> Vec<Stage> {
    config.arch.stages_behind(config.variant.stem)
}
