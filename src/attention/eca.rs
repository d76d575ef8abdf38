//! Efficient channel attention (Wang et al. 2020, *ECA-Net*, eqs. 9 and 12): which channels matter, each judged with its neighbours.
//!
//! `ω = σ(conv1d_k(z))` with `z` the mean of each channel and one kernel of `k` values that slides over the channels;
//! `k = |log₂ C + 1| / 2`, rounded down, and up to the next odd number. The features are multiplied by `ω`.

use std::borrow::Borrow;

use tch::{Tensor, nn};

use super::{EcaConfig, check, init};
use crate::{Error, Result};

const LAYER: &str = "Eca";

/// What an [`Eca`] returns.
#[derive(Debug)]
pub struct EcaOutput {
    /// The input times the gate, `[N, C, H, W]`.
    pub features: Tensor,
    /// The gate, `[N, C]`, in `[0, 1]`.
    pub gate: Tensor,
    /// The gate before its sigmoid, `[N, C]`.
    pub logits: Tensor,
}

/// Efficient channel attention over maps `[N, C, H, W]` of any H and W.
///
/// Parameters: `conv.weight` `[1, 1, k]`, padded with zeros; `torch.nn.Conv1d`'s start.
#[derive(Debug)]
pub struct Eca {
    conv: nn::Conv1D,
    channels: i64,
}

impl Eca {
    /// Efficient channel attention for maps of this many channels.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `channels` is under 1, or the kernel is not odd and positive.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, channels: i64, config: &EcaConfig) -> Result<Self> {
        check::positive("channels", channels)?;
        let kernel = config.kernel(channels);
        if kernel < 1 || kernel % 2 == 0 {
            return Err(Error::argument("kernel_size", format!("must be odd and positive, not {kernel}")));
        }
        let config = nn::ConvConfig {
            padding: kernel / 2,
            bias: false,
            ws_init: init::uniform(1.0 / (kernel as f64).sqrt()),
            ..Default::default()
        };
        Ok(Self { conv: nn::conv1d(p.borrow() / "conv", 1, 1, kernel, config), channels })
    }

    /// Gates the channels of `xs` `[N, C, H, W]`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shape, kind or device do not fit.
    pub fn forward(&self, xs: &Tensor) -> Result<EcaOutput> {
        check::map_size(LAYER, xs, Some(self.channels))?;
        check::same_place(LAYER, "a map", xs, &self.conv.ws)?;
        let squeezed = xs.mean_dim(&[2_i64, 3][..], false, None); // [N, C]
        let logits = squeezed.unsqueeze(1).apply(&self.conv).squeeze_dim(1);
        let gate = logits.sigmoid();
        let features = xs * gate.unsqueeze(-1).unsqueeze(-1);
        Ok(EcaOutput { features, gate, logits })
    }

    /// Makes the kernel 0, so that the gate is 0.5 everywhere; it still learns.
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch refuses.
    pub fn identity_start(&self) -> Result<()> {
        init::zero(&self.conv.ws)
    }
}

/// The gated features.
///
/// # Panics
/// `forward` panics on a wrong input.
impl nn::Module for Eca {
    fn forward(&self, xs: &Tensor) -> Tensor {
        match Eca::forward(self, xs) {
            Ok(output) => output.features,
            Err(error) => panic!("{error}"),
        }
    }
}
