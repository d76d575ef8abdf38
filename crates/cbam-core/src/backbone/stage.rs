//! The stages of a backbone, and the places inside them.

/// One stage of a backbone: a run of blocks at one resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name, `stage1`, `layer1`, …
    pub name: String,
    /// The channels that it gives out.
    pub channels: i64,
    /// How many input pixels one of its cells covers along a side: the product of all strides up to here.
    pub stride: i64,
    /// The places inside it where attention may stand, in the order in which features pass them.
    pub inside: Vec<InnerSite>,
}

/// A place inside a [`Stage`] where attention may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InnerSite {
    /// Its name: the stage's, a dot, and the block's number from 0 (`layer3.5`) or `expansion`.
    pub name: String,
    /// What the features there are.
    pub kind: InnerKind,
    /// Their channels.
    pub channels: i64,
    /// How many input pixels one of their cells covers along a side.
    pub stride: i64,
}

/// What the features at an [`InnerSite`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InnerKind {
    /// The widened features inside the stage's first block: what an inverted residual block (Sandler et al. 2018)
    /// filters channel by channel, after its 1×1 convolution, normalisation and activation.
    Expansion,
    /// What a residual block adds to its input, normalised, before the addition: where the papers of CBAM and
    /// squeeze-excite put their attention.
    Branch,
}

impl InnerSite {
    /// The widened features of a stage's first block.
    pub(super) fn expansion(stage: &str, channels: i64, stride: i64) -> Self {
        Self { name: format!("{stage}.expansion"), kind: InnerKind::Expansion, channels, stride }
    }

    /// The branch of a stage's block number `block`.
    pub(super) fn branch(stage: &str, block: usize, channels: i64, stride: i64) -> Self {
        Self { name: format!("{stage}.{block}"), kind: InnerKind::Branch, channels, stride }
    }
}
