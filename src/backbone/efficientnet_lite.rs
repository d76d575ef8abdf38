//! EfficientNet-Lite: EfficientNet (Tan & Le 2019) for small devices, with ReLU6 and without squeeze-excite.
//!
//! Lite1 and Lite2 are Lite0 scaled in width and depth; the stem (32 channels), the head (1280) and the depth of the
//! first and the last stage stay as they are. Parameter names are those of the checkpoints of the Python package
//! `efficientnet-lite-pytorch`, which the tests compare with.

use std::borrow::Borrow;

use tch::nn::{self, BatchNorm, ModuleT};
use tch::{Kind, Tensor};

use super::conv::{SameConv2d, batch_norm, norm_relu6};
use super::head::Head;
use super::layers::linear;
use super::{Arch, Backbone, GateInside, GateStem, Stage, Variant, table};
use crate::{Error, Result};

/// The chance, for the deepest block, that training drops its residual branch; it grows linearly from the first.
const DROP_CONNECT: f64 = 0.2;

/// EfficientNet-Lite0, 1 or 2.
#[derive(Debug)]
pub struct EfficientNetLite {
    conv_stem: SameConv2d,
    bn0: BatchNorm,
    blocks: Vec<Vec<Block>>, // by stage
    conv_head: SameConv2d,
    bn1: BatchNorm,
    fc: Head,
    dropout: f64,
    stem: i64,
    stages: Vec<Stage>,
}

impl EfficientNetLite {
    /// Builds `arch` under `p`, with PyTorch's default start and a classifier of `classes` classes.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `arch` is no EfficientNet-Lite.
    ///
    /// # Panics
    /// If `classes` is negative.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64) -> Result<Self> {
        Self::of(p, arch, classes, &Variant::default())
    }

    /// Builds a variant of `arch` likewise; 0 classes leave the classifier out.
    pub(super) fn of<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64, variant: &Variant) -> Result<Self> {
        let p = p.borrow();
        let table = table::mobile(arch).filter(|_| arch.is_efficientnet_lite());
        let table = table.ok_or_else(|| Error::argument("backbone", format!("{arch} is no EfficientNet-Lite")))?;
        let blocks_in_all: usize = table.rows.iter().map(|row| row.blocks).sum();

        let (mut input, mut number) = (table.stem, 0);
        let mut blocks = Vec::with_capacity(table.rows.len());
        for row in &table.rows {
            let output = row.channels;
            let mut stage = Vec::new();
            for repeat in 0..row.blocks {
                let stride = row.stride_of(repeat);
                let shape = BlockShape { input, output, kernel: row.kernel, stride, expand: row.expand };
                let drop_connect = DROP_CONNECT * f64::from(number) / blocks_in_all as f64;
                stage.push(Block::new(&(p / "_blocks" / number), &shape, drop_connect, variant.symmetric));
                input = output;
                number += 1;
            }
            blocks.push(stage);
        }

        Ok(Self {
            conv_stem: SameConv2d::new(p / "_conv_stem", 3, table.stem, 3, 2).symmetric(variant.symmetric),
            bn0: batch_norm(p / "_bn0", table.stem),
            blocks,
            conv_head: SameConv2d::new(p / "_conv_head", input, table.head, 1, 1),
            bn1: batch_norm(p / "_bn1", table.head),
            fc: Head::new(p / "_fc", table.head, &variant.hidden, classes, linear),
            dropout: table.dropout,
            stem: table.stem,
            stages: table.stages(),
        })
    }
}

impl Backbone for EfficientNetLite {
    fn stages(&self) -> &[Stage] {
        &self.stages
    }

    fn stem_gated(&self, xs: &Tensor, train: bool, gate: &mut GateStem<'_>) -> Result<Tensor> {
        gate(&norm_relu6(&self.bn0, &self.conv_stem.forward(xs), train))
    }

    fn stem_place(&self) -> Option<(i64, i64)> {
        Some((self.stem, 2))
    }

    fn stage_gated(&self, index: usize, xs: &Tensor, train: bool, gate: &mut GateInside<'_>) -> Result<Tensor> {
        let mut site = 0;
        let mut gate = |xs: &Tensor| {
            site += 1;
            gate(site - 1, xs)
        };
        let mut xs = xs.shallow_clone();
        for (number, block) in self.blocks[index].iter().enumerate() {
            let mut expanded = block.expand(&xs, train);
            if number == 0 && block.expand.is_some() {
                expanded = gate(&expanded)?;
            }
            let mut branch = block.filter(&expanded, train);
            if block.residual {
                branch = gate(&branch)?;
            }
            xs = block.join(&xs, branch, train);
        }
        Ok(xs)
    }

    fn head_channels(&self) -> i64 {
        self.fc.features()
    }

    fn head_conv(&self, xs: &Tensor, train: bool) -> Tensor {
        self.bn1.forward_t(&self.conv_head.forward(xs), train)
    }

    fn head_activation(&self, features: &Tensor) -> Tensor {
        features.clamp(0.0, 6.0)
    }

    fn classify(&self, features: &Tensor, train: bool) -> Tensor {
        let pooled = features.adaptive_avg_pool2d([1, 1]).flatten(1, -1); // [N, features]
        self.fc.forward(&pooled.dropout(self.dropout, train))
    }

    fn classifier_weight(&self) -> Option<Tensor> {
        self.fc.weight()
    }
}

/// What one block turns into what.
struct BlockShape {
    input: i64,
    output: i64,
    kernel: i64,
    stride: i64,
    expand: i64,
}

/// An inverted residual block (Sandler et al. 2018): expand, filter each channel, project; add the input where the
/// shapes allow it.
#[derive(Debug)]
struct Block {
    expand: Option<(SameConv2d, BatchNorm)>,
    depthwise_conv: SameConv2d,
    bn1: BatchNorm,
    project_conv: SameConv2d,
    bn2: BatchNorm,
    residual: bool,
    drop_connect: f64,
}

impl Block {
    fn new(p: &nn::Path<'_>, shape: &BlockShape, drop_connect: f64, symmetric: bool) -> Self {
        let &BlockShape { input, output, kernel, stride, expand } = shape;
        let hidden = input * expand;
        let expand = (expand != 1)
            .then(|| (SameConv2d::new(p / "_expand_conv", input, hidden, 1, 1), batch_norm(p / "_bn0", hidden)));
        Self {
            expand,
            depthwise_conv: SameConv2d::depthwise(p / "_depthwise_conv", hidden, kernel, stride).symmetric(symmetric),
            bn1: batch_norm(p / "_bn1", hidden),
            project_conv: SameConv2d::new(p / "_project_conv", hidden, output, 1, 1),
            bn2: batch_norm(p / "_bn2", output),
            residual: stride == 1 && input == output,
            drop_connect,
        }
    }

    /// The widened features, `[N, hidden, h, w]`; the input itself if nothing is widened.
    fn expand(&self, xs: &Tensor, train: bool) -> Tensor {
        match &self.expand {
            Some((conv, norm)) => norm_relu6(norm, &conv.forward(xs), train),
            None => xs.shallow_clone(),
        }
    }

    /// From the widened features to what the block would add to its input.
    fn filter(&self, expanded: &Tensor, train: bool) -> Tensor {
        let filtered = norm_relu6(&self.bn1, &self.depthwise_conv.forward(expanded), train);
        self.bn2.forward_t(&self.project_conv.forward(&filtered), train)
    }

    /// The block's output, from its input and its branch.
    fn join(&self, xs: &Tensor, branch: Tensor, train: bool) -> Tensor {
        match (self.residual, train) {
            (false, _) => branch,
            (true, false) => branch + xs,
            (true, true) => drop_samples(&branch, self.drop_connect) + xs,
        }
    }
}

/// Stochastic depth (Huang et al. 2016): zeroes whole samples of a branch with chance `p`, and scales up the others.
fn drop_samples(branch: &Tensor, p: f64) -> Tensor {
    if p == 0.0 {
        return branch.shallow_clone();
    }
    let keep = Tensor::rand([branch.size()[0], 1, 1, 1], (Kind::Float, branch.device())).ge(p);
    branch * keep.to_kind(branch.kind()) / (1.0 - p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stochastic_depth_drops_whole_samples_and_keeps_the_mean() {
        let branch = Tensor::ones([400, 3, 2, 2], (Kind::Float, tch::Device::Cpu));
        let samples = drop_samples(&branch, 0.2).flatten(1, -1); // [400, 12]
        let (low, high) = (samples.amin([1_i64], false), samples.amax([1_i64], false));
        assert!(low.equal(&high), "a sample was dropped in part");
        let kept = low.gt(0.0);
        assert!(low.masked_select(&kept).allclose(&Tensor::from(1.25_f32), 1e-6, 0.0, false));
        let share = kept.to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
        assert!((0.7..0.9).contains(&share), "{share} of the samples were kept"); // five standard deviations
        assert!(drop_samples(&branch, 0.0).equal(&branch));
    }
}
