//! Spatial attention (Woo et al. 2018, *CBAM: Convolutional Block Attention Module*, eq. 3): which positions matter.
//!
//! `M_s(F) = σ(conv7×7([AvgPool_c(F); MaxPool_c(F)]))`, with pools along the channels. The official code puts the maximum first and a
//! BatchNorm after the convolution; both are options here. The features are multiplied by the gate.

use serde::{Deserialize, Serialize};

use crate::text::named;

/// The order of the two pooled maps; it matters to weights that come from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolOrder {
    /// Maximum first, as in the official code.
    #[default]
    MaxMean,
    /// Mean first, as in the paper and in timm.
    MeanMax,
}

named! { PoolOrder as "pool-order", read by meant; MaxMean => "max-mean", MeanMax => "mean-max" }

fn meant(text: &str) -> String {
    text.trim().to_lowercase().replace([',', '_'], "-").replace("avg", "mean")
}

/// What the convolution sees beyond the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Zeros, as in the official code. The gate can then tell the border from the centre.
    #[default]
    Zeros,
    /// The nearest value.
    Replicate,
}

/// How a `SpatialAttention` is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpatialAttentionConfig {
    /// The side of the convolution, odd; the paper compares 3 and 7. Default: 7.
    pub kernel_size: i64,
    /// Whether a BatchNorm follows the convolution. Default: true.
    pub batch_norm: bool,
    /// The order of the pooled maps. Default: maximum, mean.
    pub order: PoolOrder,
    /// The padding. Default: zeros.
    pub padding: Padding,
    /// Whether the convolution has a bias. Default: false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bias: bool,
}

impl Default for SpatialAttentionConfig {
    fn default() -> Self {
        Self { kernel_size: 7, batch_norm: true, order: PoolOrder::default(), padding: Padding::default(), bias: false }
    }
}

impl SpatialAttentionConfig {
    /// With a convolution of this side.
    pub fn with_kernel_size(mut self, kernel_size: i64) -> Self {
        self.kernel_size = kernel_size;
        self
    }

    /// With or without a BatchNorm.
    pub fn with_batch_norm(mut self, batch_norm: bool) -> Self {
        self.batch_norm = batch_norm;
        self
    }

    /// With the pooled maps in this order.
    pub fn with_order(mut self, order: PoolOrder) -> Self {
        self.order = order;
        self
    }

    /// With this padding.
    pub fn with_padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// With a bias in the convolution, or without.
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }
}
