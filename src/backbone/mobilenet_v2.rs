//! MobileNetV2 (Sandler et al. 2018): inverted residual blocks, which widen, filter each channel, and narrow again.
//!
//! Structure and parameter names are torchvision's; the stages are the rows of the paper's table 2, as EfficientNet-Lite's
//! are. Attention may stand on the widened features of a stage's first block (`stage3.expansion`) and on the branch of
//! every block that adds its input (`stage3.1`).

use std::borrow::Borrow;

use tch::Tensor;
use tch::nn::{self, BatchNorm, Conv2D, Module, ModuleT};

use super::head::Head;
use super::layers::{ConvShape, batch_norm, conv, small_linear};
use super::{Arch, Backbone, GateInside, GateStem, Stage, Variant, table};
use crate::{Error, Result};

/// MobileNetV2 of width 1.
#[derive(Debug)]
pub struct MobileNetV2 {
    stem: Layer,
    blocks: Vec<Vec<Block>>, // by stage
    head: Layer,
    classifier: Head,
    dropout: f64,
    channels_of_stem: i64,
    stages: Vec<Stage>,
}

impl MobileNetV2 {
    /// Builds it under `p`, with torchvision's start and a classifier of `classes` classes.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `arch` is no MobileNetV2.
    ///
    /// # Panics
    /// If `classes` is negative.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64) -> Result<Self> {
        Self::of(p, arch, classes, &Variant::default())
    }

    /// Builds a variant of `arch` likewise; 0 classes leave the classifier out.
    pub(super) fn of<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64, variant: &Variant) -> Result<Self> {
        let p = p.borrow();
        let table = table::mobile(arch).filter(|_| !arch.is_efficientnet_lite());
        let table = table.ok_or_else(|| Error::argument("backbone", format!("{arch} is no MobileNetV2")))?;
        let features = p / "features";
        let (mut input, mut number) = (table.stem, 1);
        let mut blocks = Vec::new();
        for row in &table.rows {
            let mut stage = Vec::new();
            for block in 0..row.blocks {
                stage.push(Block::new(
                    &(&features / number / "conv"),
                    [input, input * row.expand, row.channels],
                    row.stride_of(block),
                ));
                (input, number) = (row.channels, number + 1);
            }
            blocks.push(stage);
        }
        let of = |input, output, kernel, stride| ConvShape { input, output, kernel, stride, groups: 1 };
        Ok(Self {
            stem: layer(&(&features / 0), &of(3, table.stem, 3, 2)),
            blocks,
            head: layer(&(&features / number), &of(input, table.head, 1, 1)),
            classifier: Head::new(p / "classifier" / 1, table.head, &variant.hidden, classes, small_linear),
            dropout: table.dropout,
            channels_of_stem: table.stem,
            stages: table.stages(),
        })
    }
}

impl Backbone for MobileNetV2 {
    fn stages(&self) -> &[Stage] {
        &self.stages
    }

    fn stem_gated(&self, xs: &Tensor, train: bool, gate: &mut GateStem<'_>) -> Result<Tensor> {
        gate(&activated(&self.stem, xs, train))
    }

    fn stem_place(&self) -> Option<(i64, i64)> {
        Some((self.channels_of_stem, 2))
    }

    fn stage_gated(&self, index: usize, xs: &Tensor, train: bool, gate: &mut GateInside<'_>) -> Result<Tensor> {
        let [first, rest @ ..] = &self.blocks[index][..] else { return Ok(xs.shallow_clone()) };
        let mut site = 0;
        let widened = match &first.expand {
            Some(expand) => {
                site += 1;
                gate(0, &activated(expand, xs, train))?
            }
            None => xs.shallow_clone(),
        };
        let mut xs = first.filter(&widened, train);
        for block in rest {
            let widened =
                block.expand.as_ref().map_or_else(|| xs.shallow_clone(), |layer| activated(layer, &xs, train));
            xs = gate(site, &block.filter(&widened, train))? + xs;
            site += 1;
        }
        Ok(xs)
    }

    fn head_channels(&self) -> i64 {
        self.classifier.features()
    }

    fn head_conv(&self, xs: &Tensor, train: bool) -> Tensor {
        normalised(&self.head, xs, train)
    }

    fn head_activation(&self, features: &Tensor) -> Tensor {
        features.clamp(0.0, 6.0)
    }

    fn classify(&self, features: &Tensor, train: bool) -> Tensor {
        let pooled = features.adaptive_avg_pool2d([1, 1]).flatten(1, -1); // [N, features]
        self.classifier.forward(&pooled.dropout(self.dropout, train))
    }

    fn classifier_weight(&self) -> Option<Tensor> {
        self.classifier.weight()
    }
}

/// A convolution and its normalisation.
type Layer = (Conv2D, BatchNorm);

fn layer(p: &nn::Path<'_>, shape: &ConvShape) -> Layer {
    (conv(p / 0, shape, false), batch_norm(p / 1, shape.output))
}

fn normalised((conv, norm): &Layer, xs: &Tensor, train: bool) -> Tensor {
    norm.forward_t(&conv.forward(xs), train)
}

fn activated(layer: &Layer, xs: &Tensor, train: bool) -> Tensor {
    normalised(layer, xs, train).clamp_(0.0, 6.0)
}

/// An inverted residual block. All but the first of a stage add their input to their output.
#[derive(Debug)]
struct Block {
    expand: Option<Layer>,
    depthwise: Layer,
    project: Layer,
}

impl Block {
    fn new(p: &nn::Path<'_>, [input, hidden, output]: [i64; 3], stride: i64) -> Self {
        let of = |input, output, kernel, stride, groups| ConvShape { input, output, kernel, stride, groups };
        let expand = (hidden != input).then(|| layer(&(p / 0), &of(input, hidden, 1, 1, 1)));
        let next = i64::from(expand.is_some());
        let project = of(hidden, output, 1, 1, 1);
        Self {
            expand,
            depthwise: layer(&(p / next), &of(hidden, hidden, 3, stride, hidden)),
            project: (conv(p / (next + 1), &project, false), batch_norm(p / (next + 2), output)),
        }
    }

    /// From the widened features to the block's output, before any addition.
    fn filter(&self, widened: &Tensor, train: bool) -> Tensor {
        normalised(&self.project, &activated(&self.depthwise, widened, train), train)
    }
}
