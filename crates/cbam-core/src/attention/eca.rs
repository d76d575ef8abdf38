//! Efficient channel attention (Wang et al. 2020, *ECA-Net*, eqs. 9 and 12): which channels matter, each judged with its neighbours.
//!
//! `ω = σ(conv1d_k(z))` with `z` the mean of each channel and one kernel of `k` values that slides over the channels;
//! `k = |log₂ C + 1| / 2`, rounded down, and up to the next odd number. The features are multiplied by `ω`.

use serde::{Deserialize, Serialize};

/// How an `Eca` is built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EcaConfig {
    /// How many channels a gate sees, odd; `None` is the number that the paper derives from the channels, at least 3 as in
    /// timm. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_size: Option<i64>,
}

impl EcaConfig {
    /// With a kernel of this many channels.
    pub fn with_kernel_size(mut self, kernel_size: i64) -> Self {
        self.kernel_size = Some(kernel_size);
        self
    }

    /// The kernel for maps of this many channels.
    pub fn kernel(&self, channels: i64) -> i64 {
        let derived = ((channels as f64 * 2.0).log2() / 2.0) as i64; // log₂ 2C = log₂ C + 1
        self.kernel_size.unwrap_or((derived | 1).max(3))
    }
}
