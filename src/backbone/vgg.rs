//! VGG (Simonyan & Zisserman 2015): 3×3 convolutions in five stages, and three linear layers, or as many as a [`Variant`]
//! says.
//!
//! A max pooling halves the resolution between two stages, and one more stands behind the last. Here it belongs to the
//! classifier: `stage5`, and [`head`](Backbone::head) with it, is the last convolution after its ReLU, at stride 16, as
//! Grad-CAM's authors take it. The classifier averages to 7×7 cells and is not linear in them, so there is no
//! [`classifier_weight`](Backbone::classifier_weight). Structure and parameter names are torchvision's.

use std::borrow::Borrow;

use tch::Tensor;
use tch::nn::{self, BatchNorm, Conv2D, Linear, Module};

use super::layers::{ConvShape, NORM_EPS, batch_norm, conv, small_linear};
use super::prepared::{Folded, Plain};
use super::{Arch, Backbone, GateInside, GateStem, Prepared, Stage, Variant};
use crate::kernels::{Axis, Clamp, Padding};
use crate::{Error, Result};

/// The channels of the stages.
const CHANNELS: [i64; 5] = [64, 128, 256, 512, 512];
/// The cells a side that the classifier sees.
const CELLS: i64 = 7;
/// The values that it sees.
pub(super) const FEATURES: i64 = CHANNELS[4] * CELLS * CELLS;
/// The widths of the classifier's own hidden layers, `classifier.0` and `classifier.3`; others are called `classifier.hidden0` and so
/// on.
pub(super) const HIDDEN: [i64; 2] = [4096; 2];
/// The number of the classifier's last layer.
const LAST: usize = 6;
const DROPOUT: f64 = 0.5;

/// How many convolutions each stage has, and whether they are normalised.
const fn shape(arch: Arch) -> Option<([usize; 5], bool)> {
    Some(match arch {
        Arch::Vgg11 => ([1, 1, 2, 2, 2], false),
        Arch::Vgg11Bn => ([1, 1, 2, 2, 2], true),
        Arch::Vgg13 => ([2, 2, 2, 2, 2], false),
        Arch::Vgg13Bn => ([2, 2, 2, 2, 2], true),
        Arch::Vgg16 => ([2, 2, 3, 3, 3], false),
        Arch::Vgg16Bn => ([2, 2, 3, 3, 3], true),
        Arch::Vgg19 => ([2, 2, 4, 4, 4], false),
        Arch::Vgg19Bn => ([2, 2, 4, 4, 4], true),
        _ => return None,
    })
}

/// The stages, which all members of the family share; none if `arch` is no VGG.
pub(super) fn stages(arch: Arch) -> Option<Vec<Stage>> {
    shape(arch)?;
    let stage = |(index, &channels): (usize, &i64)| Stage {
        name: format!("stage{}", index + 1),
        channels,
        stride: 1 << index,
        inside: Vec::new(),
    };
    Some(CHANNELS.iter().enumerate().map(stage).collect())
}

/// VGG-11, 13, 16 or 19, with BatchNorm or without.
#[derive(Debug)]
pub struct Vgg {
    convs: Vec<Vec<(Conv2D, Option<BatchNorm>)>>, // by stage
    classifier: Option<Vec<Linear>>,
    stages: Vec<Stage>,
}

impl Vgg {
    /// Builds `arch` under `p`, with torchvision's start and a classifier of `classes` classes.
    ///
    /// # Errors
    /// [`Error::Argument`] if `arch` is no VGG.
    ///
    /// # Panics
    /// If `classes` is negative.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64) -> Result<Self> {
        Self::of(p, arch, classes, &Variant::default())
    }

    /// Builds a variant of `arch` likewise; 0 classes leave the classifier out.
    pub(super) fn of<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64, variant: &Variant) -> Result<Self> {
        variant.not_residual()?;
        variant.not_efficientnet_lite()?;
        let p = p.borrow();
        let (Some((convs, normalised)), Some(stages)) = (shape(arch), stages(arch)) else {
            return Err(Error::argument("backbone", format!("{arch} is no VGG")));
        };
        let features = p / "features";
        let (mut input, mut number) = (3, 0);
        let mut layers = Vec::new();
        for (stage, count) in stages.iter().zip(convs) {
            let mut layer = Vec::new();
            for _ in 0..count {
                let shape = ConvShape { input, output: stage.channels, kernel: 3, stride: 1, groups: 1 };
                let norm = normalised.then(|| batch_norm(&features / (number + 1), stage.channels));
                layer.push((conv(&features / number, &shape, true), norm));
                input = stage.channels;
                number += if normalised { 3 } else { 2 }; // with the ReLU
            }
            layers.push(layer);
            number += 1; // the pooling
        }
        let classifier = (classes > 0).then(|| {
            let hidden = if variant.hidden.is_empty() { &HIDDEN[..] } else { &variant.hidden };
            let mut inputs = FEATURES;
            let layer = |(number, &outputs): (usize, &i64)| {
                let p = p / "classifier";
                let path = match number {
                    last if last == hidden.len() => p / LAST,
                    own if variant.hidden.is_empty() => p / (3 * own),
                    other => p / format!("hidden{other}"),
                };
                let layer = small_linear(path, inputs, outputs);
                inputs = outputs;
                layer
            };
            hidden.iter().chain([&classes]).enumerate().map(layer).collect()
        });
        Ok(Self { convs: layers, classifier, stages })
    }
}

/// The maximum of each 2×2 cells.
fn pool(xs: &Tensor) -> Tensor {
    xs.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)
}

/// The features of the last stage, `[N, 512, h, w]`, to logits.
fn classify(classifier: Option<&[Linear]>, features: &Tensor, train: bool) -> Tensor {
    let Some((last, hidden)) = classifier.and_then(<[Linear]>::split_last) else {
        return features.mean_dim(&[2_i64, 3][..], false, None).narrow(1, 0, 0); // [N, 0]
    };
    let cells = pool(features).adaptive_avg_pool2d([CELLS; 2]).flatten(1, -1); // [N, 512 · 7 · 7]
    last.forward(&hidden.iter().fold(cells, |xs, layer| layer.forward(&xs).relu_().dropout(DROPOUT, train)))
}

impl Backbone for Vgg {
    fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// A picture has at least one cell after five poolings.
    fn smallest_side(&self) -> i64 {
        32
    }

    fn stem_gated(&self, xs: &Tensor, _train: bool, _gate: &mut GateStem<'_>) -> Result<Tensor> {
        Ok(xs.shallow_clone())
    }

    fn stem_place(&self) -> Option<(i64, i64)> {
        None
    }

    fn stage_gated(&self, index: usize, xs: &Tensor, train: bool, _gate: &mut GateInside<'_>) -> Result<Tensor> {
        let xs = if index == 0 { xs.shallow_clone() } else { pool(xs) };
        let layers = self.convs[index].iter();
        Ok(layers.fold(xs, |xs, (conv, norm)| conv.forward(&xs).apply_opt_t(norm, train).relu_()))
    }

    fn head_channels(&self) -> i64 {
        CHANNELS[4]
    }

    fn head_conv(&self, xs: &Tensor, _train: bool) -> Tensor {
        xs.shallow_clone()
    }

    fn head_activation(&self, features: &Tensor) -> Tensor {
        features.shallow_clone()
    }

    fn classify(&self, features: &Tensor, train: bool) -> Tensor {
        classify(self.classifier.as_deref(), features, train)
    }

    fn prepare(&self, _gated: &dyn Fn(usize, usize) -> bool) -> Option<Box<dyn Prepared>> {
        let axis = Axis { kernel: 3, stride: 1, padding: Padding::Each(1) };
        let layer = |(conv, norm): &(Conv2D, Option<BatchNorm>)| {
            let norm = norm.as_ref().map(|norm| (norm, NORM_EPS));
            Some(Folded::biased(&conv.ws, conv.bs.as_ref(), norm)?.convolution(axis, Clamp::RELU))
        };
        let stages = self.convs.iter().map(|stage| stage.iter().map(layer).collect()).collect::<Option<_>>()?;
        let share =
            |layer: &Linear| Linear { ws: layer.ws.shallow_clone(), bs: layer.bs.as_ref().map(Tensor::shallow_clone) };
        Some(Box::new(Plain {
            stages,
            classifier: self.classifier.as_ref().map(|layers| layers.iter().map(share).collect()),
            classify,
        }))
    }

    fn classifier_weight(&self) -> Option<Tensor> {
        None
    }
}
