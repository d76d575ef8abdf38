//! Inverted residual blocks: EfficientNet-Lite and MobileNetV2.

use super::head::Head;
use super::{Backbone, GateInside, GateStem};
use crate::Result;
use crate::backbone::table;
use crate::kernels::bf16::Unit;
use crate::kernels::{Axis, Clamp, Convolution, InvertedResidual, Map, Padding, Pointwise};
use crate::network::NetworkConfig;
use crate::network::parameters::{Layer, Named};

/// A network of inverted residual blocks.
#[derive(Debug)]
pub(super) struct Mobile {
    stem: Convolution,
    stages: Vec<Vec<Block>>,
    head: Pointwise,
    classifier: Head,
}

/// One block.
#[derive(Debug)]
struct Block {
    kernel: InvertedResidual,
    residual: bool,
    /// The place inside the stage that its widened features are, if they are gated.
    gated_expansion: Option<usize>,
    /// The place inside the stage that its branch is, if that is gated.
    gated_branch: Option<usize>,
}

/// How a code base calls the layers of these networks, and pads and normalises them.
#[derive(Debug, Clone, Copy)]
struct Style {
    lite: bool,
    symmetric: bool,
}

impl Style {
    fn eps(self) -> f64 {
        if self.lite { 1e-3 } else { 1e-5 }
    }

    /// A convolution with its BatchNorm in it.
    fn folded<'a>(self, p: &Named<'a>, [conv, norm]: [&str; 2], shape: [usize; 4]) -> Result<Layer<'a>> {
        Ok(p.at(conv).layer(&shape, false)?.normalised(p.at(norm).norm(shape[0], self.eps())?))
    }

    fn axis(self, kernel: i64, stride: i64) -> Axis {
        let kernel = kernel as usize;
        let padding = if self.symmetric { Padding::Each(kernel / 2) } else { Padding::Same };
        Axis { kernel, stride: stride as usize, padding }
    }

    /// The names of a block's layer and its norm: number 0 widens, 1 filters, 2 narrows.
    fn names(self, layer: usize, widens: bool) -> [String; 2] {
        if self.lite {
            let conv = ["_expand_conv", "_depthwise_conv", "_project_conv"][layer];
            return [conv.to_owned(), format!("_bn{layer}")];
        }
        let number = if widens { layer } else { layer - 1 };
        if layer == 2 {
            return [number.to_string(), (number + 1).to_string()]; // without an activation it is no block of its own
        }
        [format!("{number}.0"), format!("{number}.1")]
    }
}

impl Mobile {
    pub(super) fn new(
        table: &table::Mobile,
        config: &NetworkConfig,
        p: &Named<'_>,
        gated: &dyn Fn(usize, usize) -> bool,
    ) -> Result<Self> {
        let lite = config.arch.is_efficientnet_lite();
        let style = Style { lite, symmetric: config.variant.symmetric || !lite };
        let (mut input, mut number) = (table.stem as usize, usize::from(!lite));
        let mut stages = Vec::with_capacity(table.rows.len());
        for (stage, row) in table.rows.iter().enumerate() {
            let mut places = Places { stage, next: 0, gated };
            let mut blocks = Vec::with_capacity(row.blocks);
            for block in 0..row.blocks {
                let p = if lite { p.at("_blocks").at(number) } else { p.at("features").at(number).at("conv") };
                let (wide, outputs) = (input * row.expand as usize, row.channels as usize);
                let widens = row.expand != 1;
                let layer = |layer: usize, shape| {
                    let [conv, norm] = style.names(layer, widens);
                    style.folded(&p, [&conv, &norm], shape)
                };
                let side = row.kernel as usize;
                let expand =
                    widens.then(|| Ok::<_, crate::Error>(layer(0, [wide, input, 1, 1])?.pointwise(Clamp::RELU6)));
                let axis = style.axis(row.kernel, row.stride_of(block));
                let kernel = InvertedResidual {
                    expand: expand.transpose()?,
                    depthwise: layer(1, [wide, 1, side, side])?.depthwise(axis, Clamp::RELU6),
                    project: layer(2, [outputs, wide, 1, 1])?.pointwise(Clamp::NONE),
                };
                let gated_expansion = places.next(block == 0 && widens);
                let gated_branch = places.next(block > 0);
                blocks.push(Block { kernel, residual: block > 0, gated_expansion, gated_branch });
                (input, number) = (outputs, number + 1);
            }
            stages.push(blocks);
        }
        let stem = if lite { ["_conv_stem", "_bn0"] } else { ["features.0.0", "features.0.1"] };
        let last = [format!("features.{number}.0"), format!("features.{number}.1")];
        let last = if lite { ["_conv_head", "_bn1"] } else { [last[0].as_str(), last[1].as_str()] };
        let only = if lite { "_fc" } else { "classifier.1" };
        let head = table.head as usize;
        Ok(Self {
            stem: style.folded(p, stem, [table.stem as usize, 3, 3, 3])?.convolution(style.axis(3, 2), 1, Clamp::RELU6),
            stages,
            head: style.folded(p, last, [head, input, 1, 1])?.pointwise(Clamp::NONE),
            classifier: Head::pooled(p, only, head, &config.variant.hidden, config.classes)?,
        })
    }
}

/// Numbers the places inside a stage as they come.
struct Places<'a> {
    stage: usize,
    next: usize,
    gated: &'a dyn Fn(usize, usize) -> bool,
}

impl Places<'_> {
    /// The next place if `exists` says that there is one, and its features are wanted.
    fn next(&mut self, exists: bool) -> Option<usize> {
        let place = self.next;
        self.next += usize::from(exists);
        (exists && (self.gated)(self.stage, place)).then_some(place)
    }
}

impl Backbone for Mobile {
    fn stem(&self, xs: Map, gate: &mut GateStem<'_>) -> Result<Map> {
        gate(self.stem.forward(&xs, None))
    }

    fn stage(&self, index: usize, xs: Map, gate: &mut GateInside<'_>) -> Result<Map> {
        self.stages[index].iter().try_fold(xs, |xs, block| block.forward(xs, gate))
    }

    /// Where the first stage is one block that filters what the stem gives, as in all these networks.
    fn first_stage(&self, xs: &Map) -> Option<Map> {
        match &self.stages[0][..] {
            [Block { kernel, residual: false, gated_branch: None, .. }] if kernel.expand.is_none() => {
                Some(kernel.behind(&self.stem, xs))
            }
            _ => None,
        }
    }

    fn head_conv(&self, xs: Map) -> Map {
        self.head.forward(&xs)
    }

    fn head_activation(&self, features: Map) -> Map {
        features.clamped(Clamp::RELU6)
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
        let block = |block: Block| Block { kernel: block.kernel.in_bf16(unit), ..block };
        let stages = self.stages.into_iter().map(|blocks| blocks.into_iter().map(block).collect()).collect();
        Box::new(Self { stages, head: self.head.in_bf16(unit), ..*self })
    }
}

impl Block {
    fn forward(&self, xs: Map, gate: &mut GateInside<'_>) -> Result<Map> {
        let adds = self.residual && self.gated_branch.is_none();
        let branch = match (self.gated_expansion, &self.kernel.expand) {
            (Some(place), Some(expand)) => {
                let gated = gate(place, expand.forward(&xs))?;
                self.kernel.filter(&gated, adds.then_some(&xs))
            }
            _ => self.kernel.forward(&xs, adds),
        };
        let Some(place) = self.gated_branch else { return Ok(branch) };
        Ok(gate(place, branch)?.add(&xs, Clamp::NONE))
    }
}
