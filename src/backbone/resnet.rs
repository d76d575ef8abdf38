//! Residual networks (He et al. 2016), and their wider kin: ResNeXt (Xie et al. 2017) and Wide ResNet (Zagoruyko &
//! Komodakis 2016).
//!
//! `y = ReLU(x + F(x))`, with `F` two 3×3 convolutions, or 1×1, 3×3, 1×1 (a bottleneck), each normalised. A stage's first
//! block halves the resolution (not in `layer1`), on its 3×3 convolution. Structure and parameter names are
//! torchvision's; a [`Variant`] may halve on the first 1×1 convolution, and have another stem. Attention may stand on every
//! block's `F(x)`, before the addition (`layer1.0`, `layer3.5`, …), and behind the first convolution (`stem`).

use std::borrow::Borrow;

use tch::Tensor;
use tch::nn::{self, BatchNorm, Conv2D, Module, ModuleT};

use super::head::Head;
use super::layers::{ConvShape, batch_norm, conv, linear};
use super::table::{self, Residual};
use super::{Arch, Backbone, GateInside, GateStem, Stage, Stem, StrideIn, Variant};
use crate::{Error, Result};

/// The max pooling of a stem, of features `[N, C, h, w]`.
pub(super) fn pool(stem: Stem, xs: &Tensor) -> Tensor {
    let padding = i64::from(!stem.unpadded);
    xs.max_pool2d([3, 3], [2, 2], [padding; 2], [1, 1], stem.unpadded)
}

/// A residual network of any depth.
#[derive(Debug)]
pub struct ResNet {
    conv1: Conv2D,
    bn1: BatchNorm,
    stem: Stem,
    layers: Vec<Vec<Block>>, // by stage
    fc: Head,
    stages: Vec<Stage>,
}

impl ResNet {
    /// Builds `arch` under `p`, with torchvision's start and a classifier of `classes` classes.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `arch` is no residual network.
    ///
    /// # Panics
    /// If `classes` is negative.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64) -> Result<Self> {
        Self::of(p, arch, classes, &Variant::default())
    }

    /// Builds a variant of `arch` likewise; 0 classes leave the classifier out.
    pub(super) fn of<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64, variant: &Variant) -> Result<Self> {
        let p = p.borrow();
        let shape = table::residual(arch).ok_or_else(|| Error::argument("backbone", format!("{arch} is no ResNet")))?;
        let mut input = Residual::STEM;
        let mut layers = Vec::new();
        for (index, blocks) in shape.blocks.into_iter().enumerate() {
            let stage = p / format!("layer{}", index + 1);
            let mut layer = Vec::new();
            for block in 0..blocks {
                let stride = shape.stride(index, block);
                layer.push(Block::new(&(&stage / block), &shape, index, input, (stride, variant.stride_in)));
                input = shape.channels(index);
            }
            layers.push(layer);
        }
        let stem = variant.stem;
        let first = ConvShape { input: 3, output: Residual::STEM, kernel: stem.kernel, stride: stem.stride, groups: 1 };
        Ok(Self {
            conv1: conv(p / "conv1", &first, false),
            bn1: batch_norm(p / "bn1", Residual::STEM),
            stem,
            layers,
            fc: Head::new(p / "fc", input, &variant.hidden, classes, linear),
            stages: shape.stages(stem.cell()),
        })
    }
}

impl Backbone for ResNet {
    fn stages(&self) -> &[Stage] {
        &self.stages
    }

    fn stem_gated(&self, xs: &Tensor, train: bool, gate: &mut GateStem<'_>) -> Result<Tensor> {
        let xs = gate(&self.bn1.forward_t(&self.conv1.forward(xs), train).relu_())?;
        Ok(if self.stem.max_pool { pool(self.stem, &xs) } else { xs })
    }

    fn stem_place(&self) -> Option<(i64, i64)> {
        Some((Residual::STEM, self.stem.stride))
    }

    fn stage_gated(&self, index: usize, xs: &Tensor, train: bool, gate: &mut GateInside<'_>) -> Result<Tensor> {
        self.layers[index].iter().enumerate().try_fold(xs.shallow_clone(), |xs, (number, block)| {
            let branch = gate(number, &block.branch(&xs, train))?;
            Ok((branch + block.shortcut(&xs, train)).relu_())
        })
    }

    fn head_channels(&self) -> i64 {
        self.fc.features()
    }

    fn head_conv(&self, xs: &Tensor, _train: bool) -> Tensor {
        xs.shallow_clone()
    }

    fn head_activation(&self, features: &Tensor) -> Tensor {
        features.shallow_clone()
    }

    fn classify(&self, features: &Tensor, _train: bool) -> Tensor {
        self.fc.forward(&features.adaptive_avg_pool2d([1, 1]).flatten(1, -1)) // [N, features]
    }

    fn classifier_weight(&self) -> Option<Tensor> {
        self.fc.weight()
    }
}

/// A convolution and its normalisation.
type Layer = (Conv2D, BatchNorm);

/// One residual block.
#[derive(Debug)]
struct Block {
    layers: Vec<Layer>,
    downsample: Option<Layer>,
}

impl Block {
    /// A block of a stage; one of three layers has its stride where the second value says, one of two in its first.
    fn new(p: &nn::Path<'_>, shape: &Residual, stage: usize, input: i64, (stride, stride_in): (i64, StrideIn)) -> Self {
        let (output, inner) = (shape.channels(stage), shape.inner(stage));
        let [first, second] = if stride_in == StrideIn::Middle { [1, stride] } else { [stride, 1] };
        let of = |input, output, kernel, stride, groups| ConvShape { input, output, kernel, stride, groups };
        let shapes = if shape.bottleneck {
            vec![of(input, inner, 1, first, 1), of(inner, inner, 3, second, shape.groups), of(inner, output, 1, 1, 1)]
        } else {
            vec![of(input, inner, 3, stride, 1), of(inner, output, 3, 1, 1)]
        };
        let layer = |(index, shape): (usize, &ConvShape)| {
            let number = index + 1;
            let norm = batch_norm(p / format!("bn{number}"), shape.output);
            (conv(p / format!("conv{number}"), shape, false), norm)
        };
        let downsample = (stride != 1 || input != output).then(|| {
            let p = p / "downsample";
            (conv(&p / 0, &of(input, output, 1, stride, 1), false), batch_norm(&p / 1, output))
        });
        let layers = shapes.iter().enumerate().map(layer).collect();
        Self { layers, downsample }
    }

    /// What the block adds to its input, normalised, before any activation.
    fn branch(&self, xs: &Tensor, train: bool) -> Tensor {
        let mut xs = xs.shallow_clone();
        for (number, (conv, norm)) in self.layers.iter().enumerate() {
            if number > 0 {
                xs = xs.relu_();
            }
            xs = norm.forward_t(&conv.forward(&xs), train);
        }
        xs
    }

    /// The block's input, in the shape of its output.
    fn shortcut(&self, xs: &Tensor, train: bool) -> Tensor {
        match &self.downsample {
            Some((conv, norm)) => norm.forward_t(&conv.forward(xs), train),
            None => xs.shallow_clone(),
        }
    }
}
