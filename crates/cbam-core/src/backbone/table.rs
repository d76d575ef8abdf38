//! The layers of every architecture, as its paper has them: the one place that says them.

use super::{Arch, InnerSite, Stage};

/// A network of inverted residual blocks (Sandler et al. 2018): MobileNetV2, and EfficientNet-Lite (Tan & Le 2019).
///
/// All blocks but the first of a stage add their input to their output.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Mobile {
    /// The channels that the stem gives out: a 3×3 convolution of stride 2.
    pub stem: i64,
    /// The stages.
    pub rows: Vec<MobileStage>,
    /// The channels of the last convolution: the features under the classifier.
    pub head: i64,
    /// The share of these that training drops.
    pub dropout: f64,
}

/// A stage of inverted residual blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MobileStage {
    /// How many blocks.
    pub blocks: usize,
    /// The side of their depthwise kernels.
    pub kernel: i64,
    /// The stride of the first.
    pub stride: i64,
    /// How many times as wide as a block's input its middle is.
    pub expand: i64,
    /// The channels that it gives out.
    pub channels: i64,
}

impl MobileStage {
    /// The stride of one of its blocks.
    pub const fn stride_of(&self, block: usize) -> i64 {
        if block == 0 { self.stride } else { 1 }
    }
}

const fn row(blocks: usize, kernel: i64, stride: i64, expand: i64, channels: i64) -> MobileStage {
    MobileStage { blocks, kernel, stride, expand, channels }
}

/// EfficientNet-Lite0.
const LITE0: [MobileStage; 7] = [
    row(1, 3, 1, 1, 16),
    row(2, 3, 2, 6, 24),
    row(2, 5, 2, 6, 40),
    row(3, 3, 2, 6, 80),
    row(3, 5, 1, 6, 112),
    row(4, 5, 2, 6, 192),
    row(1, 3, 1, 6, 320),
];

/// MobileNetV2, table 2 of its paper.
const MOBILE_NET_V2: [MobileStage; 7] = [
    row(1, 3, 1, 1, 16),
    row(2, 3, 2, 6, 24),
    row(3, 3, 2, 6, 32),
    row(4, 3, 2, 6, 64),
    row(3, 3, 1, 6, 96),
    row(3, 3, 2, 6, 160),
    row(1, 3, 1, 6, 320),
];

/// The table of a network of inverted residual blocks; `None` if `arch` is none.
pub fn mobile(arch: Arch) -> Option<Mobile> {
    let lite = |width, depth, dropout| {
        let rows = LITE0.iter().enumerate().map(|(index, row)| scaled(index, row, width, depth)).collect();
        Mobile { stem: 32, rows, head: 1280, dropout }
    };
    Some(match arch {
        Arch::EfficientNetLite0 => lite(1.0, 1.0, 0.2),
        Arch::EfficientNetLite1 => lite(1.0, 1.1, 0.2),
        Arch::EfficientNetLite2 => lite(1.1, 1.2, 0.3),
        Arch::MobileNetV2 => Mobile { stem: 32, rows: MOBILE_NET_V2.to_vec(), head: 1280, dropout: 0.2 },
        _ => return None,
    })
}

/// A stage of Lite0 as a larger member of the family has it: wider, and deeper but for the first and the last one.
fn scaled(index: usize, row: &MobileStage, width: f64, depth: f64) -> MobileStage {
    // Channels in multiples of 8, never more than 10 % under the scaled number.
    let scaled = row.channels as f64 * width;
    let rounded = ((scaled + 4.0) as i64 / 8 * 8).max(8);
    let channels = if (rounded as f64) < 0.9 * scaled { rounded + 8 } else { rounded };
    let fixed = index == 0 || index == LITE0.len() - 1;
    let blocks = if fixed { row.blocks } else { (row.blocks as f64 * depth).ceil() as usize };
    MobileStage { blocks, channels, ..*row }
}

impl Mobile {
    /// Its stages, with the widened features of each and the branches of its blocks as places inside.
    pub fn stages(&self) -> Vec<Stage> {
        let (mut input, mut stride) = (self.stem, 2);
        let stage = |(index, row): (usize, &MobileStage)| {
            let (name, channels) = (format!("stage{}", index + 1), row.channels);
            let expansion = (row.expand != 1).then(|| InnerSite::expansion(&name, input * row.expand, stride));
            (input, stride) = (channels, stride * row.stride);
            let branches = (1..row.blocks).map(|block| InnerSite::branch(&name, block, channels, stride));
            let inside = expansion.into_iter().chain(branches).collect();
            Stage { name, channels, stride, inside }
        };
        self.rows.iter().enumerate().map(stage).collect()
    }
}

/// A residual network (He et al. 2016), ResNeXt (Xie et al. 2017) or Wide ResNet (Zagoruyko & Komodakis 2016).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Residual {
    /// How many blocks each stage has.
    pub blocks: [usize; 4],
    /// Whether a block has three convolutions, 1×1, 3×3 and 1×1, or two of 3×3.
    pub bottleneck: bool,
    /// The groups of the 3×3 convolutions of bottlenecks.
    pub groups: i64,
    /// The channels of a group in the first stage's 3×3 convolutions.
    pub width: i64,
}

/// The table of a residual network; `None` if `arch` is none.
pub const fn residual(arch: Arch) -> Option<Residual> {
    let (blocks, bottleneck, groups, width) = match arch {
        Arch::ResNet18 => ([2, 2, 2, 2], false, 1, 64),
        Arch::ResNet34 => ([3, 4, 6, 3], false, 1, 64),
        Arch::ResNet50 => ([3, 4, 6, 3], true, 1, 64),
        Arch::ResNet101 => ([3, 4, 23, 3], true, 1, 64),
        Arch::ResNet152 => ([3, 8, 36, 3], true, 1, 64),
        Arch::ResNeXt50 => ([3, 4, 6, 3], true, 32, 4),
        Arch::ResNeXt101 => ([3, 4, 23, 3], true, 32, 8),
        Arch::WideResNet50 => ([3, 4, 6, 3], true, 1, 128),
        _ => return None,
    };
    Some(Residual { blocks, bottleneck, groups, width })
}

impl Residual {
    /// The channels that the stem gives out.
    pub const STEM: i64 = 64;

    /// The channels that a stage gives out.
    pub const fn channels(&self, stage: usize) -> i64 {
        (64 << stage) * if self.bottleneck { 4 } else { 1 }
    }

    /// The channels of a stage's 3×3 convolutions.
    pub const fn inner(&self, stage: usize) -> i64 {
        (self.width << stage) * self.groups
    }

    /// The stride of one of a stage's blocks.
    pub const fn stride(&self, stage: usize, block: usize) -> i64 {
        if stage > 0 && block == 0 { 2 } else { 1 }
    }

    /// The stages behind a stem whose cells cover `cell` pixels a side, with the branch of each block as a place inside.
    pub fn stages(&self, cell: i64) -> Vec<Stage> {
        let stage = |(index, blocks): (usize, usize)| {
            let (name, channels, stride) = (format!("layer{}", index + 1), self.channels(index), cell << index);
            let inside = (0..blocks).map(|block| InnerSite::branch(&name, block, channels, stride)).collect();
            Stage { name, channels, stride, inside }
        };
        self.blocks.into_iter().enumerate().map(stage).collect()
    }
}

/// A network of 3×3 convolutions one after the other (VGG; Simonyan & Zisserman 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plain {
    /// How many convolutions each stage has.
    pub convs: [usize; 5],
    /// Whether they are normalised.
    pub normalised: bool,
}

/// The table of a VGG; `None` if `arch` is none.
pub const fn plain(arch: Arch) -> Option<Plain> {
    let (convs, normalised) = match arch {
        Arch::Vgg11 => ([1, 1, 2, 2, 2], false),
        Arch::Vgg11Bn => ([1, 1, 2, 2, 2], true),
        Arch::Vgg13 => ([2, 2, 2, 2, 2], false),
        Arch::Vgg13Bn => ([2, 2, 2, 2, 2], true),
        Arch::Vgg16 => ([2, 2, 3, 3, 3], false),
        Arch::Vgg16Bn => ([2, 2, 3, 3, 3], true),
        Arch::Vgg19 => ([2, 2, 4, 4, 4], false),
        Arch::Vgg19Bn => ([2, 2, 4, 4, 4], true),
        _ => return None,
    };
    Some(Plain { convs, normalised })
}

impl Plain {
    /// The channels of the stages.
    pub const CHANNELS: [i64; 5] = [64, 128, 256, 512, 512];
    /// The cells a side that the classifier sees.
    pub const CELLS: i64 = 7;
    /// The values that it sees.
    pub const FEATURES: i64 = Self::CHANNELS[4] * Self::CELLS * Self::CELLS;
    /// The widths of its own hidden layers, `classifier.0` and `classifier.3`; others are called `classifier.hidden0` and so on.
    pub const HIDDEN: [i64; 2] = [4096; 2];

    /// Its stages; each but the first begins with a 2×2 max pooling.
    pub fn stages(&self) -> Vec<Stage> {
        let stage = |(index, &channels): (usize, &i64)| Stage {
            name: format!("stage{}", index + 1),
            channels,
            stride: 1 << index,
            inside: Vec::new(),
        };
        Self::CHANNELS.iter().enumerate().map(stage).collect()
    }

    /// The name of the classifier's layer number `layer`, of one with those hidden layers.
    pub fn layer_name(layer: usize, hidden: &[i64]) -> String {
        let count = if hidden.is_empty() { Self::HIDDEN.len() } else { hidden.len() };
        match layer {
            last if last == count => "classifier.6".to_owned(),
            own if hidden.is_empty() => format!("classifier.{}", 3 * own),
            other => format!("classifier.hidden{other}"),
        }
    }
}
