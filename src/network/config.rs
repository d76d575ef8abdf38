//! Which backbone, and which attention after which of its stages.

use serde::{Deserialize, Serialize};

use crate::attention::{CbamConfig, ChannelAttentionConfig, Padding, PatchAttentionConfig, SpatialAttentionConfig};
use crate::backbone::Arch;
use crate::photo::Preprocess;

/// A network: backbone, attention, classifier. Written as JSON into the metadata of a weights file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkConfig {
    /// The backbone.
    pub arch: Arch,
    /// The number of classes.
    pub classes: i64,
    /// The short side of the pictures that the network sees, in pixels.
    pub short_side: u32,
    /// The attention, in the order of the stages; none for a plain network.
    pub attention: Vec<StageAttention>,
    /// The names of the classes, in the order of the logits; none where they are ImageNet's, or unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// The attention at one place of the backbone: CBAM, then patch self-attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageAttention {
    /// Where: after a stage, by the name that the backbone gives it (`stage5`); at a place inside a stage (`layer3.5`,
    /// a residual block's branch before the addition; `stage6.expansion`, the widened features of its first block; see
    /// [`Stage::inside`](crate::backbone::Stage::inside)); or on the activated features under the classifier (`head`).
    pub stage: String,
    /// The CBAM block there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cbam: Option<CbamConfig>,
    /// What the gated features are multiplied with. Gates that start at ½ · ½ leave the network's function as it was
    /// if this is 4.
    #[serde(default = "one")]
    pub gain: f64,
    /// The self-attention over patches after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<PatchAttentionConfig>,
}

fn one() -> f64 {
    1.0
}

impl NetworkConfig {
    /// The backbone alone, with its ImageNet classifier.
    pub fn plain(arch: Arch) -> Self {
        Self { arch, classes: 1000, short_side: arch.input_size(), attention: Vec::new(), labels: Vec::new() }
    }

    /// The attention of the bundled model: after stage 5 (stride 16) CBAM with r = 8, after stage 7 (stride 32) CBAM with
    /// r = 16, each with patch self-attention behind it; 7×7 convolutions padded by replication, so that a gate cannot tell the
    /// border from the middle, and no normalisation.
    pub fn attentive(arch: Arch) -> Self {
        let cbam = |reduction| CbamConfig {
            channel: ChannelAttentionConfig { reduction, ..Default::default() },
            spatial: Some(SpatialAttentionConfig {
                batch_norm: false,
                padding: Padding::Replicate,
                ..Default::default()
            }),
        };
        let attention = |stage: &str, reduction| StageAttention {
            stage: stage.into(),
            cbam: Some(cbam(reduction)),
            gain: 4.0,
            patch: Some(PatchAttentionConfig { patch_size: 1, heads: 4, head_dim: 16 }),
        };
        Self { attention: vec![attention("stage5", 8), attention("stage7", 16)], ..Self::plain(arch) }
    }

    /// How a photo becomes this network's input.
    pub fn preprocess(&self) -> Preprocess {
        let base = if self.arch.is_efficientnet_lite() { Preprocess::default() } else { Preprocess::imagenet() };
        Preprocess { short_side: self.short_side, ..base }
    }
}
