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
use super::prepared::{Mobile, Places};
use super::{Arch, Backbone, GateInside, GateStem, InnerSite, Prepared, Stage, Variant};
use crate::kernels::{Clamp, InvertedResidual};
use crate::{Error, Result};

/// The channels that the stem gives out.
const STEM: i64 = 32;
/// The channels of the head: the features under the classifier.
const HEAD: i64 = 1280;
/// The chance, for the deepest block, that training drops its residual branch; it grows linearly from the first.
const DROP_CONNECT: f64 = 0.2;

/// One row of the block table: a stage of Lite0.
struct Row {
    repeats: i64,
    kernel: i64,
    stride: i64,
    expand: i64,
    channels: i64,
}

const fn row(repeats: i64, kernel: i64, stride: i64, expand: i64, channels: i64) -> Row {
    Row { repeats, kernel, stride, expand, channels }
}

const ROWS: [Row; 7] = [
    row(1, 3, 1, 1, 16),
    row(2, 3, 2, 6, 24),
    row(2, 5, 2, 6, 40),
    row(3, 3, 2, 6, 80),
    row(3, 5, 1, 6, 112),
    row(4, 5, 2, 6, 192),
    row(1, 3, 1, 6, 320),
];

/// How a member of the family differs from Lite0.
struct Scaling {
    width: f64,
    depth: f64,
    dropout: f64,
}

impl Scaling {
    const fn of(arch: Arch) -> Option<Self> {
        Some(match arch {
            Arch::EfficientNetLite0 => Self { width: 1.0, depth: 1.0, dropout: 0.2 },
            Arch::EfficientNetLite1 => Self { width: 1.0, depth: 1.1, dropout: 0.2 },
            Arch::EfficientNetLite2 => Self { width: 1.1, depth: 1.2, dropout: 0.3 },
            _ => return None,
        })
    }

    /// Channels in multiples of 8, never more than 10 % under the scaled number.
    fn channels(&self, channels: i64) -> i64 {
        let scaled = channels as f64 * self.width;
        let rounded = ((scaled + 4.0) as i64 / 8 * 8).max(8);
        if (rounded as f64) < 0.9 * scaled { rounded + 8 } else { rounded }
    }

    /// Blocks of the stage at `index`.
    fn repeats(&self, index: usize) -> i64 {
        let repeats = ROWS[index].repeats;
        let fixed = index == 0 || index == ROWS.len() - 1;
        if fixed { repeats } else { (repeats as f64 * self.depth).ceil() as i64 }
    }
}

/// The stages of `arch`; none if it is no EfficientNet-Lite.
pub(super) fn stages(arch: Arch) -> Option<Vec<Stage>> {
    let scaling = Scaling::of(arch)?;
    let (mut input, mut stride) = (STEM, 2);
    let stage = |(index, row): (usize, &Row)| {
        let (name, channels) = (format!("stage{}", index + 1), scaling.channels(row.channels));
        let expansion = (row.expand != 1).then(|| InnerSite::expansion(&name, input * row.expand, stride));
        (input, stride) = (channels, stride * row.stride);
        let blocks = 1..scaling.repeats(index) as usize; // the first changes the shape, so it adds nothing
        let branches = blocks.map(|block| InnerSite::branch(&name, block, channels, stride));
        let inside = expansion.into_iter().chain(branches).collect();
        Stage { name, channels, stride, inside }
    };
    Some(ROWS.iter().enumerate().map(stage).collect())
}

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
    stages: Vec<Stage>,
}

impl EfficientNetLite {
    /// Builds `arch` under `p`, with PyTorch's default start and a classifier of `classes` classes.
    ///
    /// # Errors
    /// [`Error::Argument`] if `arch` is no EfficientNet-Lite.
    ///
    /// # Panics
    /// If `classes` is negative.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64) -> Result<Self> {
        Self::of(p, arch, classes, &Variant::default())
    }

    /// Builds a variant of `arch` likewise; 0 classes leave the classifier out.
    pub(super) fn of<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64, variant: &Variant) -> Result<Self> {
        variant.not_residual()?;
        let p = p.borrow();
        let (Some(scaling), Some(stages)) = (Scaling::of(arch), stages(arch)) else {
            return Err(Error::argument("backbone", format!("{arch} is no EfficientNet-Lite")));
        };
        let blocks_in_all: i64 = (0..ROWS.len()).map(|index| scaling.repeats(index)).sum();

        let (mut input, mut number) = (STEM, 0);
        let mut blocks = Vec::with_capacity(ROWS.len());
        for (index, row) in ROWS.iter().enumerate() {
            let output = stages[index].channels;
            let mut stage = Vec::new();
            for repeat in 0..scaling.repeats(index) {
                let stride = if repeat == 0 { row.stride } else { 1 };
                let shape = BlockShape { input, output, kernel: row.kernel, stride, expand: row.expand };
                let drop_connect = DROP_CONNECT * f64::from(number) / blocks_in_all as f64;
                stage.push(Block::new(&(p / "_blocks" / number), &shape, drop_connect, variant.symmetric));
                input = output;
                number += 1;
            }
            blocks.push(stage);
        }

        Ok(Self {
            conv_stem: SameConv2d::new(p / "_conv_stem", 3, STEM, 3, 2).symmetric(variant.symmetric),
            bn0: batch_norm(p / "_bn0", STEM),
            blocks,
            conv_head: SameConv2d::new(p / "_conv_head", input, HEAD, 1, 1),
            bn1: batch_norm(p / "_bn1", HEAD),
            fc: Head::new(p / "_fc", HEAD, &variant.hidden, classes, linear),
            dropout: scaling.dropout,
            stages,
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
        Some((STEM, 2))
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
        HEAD
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

    fn prepare(&self, gated: &dyn Fn(usize, usize) -> bool) -> Option<Box<dyn Prepared>> {
        let stage = |(stage, blocks): (usize, &Vec<Block>)| {
            let mut places = Places::of(stage, gated);
            let block = |(number, block): (usize, &Block)| {
                Some(places.block(block.kernel()?, number == 0 && block.expand.is_some(), block.residual))
            };
            blocks.iter().enumerate().map(block).collect()
        };
        Some(Box::new(Mobile {
            stem: self.conv_stem.fold(&self.bn0)?.convolution(self.conv_stem.axis(), Clamp::RELU6),
            stages: self.blocks.iter().enumerate().map(stage).collect::<Option<_>>()?,
            head: self.conv_head.fold(&self.bn1)?.pointwise(Clamp::NONE),
            head_clamp: Clamp::RELU6,
            classifier: self.fc.prepare()?,
        }))
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

    /// The block for inference.
    fn kernel(&self) -> Option<InvertedResidual> {
        let expand = match &self.expand {
            Some((conv, norm)) => Some(conv.fold(norm)?.pointwise(Clamp::RELU6)),
            None => None,
        };
        Some(InvertedResidual {
            expand,
            depthwise: self.depthwise_conv.fold(&self.bn1)?.depthwise(self.depthwise_conv.axis(), Clamp::RELU6),
            project: self.project_conv.fold(&self.bn2)?.pointwise(Clamp::NONE),
        })
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
