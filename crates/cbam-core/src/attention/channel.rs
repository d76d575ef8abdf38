//! Channel attention (Woo et al. 2018, *CBAM: Convolutional Block Attention Module*, eq. 2): which channels matter.
//!
//! `M_c(F) = σ(MLP(AvgPool(F)) + MLP(MaxPool(F)))`: each pool over the positions gives one value per channel, one shared MLP
//! C → C/r → C with a ReLU takes each, the results are summed. The features are multiplied by the gate.

use serde::{Deserialize, Serialize};

/// A pool over all positions of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// The mean.
    Avg,
    /// The maximum.
    Max,
    /// The L2 norm, `√Σx²` (a sum, not a mean, as the official code's `lp_pool2d`).
    Lp,
    /// `log Σ exp x`.
    Lse,
}

/// How a `ChannelAttention` is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelAttentionConfig {
    /// The reduction r: the MLP's hidden width is C / r, rounded down. Default: 16.
    pub reduction: i64,
    /// The pools; at least one. Default: avg, max.
    pub pools: Vec<Pool>,
    /// Whether the MLP has biases. Default: true.
    pub bias: bool,
}

impl Default for ChannelAttentionConfig {
    fn default() -> Self {
        Self { reduction: 16, pools: vec![Pool::Avg, Pool::Max], bias: true }
    }
}

impl ChannelAttentionConfig {
    /// With this reduction.
    pub fn with_reduction(mut self, reduction: i64) -> Self {
        self.reduction = reduction;
        self
    }

    /// With these pools.
    pub fn with_pools(mut self, pools: impl Into<Vec<Pool>>) -> Self {
        self.pools = pools.into();
        self
    }

    /// With or without biases.
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }
}
