//! CBAM, the Convolutional Block Attention Module (Woo et al. 2018, eq. 1): channel attention, then spatial attention on its result.
//!
//! `F' = M_c(F) ⊗ F`, `F'' = M_s(F') ⊗ F'`. In a residual block it stands before the residual is added.

use serde::{Deserialize, Serialize};

use super::{ChannelAttentionConfig, SpatialAttentionConfig};

/// How a `Cbam` is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CbamConfig {
    /// The channel attention.
    pub channel: ChannelAttentionConfig,
    /// The spatial attention; `None` leaves it out (the official code's `no_spatial`). Default: with it.
    pub spatial: Option<SpatialAttentionConfig>,
}

impl Default for CbamConfig {
    fn default() -> Self {
        Self { channel: ChannelAttentionConfig::default(), spatial: Some(SpatialAttentionConfig::default()) }
    }
}

impl CbamConfig {
    /// With this channel attention.
    pub fn with_channel(mut self, channel: ChannelAttentionConfig) -> Self {
        self.channel = channel;
        self
    }

    /// With this spatial attention.
    pub fn with_spatial(mut self, spatial: SpatialAttentionConfig) -> Self {
        self.spatial = Some(spatial);
        self
    }

    /// Without spatial attention.
    pub fn without_spatial(mut self) -> Self {
        self.spatial = None;
        self
    }
}
