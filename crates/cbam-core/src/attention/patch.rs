//! Self-attention among the patches of a feature map: where each part of a picture looks.
//!
//! `y = x + unpatchify(MultiHead(LayerNorm(patchify(x)) + positions))`: the multi-head attention of Vaswani et al. 2017 on patches, as
//! the Vision Transformer (Dosovitskiy et al. 2021) has it before its MLP, here on a convolutional stage and with
//! 2-D sine-cosine positions on the stage's own grid, so that any picture size will do.

use serde::{Deserialize, Serialize};

/// How a `PatchAttention` is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatchAttentionConfig {
    /// The side p of a patch, in cells of the feature map. Default: 1.
    pub patch_size: i64,
    /// The number of heads. Default: 4.
    pub heads: i64,
    /// The width of one head. Default: 16.
    pub head_dim: i64,
}

impl Default for PatchAttentionConfig {
    fn default() -> Self {
        Self { patch_size: 1, heads: 4, head_dim: 16 }
    }
}

impl PatchAttentionConfig {
    /// With patches of this side.
    pub fn with_patch_size(mut self, patch_size: i64) -> Self {
        self.patch_size = patch_size;
        self
    }

    /// With this number of heads.
    pub fn with_heads(mut self, heads: i64) -> Self {
        self.heads = heads;
        self
    }

    /// With heads of this width.
    pub fn with_head_dim(mut self, head_dim: i64) -> Self {
        self.head_dim = head_dim;
        self
    }
}
