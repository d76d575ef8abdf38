//! A convolution with TensorFlow's "same" padding or PyTorch's, and the BatchNorm that follows it.

use std::borrow::Borrow;

use tch::nn::{self, BatchNorm, Init, ModuleT};
use tch::{Tensor, nn::BatchNormConfig};

use super::start::start;

/// BatchNorm's ε.
const EPS: f64 = 1e-3;

/// A convolution without bias whose output has ⌈size / stride⌉ cells a side, for any size.
///
/// The padding adds up to max((⌈size / stride⌉ − 1)·stride + kernel − size, 0) along each side; where that is odd, the
/// extra pixel goes to the right and the bottom. PyTorch's own `padding` argument cannot say that: it pads alike on both sides, which
/// a symmetric one does, by half its kernel.
#[derive(Debug)]
pub(super) struct SameConv2d {
    weight: Tensor, // [out, in / groups, kernel, kernel]
    kernel: i64,
    stride: i64,
    groups: i64,
    symmetric: bool,
}

impl SameConv2d {
    /// A convolution of `kernel`×`kernel`, `input` channels to `output` channels, with PyTorch's default start.
    pub(super) fn new<'a>(p: impl Borrow<nn::Path<'a>>, input: i64, output: i64, kernel: i64, stride: i64) -> Self {
        Self::grouped(p, input, output, kernel, stride, 1)
    }

    /// A depthwise convolution: each channel has a kernel of its own.
    pub(super) fn depthwise<'a>(p: impl Borrow<nn::Path<'a>>, channels: i64, kernel: i64, stride: i64) -> Self {
        Self::grouped(p, channels, channels, kernel, stride, channels)
    }

    fn grouped<'a>(
        p: impl Borrow<nn::Path<'a>>,
        input: i64,
        output: i64,
        kernel: i64,
        stride: i64,
        groups: i64,
    ) -> Self {
        let inputs = input / groups;
        let bound = ((inputs * kernel * kernel) as f64).sqrt().recip();
        let init = start(Init::Uniform { lo: -bound, up: bound });
        let weight = p.borrow().var("weight", &[output, inputs, kernel, kernel], init);
        Self { weight, kernel, stride, groups, symmetric: false }
    }

    /// Padded alike on both sides, or not.
    pub(super) fn symmetric(mut self, symmetric: bool) -> Self {
        self.symmetric = symmetric;
        self
    }

    /// `[N, in, H, W]` to `[N, out, ⌈H / stride⌉, ⌈W / stride⌉]`.
    pub(super) fn forward(&self, xs: &Tensor) -> Tensor {
        let size = xs.size();
        let [rows, columns] = [2, 3].map(|axis| same_padding(size[axis], self.kernel, self.stride));
        let stride = [self.stride; 2];
        let conv = |xs: &Tensor, padding: [i64; 2]| {
            xs.conv2d(&self.weight, None::<&Tensor>, stride, padding, [1, 1], self.groups)
        };
        if self.symmetric {
            return conv(xs, [self.kernel / 2; 2]);
        }
        if rows % 2 == 0 && columns % 2 == 0 {
            return conv(xs, [rows / 2, columns / 2]);
        }
        let padded = xs.constant_pad_nd([columns / 2, columns - columns / 2, rows / 2, rows - rows / 2]);
        conv(&padded, [0, 0])
    }
}

/// How many pixels "same" padding adds along one side, both ends together.
fn same_padding(size: i64, kernel: i64, stride: i64) -> i64 {
    let cells = (size + stride - 1) / stride;
    ((cells - 1) * stride + kernel - size).max(0)
}

/// BatchNorm as EfficientNet sets it: ε = 10⁻³, momentum 0.01, weights that start at one.
pub(super) fn batch_norm<'a>(p: impl Borrow<nn::Path<'a>>, channels: i64) -> BatchNorm {
    let config = BatchNormConfig { eps: EPS, momentum: 0.01, ws_init: Init::Const(1.0), ..Default::default() };
    nn::batch_norm2d(p, channels, config)
}

/// BatchNorm, then ReLU6.
pub(super) fn norm_relu6(norm: &BatchNorm, xs: &Tensor, train: bool) -> Tensor {
    norm.forward_t(xs, train).clamp_(0.0, 6.0)
}

#[cfg(test)]
mod tests {
    use super::same_padding;

    #[test]
    fn same_padding_follows_tensorflow() {
        // (size, kernel, stride) → total; odd totals put the extra pixel right and bottom.
        for ((size, kernel, stride), total) in [
            ((224, 3, 2), 1),
            ((225, 3, 2), 2),
            ((112, 5, 2), 3),
            ((15, 5, 2), 4),
            ((7, 3, 1), 2),
            ((14, 5, 1), 4),
            ((9, 1, 1), 0),
            ((1, 3, 2), 2),
        ] {
            assert_eq!(same_padding(size, kernel, stride), total, "size {size}, kernel {kernel}, stride {stride}");
        }
    }
}
