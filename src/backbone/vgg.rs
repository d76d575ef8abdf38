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

use super::layers::{ConvShape, batch_norm, conv, small_linear};
use super::table::{self, Plain};
use super::{Arch, Backbone, GateInside, GateStem, Stage, Variant};
use crate::{Error, Result};

const DROPOUT: f64 = 0.5;

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
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `arch` is no VGG.
    ///
    /// # Panics
    /// If `classes` is negative.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64) -> Result<Self> {
        Self::of(p, arch, classes, &Variant::default())
    }

    /// Builds a variant of `arch` likewise; 0 classes leave the classifier out.
    pub(super) fn of<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64, variant: &Variant) -> Result<Self> {
        let p = p.borrow();
        let table = table::plain(arch).ok_or_else(|| Error::argument("backbone", format!("{arch} is no VGG")))?;
        let (stages, normalised) = (table.stages(), table.normalised);
        let features = p / "features";
        let (mut input, mut number) = (3, 0);
        let mut layers = Vec::new();
        for (stage, count) in stages.iter().zip(table.convs) {
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
            let hidden = if variant.hidden.is_empty() { &Plain::HIDDEN[..] } else { &variant.hidden };
            let mut inputs = Plain::FEATURES;
            let layer = |(number, &outputs): (usize, &i64)| {
                let name = Plain::layer_name(number, &variant.hidden);
                let path = name.split('.').fold(p.clone(), |path, part| path / part);
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
    let cells = pool(features).adaptive_avg_pool2d([Plain::CELLS; 2]).flatten(1, -1); // [N, 512 · 7 · 7]
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
        Plain::CHANNELS[4]
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

    fn classifier_weight(&self) -> Option<Tensor> {
        None
    }
}
