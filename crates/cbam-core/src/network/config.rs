//! Which backbone, and which attention after which of its stages.

use serde::{Deserialize, Serialize};

use super::Outputs;
use crate::attention::{
    BamConfig, CbamConfig, ChannelAttentionConfig, EcaConfig, Padding, PatchAttentionConfig, SpatialAttentionConfig,
    SqueezeExciteConfig,
};
use crate::backbone::{Arch, InnerKind, Stage, Variant};
use crate::photo::Preprocess;
use crate::{Error, Result};

/// A network: backbone, attention, classifier. Written as JSON into the metadata of a weights file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkConfig {
    /// The backbone.
    pub arch: Arch,
    /// The number of classes; 0 for a network without a classifier.
    pub classes: i64,
    /// The short side of the pictures that the network sees, in pixels.
    pub short_side: u32,
    /// The attention, in the order of the stages; empty for a plain network.
    pub attention: Vec<StageAttention>,
    /// The names of the classes, in the order of the logits; empty where they are ImageNet's, or unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// What its numbers for the classes are; with one class never a softmax.
    #[serde(default)]
    pub outputs: Outputs,
    /// What the classifier's numbers are divided by to be the logits, 0.01 to 100; 1 leaves them as they are. Fitted after the
    /// training, it makes the network as confident as it is right, and changes no answer (Guo et al. 2017, "On Calibration of Modern
    /// Neural Networks").
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub temperature: f64,
    /// How the backbone differs from the usual one of its architecture.
    #[serde(default, skip_serializing_if = "Variant::is_usual")]
    pub variant: Variant,
}

/// The attention at one place of the backbone: a gate of at most one kind (CBAM, spatial, squeeze-excite, ECA or BAM), then patch
/// self-attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageAttention {
    /// Where: after a stage, by the name that the backbone gives it (`stage5`); at a place inside a stage (`layer3.5`,
    /// a residual block's branch before the addition; `stage6.expansion`, the widened features of its first block; see
    /// [`Stage::inside`](crate::backbone::Stage::inside)); on the first convolution's features, normalised and activated, before any
    /// pooling (`stem`); or on the activated features under the classifier (`head`).
    pub stage: String,
    /// The CBAM block there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cbam: Option<CbamConfig>,
    /// The spatial attention there, without channel attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spatial: Option<SpatialAttentionConfig>,
    /// The squeeze-and-excitation there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub se: Option<SqueezeExciteConfig>,
    /// The efficient channel attention there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eca: Option<EcaConfig>,
    /// The BAM block there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bam: Option<BamConfig>,
    /// What the gated features are multiplied with: 1 in the published networks. With
    /// [`identity_gain`](Self::identity_gain) the attention of a new network starts as the identity.
    #[serde(default = "one")]
    pub gain: f64,
    /// The self-attention over patches after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<PatchAttentionConfig>,
}

fn one() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_one(number: &f64) -> bool {
    *number == 1.0
}

impl StageAttention {
    /// Nothing yet, at this place.
    pub fn at(stage: impl Into<String>) -> Self {
        let stage = stage.into();
        Self { stage, cbam: None, spatial: None, se: None, eca: None, bam: None, gain: 1.0, patch: None }
    }

    /// With CBAM.
    pub fn with_cbam(mut self, cbam: CbamConfig) -> Self {
        self.cbam = Some(cbam);
        self
    }

    /// With spatial attention alone.
    pub fn with_spatial(mut self, spatial: SpatialAttentionConfig) -> Self {
        self.spatial = Some(spatial);
        self
    }

    /// With squeeze-and-excitation.
    pub fn with_se(mut self, se: SqueezeExciteConfig) -> Self {
        self.se = Some(se);
        self
    }

    /// With efficient channel attention.
    pub fn with_eca(mut self, eca: EcaConfig) -> Self {
        self.eca = Some(eca);
        self
    }

    /// With BAM.
    pub fn with_bam(mut self, bam: BamConfig) -> Self {
        self.bam = Some(bam);
        self
    }

    /// With the gated features multiplied by this.
    pub fn with_gain(mut self, gain: f64) -> Self {
        self.gain = gain;
        self
    }

    /// With patch self-attention behind the gate.
    pub fn with_patch(mut self, patch: PatchAttentionConfig) -> Self {
        self.patch = Some(patch);
        self
    }

    /// The gain that makes up for gates of ½: 4 for CBAM (2 without spatial attention), 2 for spatial attention, squeeze-excite and
    /// ECA, ⅔ for BAM, 1 without a gate. A new network's gates are ½ at first if its [`gain`](Self::gain) is this, so that they
    /// leave the network's function as it was; with another gain they start as their papers' code has them.
    pub fn identity_gain(&self) -> f64 {
        match self {
            Self { cbam: Some(CbamConfig { spatial: Some(_), .. }), .. } => 4.0,
            Self { bam: Some(_), .. } => 2.0 / 3.0,
            one_gate if one_gate.has_gate() => 2.0,
            _ => 1.0,
        }
    }

    /// Whether there is a gate.
    pub fn has_gate(&self) -> bool {
        self.has_channel_gate() || self.spatial.is_some()
    }

    /// Whether there is a channel gate, as in all kinds but spatial attention alone.
    pub fn has_channel_gate(&self) -> bool {
        self.cbam.is_some() || self.se.is_some() || self.eca.is_some() || self.bam.is_some()
    }

    /// Whether there is a spatial gate.
    pub fn has_spatial_gate(&self) -> bool {
        self.bam.is_some() || self.spatial.is_some() || self.cbam.as_ref().is_some_and(|cbam| cbam.spatial.is_some())
    }
}

impl NetworkConfig {
    /// The backbone alone, with its ImageNet classifier.
    pub fn plain(arch: Arch) -> Self {
        let (short_side, outputs, variant) = (arch.input_size(), Outputs::default(), Variant::default());
        let (attention, labels) = Default::default();
        Self { arch, classes: 1000, short_side, attention, labels, outputs, temperature: 1.0, variant }
    }

    /// The attention of the bundled model: CBAM after the last stage of half the final resolution (r = 8; `stage5` of
    /// EfficientNet-Lite), on the expanded features of the stage behind it if it has any (r = 16; `stage6.expansion`), and after
    /// the last stage (r = 16), the first and the last with patch self-attention behind it; 7×7 convolutions padded by
    /// replication, so that a gate cannot tell the border from the middle, and no normalisation.
    pub fn attentive(arch: Arch) -> Self {
        let gated = |place: &str, reduction| {
            let channel = ChannelAttentionConfig { reduction, ..Default::default() };
            let (batch_norm, padding) = (false, Padding::Replicate);
            let spatial = Some(SpatialAttentionConfig { batch_norm, padding, ..Default::default() });
            StageAttention::at(place).with_cbam(CbamConfig { channel, spatial }).with_gain(4.0)
        };
        let patch = PatchAttentionConfig { patch_size: 1, heads: 4, head_dim: 16 };
        let stages = arch.stages();
        let last = &stages[stages.len() - 1];
        let finer = stages.iter().rposition(|stage| stage.stride < last.stride);
        let mut attention = Vec::new();
        if let Some(finer) = finer {
            attention.push(gated(&stages[finer].name, 8).with_patch(patch.clone()));
            let inside = stages[finer + 1].inside.iter().filter(|site| site.kind == InnerKind::Expansion);
            attention.extend(inside.map(|site| gated(&site.name, 16)));
        }
        attention.push(gated(&last.name, 16).with_patch(patch));
        Self { attention, ..Self::plain(arch) }
    }

    /// CBAM as its authors place it: in every residual block, on what the block adds to its input. r = 16, the maximum
    /// before the mean, BatchNorm after the convolution.
    ///
    /// # Errors
    /// [`Error::Argument`] if the backbone has no residual blocks.
    pub fn official_cbam(arch: Arch) -> Result<Self> {
        Self::in_every_block(arch, |block| block.with_cbam(CbamConfig::default()))
    }

    /// Squeeze-and-excitation as its authors place it: in every residual block, on what the block adds to its input,
    /// with r = 16.
    ///
    /// # Errors
    /// [`Error::Argument`] if the backbone has no residual blocks.
    pub fn official_se(arch: Arch) -> Result<Self> {
        Self::in_every_block(arch, |block| block.with_se(SqueezeExciteConfig::default()))
    }

    /// Efficient channel attention as its authors place it: in every residual block, on what the block adds to its
    /// input, each kernel as wide as its channels ask for.
    ///
    /// # Errors
    /// [`Error::Argument`] if the backbone has no residual blocks.
    pub fn official_eca(arch: Arch) -> Result<Self> {
        Self::in_every_block(arch, |block| block.with_eca(EcaConfig::default()))
    }

    /// BAM as its authors place it: after every stage that a coarser one follows, with r = 16, the product of the
    /// branches, and dilation 4.
    pub fn official_bam(arch: Arch) -> Self {
        let stages = arch.stages();
        let bottlenecks = stages.windows(2).filter(|pair| pair[0].stride < pair[1].stride);
        let bam = |pair: &[Stage]| StageAttention::at(&pair[0].name).with_bam(BamConfig::default());
        Self { attention: bottlenecks.map(bam).collect(), ..Self::plain(arch) }
    }

    /// The same attention in every residual block, on what the block adds to its input ([`InnerKind::Branch`]): `with`
    /// adds it to each place.
    ///
    /// # Errors
    /// [`Error::Argument`] if the backbone has no residual blocks.
    pub fn in_every_block(arch: Arch, with: impl Fn(StageAttention) -> StageAttention) -> Result<Self> {
        let stages = arch.stages();
        let sites = stages.iter().flat_map(|stage| &stage.inside).filter(|site| site.kind == InnerKind::Branch);
        let attention: Vec<_> = sites.map(|site| with(StageAttention::at(&site.name))).collect();
        if attention.is_empty() {
            let message = format!("{arch} has no residual blocks for attention to stand in; put it after stages");
            return Err(Error::argument("backbone", message));
        }
        Ok(Self { attention, ..Self::plain(arch) })
    }

    /// How a photo becomes this network's input.
    pub fn preprocess(&self) -> Preprocess {
        Preprocess { short_side: self.short_side, ..self.variant.preprocess(self.arch) }
    }
}
