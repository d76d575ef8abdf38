//! Which network a checkpoint is of, told by the names and shapes of its tensors alone.
//!
//! | module | what |
//! |---|---|
//! | `attention` | attention in the names of five code bases, to this crate's |
//! | `residual` | residual networks, in torchvision's names |
//! | `plain` | VGG, `MobileNetV2`, EfficientNet-Lite |
//! | `pytorchcv` | pytorchcv's names of residual networks, to torchvision's |
//! | `modules` | the tensors by module, and which of them are explained |
//!
//! | layout | prefix of a block's attention | its MLP | its 7×7 convolution sees |
//! |---|---|---|---|
//! | Jongchan/attention-module | `layer1.0.cbam.` | `ChannelGate.mlp.1`, `.3`: linear, bias | max, mean |
//! | timm | `layer1.0.se.` | `channel.fc1`, `.fc2`: 1×1 convolution | mean, max |
//! | pytorchcv | `features.stage1.unit1.cbam.` | `ch_gate.mlp.fc1`, `.fc2`: linear, bias | max, mean |
//! | ca / sa (luuuyi and its copies) | `layer1.0.` | `ca.fc.0`, `.2` or `ca.fc1`, `.fc2`: 1×1 convolution | mean, max |

mod attention;
mod modules;
mod plain;
mod pytorchcv;
mod residual;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use tch::Tensor;

use super::Checkpoint;
use crate::attention::CbamConfig;
use crate::error::{Error, Result};
use modules::Modules;

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
        })
    }
}

/// The attention at one place of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteAttention {
    /// Where: inside a residual block before the addition (`layer3.5`), or after a stage (`layer3`).
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
    /// Its short name: `cbam`, `bam`, `se` or `eca`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Cbam(_) => "cbam",
            Self::Bam { .. } => "bam",
            Self::SqueezeExcite { .. } => "se",
            Self::Eca { .. } => "eca",
        }
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
    /// The number of classes.
    pub classes: i64,
    /// The channels of the first convolution. Published networks have 64, `MobileNetV2` and EfficientNet-Lite 32.
    pub width: i64,
    /// The attention, in the order in which features pass it.
    pub attention: Vec<SiteAttention>,
    /// The tensors by the names of this crate's networks: `backbone.` and torchvision's name, `attention.`, the site with
    /// `_` for `.`, the kind, and the name inside; reshaped where linear layers were 1×1 convolutions. They share
    /// memory with the checkpoint's. BatchNorm's counters are left out.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Display for Recognised {
    /// In one line: the backbone, the classes, the attention and its places.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} classes", self.arch, self.classes)?;
        let kinds = ["cbam", "bam", "se", "eca"];
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

impl Checkpoint {
    /// Tells which network the tensors are of, by their names and shapes alone: torchvision's residual
    /// networks, VGGs and `MobileNetV2`, EfficientNet-Lite, and residual networks with attention in the names of the official CBAM and BAM, timm,
    /// pytorchcv, and `ca` / `sa` copies.
    ///
    /// # Errors
    /// [`Error::Weights`] if it is none of them, with the keys that stand in the way.
    pub fn recognise(&self) -> Result<Recognised> {
        let fault = |message: String| Error::weights(self.name(), message);
        let renamed = pytorchcv::rename(&self.tensors);
        let modules = Modules::new(renamed.as_ref().unwrap_or(&self.tensors));
        let found = if modules.has("conv1.weight") && modules.has("layer1.0.conv1.weight") {
            residual::recognise(modules, renamed.is_some())
        } else if modules.has("_conv_stem.weight") {
            plain::efficientnet_lite(modules)
        } else if modules.has("features.1.conv.0.0.weight") {
            plain::mobilenet_v2(modules)
        } else if modules.has("features.0.weight") && modules.has("classifier.0.weight") {
            plain::vgg(modules)
        } else {
            Err(stranger(&self.tensors))
        };
        found.map_err(fault)
    }
}

/// What can be said of tensors that belong to no backbone that is known.
fn stranger(tensors: &BTreeMap<String, Tensor>) -> String {
    let any = |prefix: &str| tensors.keys().any(|name| name.starts_with(prefix));
    let known = "ResNet, ResNeXt, wide ResNet, VGG, MobileNetV2 and EfficientNet-Lite are";
    if any("conv1.0.") && any("layer1.0.") {
        return format!(
            "a ResNet with a stem of several convolutions (conv1.0.weight), which is not known here; {known}"
        );
    }
    let first: Vec<&str> = tensors.keys().map(String::as_str).take(4).collect();
    format!("no network that is known here: its keys begin with {}; {known}", first.join(", "))
}
