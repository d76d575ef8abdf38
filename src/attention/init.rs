//! Layers with `PyTorch`'s initial values, which are not tch's: tch starts weights √6 times as wide.

use tch::nn::{self, Init};

/// Uniform in ±`bound`.
pub(super) fn uniform(bound: f64) -> Init {
    Init::Uniform { lo: -bound, up: bound }
}

/// `torch.nn.Linear`'s weight, uniform in ±1/√`inputs`; the biases, if any, start at 0.
pub(super) fn linear_zero_bias(p: &nn::Path, inputs: i64, outputs: i64, bias: bool) -> nn::Linear {
    linear(p, inputs, outputs, bias, uniform(1.0 / (inputs as f64).sqrt()))
}

/// A linear layer whose weight starts as `weight`; the biases, if any, start at 0.
pub(super) fn linear(p: &nn::Path, inputs: i64, outputs: i64, bias: bool, weight: Init) -> nn::Linear {
    nn::linear(p, inputs, outputs, nn::LinearConfig { ws_init: weight, bs_init: Some(Init::Const(0.0)), bias })
}

/// Sets a parameter to 0 in place, for every handle to it.
pub(super) fn zero(parameter: &tch::Tensor) -> crate::Result<()> {
    let _same = tch::no_grad(|| parameter.shallow_clone().f_zero_())?;
    Ok(())
}
