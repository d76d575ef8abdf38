//! Squeeze-and-excitation (Hu et al. 2018, *Squeeze-and-Excitation Networks*, eqs. 2–4): which channels matter.
//!
//! `s = σ(W₂ ReLU(W₁ z))` with `z` the mean of each channel. The features are multiplied by `s`. In a residual block it stands
//! before the residual is added.

use std::borrow::Borrow;

use tch::{Tensor, nn};

use super::{SqueezeExciteConfig, check, init};
use crate::Result;

const LAYER: &str = "SqueezeExcite";

/// What a [`SqueezeExcite`] returns.
#[derive(Debug)]
pub struct SqueezeExciteOutput {
    /// The input times the gate, `[N, C, H, W]`.
    pub features: Tensor,
    /// The gate, `[N, C]`, in `[0, 1]`.
    pub gate: Tensor,
    /// The gate before its sigmoid, `[N, C]`.
    pub logits: Tensor,
}

/// Squeeze-and-excitation over maps `[N, C, H, W]` of any H and W.
///
/// Parameters: `fc1` (`weight` `[C / r, C]`, `bias`) and `fc2` (`weight` `[C, C / r]`, `bias`); `torch.nn.Linear`'s start, biases 0.
#[derive(Debug)]
pub struct SqueezeExcite {
    fc1: nn::Linear,
    fc2: nn::Linear,
    channels: i64,
}

impl SqueezeExcite {
    /// Squeeze-and-excitation for maps of this many channels.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `channels` or the reduction is under 1, or the reduction is over `channels`.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, channels: i64, config: &SqueezeExciteConfig) -> Result<Self> {
        let p = p.borrow();
        let hidden = check::reduced(channels, config.reduction)?;
        Ok(Self {
            fc1: init::linear_zero_bias(&(p / "fc1"), channels, hidden, config.bias),
            fc2: init::linear_zero_bias(&(p / "fc2"), hidden, channels, config.bias),
            channels,
        })
    }

    /// Gates the channels of `xs` `[N, C, H, W]`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shape, kind or device do not fit.
    pub fn forward(&self, xs: &Tensor) -> Result<SqueezeExciteOutput> {
        check::map_size(LAYER, xs, Some(self.channels))?;
        check::same_place(LAYER, "a map", xs, &self.fc1.ws)?;
        let squeezed = xs.mean_dim(&[2_i64, 3][..], false, None); // [N, C]
        let logits = squeezed.apply(&self.fc1).relu().apply(&self.fc2);
        let gate = logits.sigmoid();
        let features = xs * gate.unsqueeze(-1).unsqueeze(-1);
        Ok(SqueezeExciteOutput { features, gate, logits })
    }

    /// Makes the last layer 0, so that the gate is 0.5 everywhere; it still learns.
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch refuses.
    pub fn identity_start(&self) -> Result<()> {
        init::zero(&self.fc2.ws)?;
        self.fc2.bs.as_ref().map_or(Ok(()), init::zero)
    }
}

/// The gated features.
///
/// # Panics
/// `forward` panics on a wrong input.
impl nn::Module for SqueezeExcite {
    fn forward(&self, xs: &Tensor) -> Tensor {
        match SqueezeExcite::forward(self, xs) {
            Ok(output) => output.features,
            Err(error) => panic!("{error}"),
        }
    }
}
