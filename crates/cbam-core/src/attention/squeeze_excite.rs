//! Squeeze-and-excitation (Hu et al. 2018, *Squeeze-and-Excitation Networks*, eqs. 2–4): which channels matter.
//!
//! `s = σ(W₂ ReLU(W₁ z))` with `z` the mean of each channel. The features are multiplied by `s`. In a residual block it stands
//! before the residual is added.

use serde::{Deserialize, Serialize};

/// How a `SqueezeExcite` is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqueezeExciteConfig {
    /// The reduction r: the hidden width is C / r, rounded down. Default: 16.
    pub reduction: i64,
    /// Whether both layers have biases, as timm's have. Default: true.
    pub bias: bool,
}

impl Default for SqueezeExciteConfig {
    fn default() -> Self {
        Self { reduction: 16, bias: true }
    }
}

impl SqueezeExciteConfig {
    /// With this reduction.
    pub fn with_reduction(mut self, reduction: i64) -> Self {
        self.reduction = reduction;
        self
    }

    /// With or without biases.
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }
}
