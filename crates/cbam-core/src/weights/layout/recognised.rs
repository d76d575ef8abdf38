//! What recognising a network tells, and what it takes for granted.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::{AttentionKind, Layout, SiteAttention};
use crate::attention::PoolOrder;
use crate::backbone::{Arch, StrideIn, Variant};
use crate::weights::StoredTensor;
use crate::weights::refusal::Refusal;

/// ImageNet's.
const PUBLISHED_CLASSES: i64 = 1000;

/// What is known of a network beyond its tensors' names and shapes.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RecogniseOptions {
    /// The backbone that it is. What this has no use for is then left out, unless it looks like attention.
    pub arch: Option<Arch>,
    /// Leave out attention too; with [`arch`](Self::arch).
    pub drop_attention: bool,
    /// The convolution of its bottlenecks that halves the resolution.
    pub stride_in: Option<StrideIn>,
    /// Which of the two pooled maps its spatial gates see first.
    pub pool_order: Option<PoolOrder>,
    /// Whether a max pooling follows the first convolution of a residual network.
    pub max_pool: Option<bool>,
    /// Whether an EfficientNet-Lite in timm's names is padded alike on both sides, as timm's `efficientnet_lite0`, or as TensorFlow
    /// does, as its `tf_efficientnet_lite0`.
    pub symmetric: Option<bool>,
}

/// What names and shapes do not tell, and was taken for granted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assumption {
    /// What was taken for granted, as a statement.
    pub what: String,
    /// What says otherwise, if anything does.
    pub otherwise: Option<Otherwise>,
}

/// What says otherwise than an assumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Otherwise {
    /// [`RecogniseOptions::stride_in`].
    StrideIn(StrideIn),
    /// [`RecogniseOptions::pool_order`].
    PoolOrder(PoolOrder),
    /// [`RecogniseOptions::max_pool`].
    MaxPool(bool),
    /// [`RecogniseOptions::symmetric`].
    Symmetric(bool),
    /// For how it takes pictures, a network's `Preprocess`; of the rest a reference, which PyTorch made, shows whether it is so.
    Input,
    /// `ScriptOptions::classes`.
    ScriptClasses,
    /// [`FixedSize::squeeze`](crate::photo::FixedSize::squeeze).
    Squeeze,
}

impl Assumption {
    /// One that nothing, or what `otherwise` names, says otherwise than.
    pub fn new(what: impl Into<String>, otherwise: Option<Otherwise>) -> Self {
        Self { what: what.into(), otherwise }
    }

    /// As a statement, with what a program has to say of what says otherwise: `else --stem-pool none`, say.
    pub fn said_with(&self, say: &dyn Fn(Otherwise) -> Option<String>) -> String {
        match self.otherwise.and_then(say) {
            Some(otherwise) => format!("{} ({otherwise})", self.what),
            None => self.what.clone(),
        }
    }
}

impl Display for Assumption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// What the names and shapes of a checkpoint's tensors tell, and its tensors in this crate's names.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recognised {
    /// Whose names they were.
    pub layout: Layout,
    /// The backbone, by torchvision's name (`resnet50`, `vgg16_bn`, …) or `efficientnet-lite0`, `1`, `2`.
    pub arch: String,
    /// The number of classes; 0 if there is no classifier.
    pub classes: i64,
    /// The channels of the first convolution. Published networks have 64, `MobileNetV2` and EfficientNet-Lite 32.
    pub width: i64,
    /// The attention, in the order in which features pass it.
    pub attention: Vec<SiteAttention>,
    /// How the backbone differs from the usual one of its name.
    pub variant: Variant,
    /// What stood before the network's names, with the dot at its end; empty if nothing did.
    pub prefix: String,
    /// What was taken for granted.
    pub assumptions: Vec<Assumption>,
    /// The names of the tensors that the network has no use for, sorted: those of a loss, of a projection head, counters other than
    /// BatchNorm's.
    pub left_out: Vec<String>,
    /// The tensors by the names of this crate's networks: `backbone.` and torchvision's name, `attention.`, the site with
    /// `_` for `.`, the kind, and the name inside; reshaped where linear layers were 1×1 convolutions. They share
    /// memory with the checkpoint's where they are the same. Counters are left out.
    pub tensors: BTreeMap<String, StoredTensor>,
    /// How many of the tensors left out look like attention.
    pub(super) dropped: usize,
}

impl Recognised {
    /// What is left to take for granted of any network, in one; nothing of EfficientNet-Lite as it was published, in its own names and
    /// with its classes.
    pub(super) fn all_else(&self) -> Option<Assumption> {
        let arch: Arch = self.arch.parse().ok()?;
        let published = self.layout == Layout::EfficientNetLite && self.attention.is_empty() && self.variant.is_usual();
        if published && self.classes == PUBLISHED_CLASSES {
            return None;
        }
        let lite = arch.is_efficientnet_lite();
        let layers = match self.arch.as_str() {
            _ if lite => "ReLU6",
            vgg if vgg.starts_with("vgg") => "ReLU",
            "mobilenet_v2" => "ReLU6, a first convolution of stride 2",
            _ if self.attention.iter().any(|place| place.site.contains('.')) => {
                "ReLU, stages that halve by a strided convolution, gates before the addition"
            }
            _ => "ReLU, stages that halve by a strided convolution",
        };
        let scaled = match (self.variant.grey, lite && !self.variant.symmetric) {
            (true, _) => "from 0 to 1, less 0.449, over 0.226",
            (false, true) => "scaled to ±1",
            (false, false) => "less ImageNet's mean",
        };
        let whose = if lite { "the published" } else { "torchvision's" };
        let what = format!("all else as {whose} {arch}: {layers}, pictures of {} {scaled}", arch.input_size());
        Some(Assumption::new(what, Some(Otherwise::Input)))
    }

    /// Refuses options without effect.
    pub(super) fn check(&self, options: &RecogniseOptions) -> Result<(), Refusal> {
        let spatial = |place: &SiteAttention| match &place.kind {
            AttentionKind::Cbam(cbam) => cbam.spatial.is_some(),
            AttentionKind::Spatial(_) => true,
            _ => false,
        };
        if let Some(arch) = options.arch
            && arch.name() != self.arch
        {
            return Err(format!("its names and shapes are those of {}, not of {arch}", self.arch).into());
        }
        if options.pool_order.is_some() && !self.attention.iter().any(spatial) {
            let why = format!("{} without spatial gates of two pools", self.arch);
            return Err(Refusal::idle("pool_order", why));
        }
        if options.drop_attention && options.arch.is_none() {
            return Err("`drop_attention` is for a file taken for a backbone: name it as `arch`".into());
        }
        if options.drop_attention && self.dropped == 0 {
            return Err(Refusal::idle("drop_attention", format!("{} without attention", self.arch)));
        }
        Ok(())
    }
}

impl Display for Recognised {
    /// In one line: the backbone, the classes, the attention and its places.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.classes {
            0 => write!(f, "{}, no classifier", self.arch)?,
            1 => write!(f, "{}, 1 class", self.arch)?,
            classes => write!(f, "{}, {classes} classes", self.arch)?,
        }
        let kinds = ["cbam", "spatial", "bam", "se", "eca"];
        for kind in kinds {
            let sites: Vec<&SiteAttention> = self.attention.iter().filter(|site| site.kind.name() == kind).collect();
            match sites.as_slice() {
                [] => {}
                [only] => write!(f, ", {kind} at {}", only.site)?,
                [first, .., last] => write!(f, ", {kind} at {} places, {} to {}", sites.len(), first.site, last.site)?,
            }
        }
        Ok(())
    }
}
