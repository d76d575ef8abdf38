//! Residual networks: ResNet, ResNeXt, Wide ResNet.

use super::head::Head;
use super::{Backbone, GateInside, GateStem};
use crate::backbone::{Stem, StrideIn, table};
use crate::kernels::bf16::Unit;
use crate::kernels::{Axis, Clamp, Convolution, Map, Padding, max_pool};
use crate::network::NetworkConfig;
use crate::network::parameters::Named;
use crate::{Error, Result};

const EPS: f64 = 1e-5;

/// A residual network.
#[derive(Debug)]
pub(super) struct Residual {
    stem: Convolution,
    /// The stem's form: which pooling follows its convolution.
    pooled: Stem,
    stages: Vec<Vec<Block>>,
    classifier: Head,
}

/// One block: two layers or three.
#[derive(Debug)]
struct Block {
    layers: Vec<Convolution>,
    downsample: Option<Convolution>,
    /// The place inside the stage that its branch is, if that is gated; its last layer has no activation then.
    gated: Option<usize>,
}

/// A convolution from one number of channels to another, padded by half its kernel, and its BatchNorm.
struct Shape {
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
}

impl Shape {
    fn read(&self, p: &Named<'_>, conv: &str, norm: &str, clamp: Clamp) -> Result<Convolution> {
        let &Self { input, output, kernel, stride, groups } = self;
        let axis = Axis { kernel, stride, padding: Padding::Each(kernel / 2) };
        let layer = p.at(conv).layer(&[output, input / groups, kernel, kernel], false)?;
        Ok(layer.normalised(p.at(norm).norm(output, EPS)?).convolution(axis, groups, clamp))
    }
}

impl Residual {
    pub(super) fn new(
        table: &table::Residual,
        config: &NetworkConfig,
        p: &Named<'_>,
        gated: &dyn Fn(usize, usize) -> bool,
    ) -> Result<Self> {
        let variant = &config.variant;
        let mut input = table::Residual::STEM as usize;
        let mut stages = Vec::new();
        for (stage, blocks) in table.blocks.into_iter().enumerate() {
            let p = p.at(format!("layer{}", stage + 1));
            let mut read = Vec::with_capacity(blocks);
            for block in 0..blocks {
                let gated = gated(stage, block).then_some(block);
                let stride = table.stride(stage, block) as usize;
                read.push(Block::new(&p.at(block), table, stage, (input, stride, variant.stride_in), gated)?);
                input = table.channels(stage) as usize;
            }
            stages.push(read);
        }
        let (kernel, stride) = (variant.stem.kernel as usize, variant.stem.stride as usize);
        let stem = Shape { input: 3, output: table::Residual::STEM as usize, kernel, stride, groups: 1 };
        Ok(Self {
            stem: stem.read(p, "conv1", "bn1", Clamp::RELU)?,
            pooled: variant.stem,
            stages,
            classifier: Head::pooled(p, "fc", input, &variant.hidden, config.classes)?,
        })
    }
}

impl Block {
    fn new(
        p: &Named<'_>,
        table: &table::Residual,
        stage: usize,
        (input, stride, stride_in): (usize, usize, StrideIn),
        gated: Option<usize>,
    ) -> Result<Self> {
        let (output, inner) = (table.channels(stage) as usize, table.inner(stage) as usize);
        let of = |input, output, kernel, stride, groups| Shape { input, output, kernel, stride, groups };
        let shapes = if table.bottleneck {
            let [first, second] = if stride_in == StrideIn::Middle { [1, stride] } else { [stride, 1] };
            let groups = table.groups as usize;
            vec![of(input, inner, 1, first, 1), of(inner, inner, 3, second, groups), of(inner, output, 1, 1, 1)]
        } else {
            vec![of(input, inner, 3, stride, 1), of(inner, output, 3, 1, 1)]
        };
        let last = shapes.len() - 1;
        let layer = |(index, shape): (usize, &Shape)| {
            let clamp = if index == last && gated.is_some() { Clamp::NONE } else { Clamp::RELU };
            shape.read(p, &format!("conv{}", index + 1), &format!("bn{}", index + 1), clamp)
        };
        let downsample = (stride != 1 || input != output)
            .then(|| of(input, output, 1, stride, 1).read(p, "downsample.0", "downsample.1", Clamp::NONE));
        let layers = shapes.iter().enumerate().map(layer).collect::<Result<_>>()?;
        Ok(Self { layers, downsample: downsample.transpose()?, gated })
    }

    fn forward(&self, xs: Map, gate: &mut GateInside<'_>) -> Result<Map> {
        let shortcut = self.downsample.as_ref().map(|layer| layer.forward(&xs, None));
        let shortcut = shortcut.as_ref().unwrap_or(&xs);
        let [first, inner @ .., last] = &self.layers[..] else { unreachable!("a block has two layers or three") };
        let inner = inner.iter().fold(first.forward(&xs, None), |xs, layer| layer.forward(&xs, None));
        let Some(place) = self.gated else { return Ok(last.forward(&inner, Some(shortcut))) };
        Ok(gate(place, last.forward(&inner, None))?.add(shortcut, Clamp::RELU))
    }
}

impl Backbone for Residual {
    fn stem(&self, xs: Map, gate: &mut GateStem<'_>) -> Result<Map> {
        let xs = gate(self.stem.forward(&xs, None))?;
        if !self.pooled.max_pool {
            return Ok(xs);
        }
        let padding = if self.pooled.unpadded { Padding::Beyond } else { Padding::Each(1) };
        let axis = Axis { kernel: 3, stride: 2, padding };
        if axis.fits(xs.height()) && axis.fits(xs.width()) {
            return Ok(max_pool(&xs, axis));
        }
        let (expected, got) =
            ("features of 3x3 positions at least".to_owned(), format!("{}x{}", xs.width(), xs.height()));
        Err(Error::Input { layer: "stem", expected, got })
    }

    fn stage(&self, index: usize, xs: Map, gate: &mut GateInside<'_>) -> Result<Map> {
        self.stages[index].iter().try_fold(xs, |xs, block| block.forward(xs, gate))
    }

    fn classify(&self, features: &Map) -> Result<Vec<f32>> {
        self.classifier.classify(features)
    }

    fn slope(&self, features: &Map, weights: &[f32]) -> Vec<f32> {
        self.classifier.slope(features, weights)
    }

    fn slope_at_mean(&self, mean: &Map, weights: &[f32]) -> Option<Vec<f32>> {
        Some(self.classifier.slope_pooled(mean, weights))
    }

    fn in_bf16(self: Box<Self>, unit: Unit) -> Box<dyn Backbone> {
        let convolution = |convolution: Convolution| convolution.in_bf16(unit);
        let block = |block: Block| Block {
            layers: block.layers.into_iter().map(convolution).collect(),
            downsample: block.downsample.map(convolution),
            ..block
        };
        let stages = self.stages.into_iter().map(|blocks| blocks.into_iter().map(block).collect()).collect();
        Box::new(Self { stem: convolution(self.stem), stages, ..*self })
    }
}
