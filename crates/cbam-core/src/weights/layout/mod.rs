//! Which network a checkpoint is of, recognised by the names and shapes of its tensors alone.
//!
//! | module | what |
//! |---|---|
//! | `host` | where a network's names begin, and whose they are |
//! | `residual` | residual networks |
//! | `plain` | VGG, `MobileNetV2`, EfficientNet-Lite |
//! | `attention`, `bam` | gates inside blocks, by their shapes |
//! | `places` | gates beside the stages |
//! | `head`, `vgg`, `fold` | the classifier, and VGG's; its layers as affine maps |
//! | `grey` | first convolutions of one channel |
//! | `pytorchcv`, `timm` | their names of layers, to those of torchvision and of EfficientNet-Lite's published weights |
//! | `modules`, `rest` | the tensors by module, and which of them are explained; what becomes of the others |
//! | `way` | what may stand before the classifier or behind it |
//! | `names`, `words` | their names; what these say |
//!
//! What names and shapes cannot tell is an [`Assumption`], which [`RecogniseOptions`] may decide.
//!
//! | layout | prefix of a block's attention | its MLP | its 7×7 convolution sees |
//! |---|---|---|---|
//! | Jongchan/attention-module | `layer1.0.cbam.` | `ChannelGate.mlp.1`, `.3`: linear, bias | max, mean |
//! | timm | `layer1.0.se.` | `channel.fc1`, `.fc2`: 1×1 convolution | mean, max |
//! | pytorchcv | `features.stage1.unit1.cbam.` | `ch_gate.mlp.fc1`, `.fc2`: linear, bias | max, mean |
//! | ca / sa (luuuyi and its copies) | `layer1.0.` | `ca.fc.0`, `.2` or `ca.fc1`, `.fc2`: 1×1 convolution | mean, max, mostly |
//! | any other | any | two layers, `[C / r, C]` and `[C, C / r]` | mean, max, mostly |

mod attention;
mod bam;
mod fold;
mod grey;
mod head;
mod host;
mod modules;
mod names;
mod places;
mod plain;
mod pytorchcv;
mod recognised;
mod residual;
mod rest;
mod timm;
mod vgg;
mod way;
mod words;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::refusal::Refusal;
use super::{Checkpoint, StoredTensor};
use crate::attention::{CbamConfig, SpatialAttentionConfig};
use crate::{Remedy, Result};
use host::{Family, Host};
use names::{LISTED, listed};
pub use recognised::{Assumption, Otherwise, RecogniseOptions, Recognised};

/// Whose names a checkpoint's tensors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// torchvision's, without attention.
    Torchvision,
    /// EfficientNet-Lite's published PyTorch weights.
    EfficientNetLite,
    /// Those of the official CBAM and BAM, Jongchan/attention-module.
    Official,
    /// timm's.
    Timm,
    /// pytorchcv's.
    Pytorchcv,
    /// `ca` and `sa` in every block, as luuuyi/CBAM.PyTorch and its many copies have them.
    CaSa,
    /// Attention in any other names: its shapes tell what it is.
    OtherNames,
}

impl Display for Layout {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Torchvision => "torchvision",
            Self::EfficientNetLite => "EfficientNet-Lite",
            Self::Official => "Jongchan/attention-module",
            Self::Timm => "timm",
            Self::Pytorchcv => "pytorchcv",
            Self::CaSa => "ca / sa (luuuyi/CBAM.PyTorch)",
            Self::OtherNames => "other names, told by shapes",
        })
    }
}

/// The attention at one place of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteAttention {
    /// Where: inside a residual block before the addition (`layer3.5`), after a stage (`layer3`), or behind the first
    /// convolution (`stem`).
    pub site: String,
    /// The channels of the features there.
    pub channels: i64,
    /// Which attention, and how it is built.
    pub kind: AttentionKind,
}

/// Which attention stands at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttentionKind {
    /// CBAM. The pools of its channel attention leave no trace in a checkpoint: avg and max are taken for granted.
    Cbam(CbamConfig),
    /// The spatial attention of CBAM alone.
    Spatial(SpatialAttentionConfig),
    /// BAM, in the form that multiplies its two branches, with dilation 4; neither leaves a trace in a checkpoint.
    Bam {
        /// The reduction r of both branches: their width is C / r, rounded down.
        reduction: i64,
    },
    /// Squeeze-and-excitation.
    SqueezeExcite {
        /// The reduction r: the width between its two layers is C / r, rounded down.
        reduction: i64,
        /// Whether the layers have biases.
        bias: bool,
    },
    /// Efficient channel attention, padded with zeros; timm's circular variant leaves the same trace.
    Eca {
        /// The length of its convolution along the channels.
        kernel_size: i64,
    },
}

impl AttentionKind {
    /// Its short name: `cbam`, `spatial`, `bam`, `se` or `eca`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Cbam(_) => "cbam",
            Self::Spatial(_) => "spatial",
            Self::Bam { .. } => "bam",
            Self::SqueezeExcite { .. } => "se",
            Self::Eca { .. } => "eca",
        }
    }
}

impl Checkpoint {
    /// Tells which network the tensors are of, by their names and shapes alone: torchvision's residual networks, VGGs and
    /// `MobileNetV2`, and EfficientNet-Lite, under any prefix and with any linear classifier or none; and attention in
    /// them: CBAM, its spatial half alone, squeeze-and-excitation and ECA under any names inside residual blocks, behind the
    /// first convolution and behind stages, and BAM in the names of its authors and of pytorchcv.
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) if it is none of them, with the keys that stand in the way.
    pub fn recognise(&self) -> Result<Recognised> {
        self.recognise_with(&RecogniseOptions::default())
    }

    /// As [`recognise`](Self::recognise), with what names and shapes cannot tell decided by these options.
    ///
    /// # Errors
    /// As [`recognise`](Self::recognise); also if an option has no effect on this network.
    pub fn recognise_with(&self, options: &RecogniseOptions) -> Result<Recognised> {
        let hosts = host::find(&self.tensors);
        let [host] = &hosts[..] else { return Err(not_one(&self.tensors, &hosts).about(self.name())) };
        let modules = host.modules(&self.tensors);
        let prefix = host.prefix.as_str();
        let found = match host.family {
            Family::Residual(whose) => residual::recognise(modules, whose, prefix, options),
            Family::EfficientNetLite { timm } => plain::efficientnet_lite(modules, timm, prefix, options),
            Family::MobileNetV2 => plain::mobilenet_v2(modules, prefix, options),
            Family::Vgg => plain::vgg(modules, prefix, options),
        };
        let under = if prefix.is_empty() { String::new() } else { format!(" (under the prefix {prefix:?})") };
        let mut found = found.map_err(|Refusal { message, remedy }| {
            Refusal { message: format!("{message}{under}"), remedy }.about(self.name())
        })?;
        found.check(options).map_err(|refusal| refusal.about(self.name()))?;
        found.assumptions.extend(found.all_else());
        Ok(found)
    }
}

/// What can be said of a file that shows no network, or several.
fn not_one(tensors: &BTreeMap<String, StoredTensor>, hosts: &[Host]) -> Refusal {
    if hosts.len() < 2 {
        return stranger(tensors).into();
    }
    let prefixes = hosts.iter().take(LISTED).map(|host| host.prefix.trim_end_matches('.').to_owned()).collect();
    Refusal::helped(format!("{} networks, each under a prefix", hosts.len()), Remedy::Part(prefixes))
}

/// What can be said of tensors that belong to no backbone that is known.
fn stranger(tensors: &BTreeMap<String, StoredTensor>) -> String {
    let any = |part: &str| tensors.keys().any(|name| name.starts_with(part) || name.contains(&format!(".{part}")));
    let known = "ResNet, ResNeXt, wide ResNet, VGG, MobileNetV2 and EfficientNet-Lite are";
    let attends = |(name, tensor): &(&String, &StoredTensor)| words::looks_like_attention(name, Some(tensor.shape()));
    let attention: Vec<&str> = tensors.iter().filter(attends).map(|(name, _)| name.as_str()).collect();
    let prefix = common_prefix(tensors).map(|prefix| format!("; all names begin with {prefix:?}"));
    let attends = (!attention.is_empty()).then(|| format!("; attention: {}", listed(&attention)));
    let also = prefix.unwrap_or_default() + &attends.unwrap_or_default();
    if any("conv1.0.") && any("layer1.0.") {
        return format!(
            "a ResNet with a stem of several convolutions (conv1.0.weight), which is not known here; {known}{also}"
        );
    }
    if any("layer1.0.conv1.") {
        return format!(
            "residual blocks (layer1.0.conv1), but not four stages of them behind one convolution and BatchNorm, which is not \
             known here; {known}{also}"
        );
    }
    let first: Vec<&str> = tensors.keys().map(String::as_str).take(4).collect();
    format!("no network that is known here: its keys begin with {}; {known}{also}", first.join(", "))
}

/// What all names have before a dot.
fn common_prefix(tensors: &BTreeMap<String, StoredTensor>) -> Option<&str> {
    let (first, last) = (tensors.keys().next()?, tensors.keys().next_back()?);
    let same = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    let dot = first.as_bytes()[..same].iter().rposition(|byte| *byte == b'.')?;
    Some(&first[..=dot])
}
