//! Layers as torchvision starts them, which is not how tch does.

use tch::nn::init::{FanInOut, NonLinearity, NormalOrUniform};
use tch::nn::{self, BatchNorm, BatchNormConfig, Conv2D, ConvConfig, Init, Linear, LinearConfig};

use super::start::start;

/// Kaiming-normal by fan-out (He et al. 2015), for a ReLU behind it.
pub(super) const KAIMING: Init =
    Init::Kaiming { dist: NormalOrUniform::Normal, fan: FanInOut::FanOut, non_linearity: NonLinearity::ReLU };

/// What a convolution turns into what; its padding keeps a size that the stride divides.
pub(super) struct ConvShape {
    pub(super) input: i64,
    pub(super) output: i64,
    pub(super) kernel: i64,
    pub(super) stride: i64,
    pub(super) groups: i64,
}

/// A convolution padded by half its kernel with zeros.
pub(super) fn conv(p: nn::Path<'_>, shape: &ConvShape, bias: bool) -> Conv2D {
    let &ConvShape { input, output, kernel, stride, groups } = shape;
    let config =
        ConvConfig { stride, padding: kernel / 2, groups, bias, ws_init: start(KAIMING), ..Default::default() };
    nn::conv2d(p, input, output, kernel, config)
}

/// BatchNorm's ε.
pub(super) const NORM_EPS: f64 = 1e-5;

/// BatchNorm with ε = 10⁻⁵ and momentum 0.1, whose weights start at one.
pub(super) fn batch_norm(p: nn::Path<'_>, channels: i64) -> BatchNorm {
    nn::batch_norm2d(p, channels, BatchNormConfig { eps: NORM_EPS, ws_init: Init::Const(1.0), ..Default::default() })
}

/// `torch.nn.Linear` with its default start.
pub(super) fn linear(p: nn::Path<'_>, inputs: i64, outputs: i64) -> Linear {
    let bound = (inputs as f64).sqrt().recip();
    nn::linear(
        p,
        inputs,
        outputs,
        LinearConfig { ws_init: start(Init::Uniform { lo: -bound, up: bound }), ..Default::default() },
    )
}

/// A linear layer that starts with weights of deviation 0.01 and biases of 0.
pub(super) fn small_linear(p: nn::Path<'_>, inputs: i64, outputs: i64) -> Linear {
    let config = LinearConfig {
        ws_init: start(Init::Randn { mean: 0.0, stdev: 0.01 }),
        bs_init: Some(Init::Const(0.0)),
        ..Default::default()
    };
    nn::linear(p, inputs, outputs, config)
}
