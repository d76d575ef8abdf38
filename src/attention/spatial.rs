//! Spatial attention (Woo et al. 2018, *CBAM: Convolutional Block Attention Module*, eq. 3): which positions matter.
//!
//! `M_s(F) = σ(conv7×7([AvgPool_c(F); MaxPool_c(F)]))`, with pools along the channels. The official code puts the maximum first and a
//! BatchNorm after the convolution; both are options here. The features are multiplied by the gate.

use std::borrow::Borrow;

use ndarray::Ix4;
use tch::nn::{self, Init, ModuleT};
use tch::{Tensor, nn::init as tch_init};

use super::{Padding, PoolOrder, SpatialAttentionConfig, check, init};
use crate::host::to_host;
use crate::kernels::SpatialGate;
use crate::{Error, Result};

const LAYER: &str = "SpatialAttention";
/// BatchNorm's ε.
const EPS: f64 = 1e-5;

/// What a [`SpatialAttention`] returns.
#[derive(Debug)]
pub struct SpatialAttentionOutput {
    /// The input times the gate, `[N, C, H, W]`.
    pub features: Tensor,
    /// The gate, `[N, H, W]`, in `[0, 1]`.
    pub gate: Tensor,
    /// The gate before its sigmoid, `[N, H, W]`.
    pub logits: Tensor,
}

/// Spatial attention over maps `[N, C, H, W]` of any size.
///
/// Parameters: `conv.weight` `[1, 2, k, k]`, and `conv.bias` `[1]` if it has one, in parameter group 1, so that an optimizer may give
/// them a learning rate of their own;
/// `bn` (`weight`, `bias`, `running_mean`, `running_var`, each `[1]`; eps 1e-5, momentum 0.01).
/// They start as the official code's: the convolution Kaiming-normal by fan-out; the BatchNorm's weight 0, so that the first gate is 0.5.
#[derive(Debug)]
pub struct SpatialAttention {
    conv: nn::Conv2D,
    bn: Option<nn::BatchNorm>,
    order: PoolOrder,
    padding: Padding,
    margin: i64,
}

impl SpatialAttention {
    /// Spatial attention; it takes any number of channels.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the kernel's side is not odd and positive.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, config: &SpatialAttentionConfig) -> Result<Self> {
        let p = p.borrow();
        let SpatialAttentionConfig { kernel_size, batch_norm, order, padding, bias } = *config;
        if kernel_size < 1 || kernel_size % 2 == 0 {
            return Err(Error::argument("kernel_size", format!("must be odd and positive, not {kernel_size}")));
        }
        let margin = kernel_size / 2;
        let conv_config = nn::ConvConfig {
            padding: if padding == Padding::Zeros { margin } else { 0 },
            bias,
            bs_init: Init::Const(0.0),
            ws_init: Init::Kaiming {
                dist: tch_init::NormalOrUniform::Normal,
                fan: tch_init::FanInOut::FanOut,
                non_linearity: tch_init::NonLinearity::ReLU,
            },
            ..Default::default()
        };
        let bn_config =
            nn::BatchNormConfig { eps: EPS, momentum: 0.01, ws_init: Init::Const(0.0), ..Default::default() };
        Ok(Self {
            conv: nn::conv2d(p.set_group(1) / "conv", 2, 1, kernel_size, conv_config),
            bn: batch_norm.then(|| nn::batch_norm2d(p / "bn", 1, bn_config)),
            order,
            padding,
            margin,
        })
    }

    /// Gates the positions of `xs` `[N, C, H, W]`. In training the BatchNorm takes, and learns, the batch's statistics.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shape, kind or device do not fit, or the BatchNorm is to train on a single value.
    pub fn forward(&self, xs: &Tensor, train: bool) -> Result<SpatialAttentionOutput> {
        let [n, _, h, w] = check::map_size(LAYER, xs, None)?;
        check::same_place(LAYER, "a map", xs, &self.conv.ws)?;
        if train && self.bn.is_some() && n * h * w == 1 {
            return Err(check::wrong(
                LAYER,
                "more than one position to train its BatchNorm",
                format!("{:?}", xs.size()),
            ));
        }
        let (max, mean) = (xs.amax([1], true), xs.mean_dim(&[1_i64][..], true, None)); // [N, 1, H, W]
        let mut pooled = match self.order {
            PoolOrder::MaxMean => Tensor::cat(&[max, mean], 1),
            PoolOrder::MeanMax => Tensor::cat(&[mean, max], 1),
        }; // [N, 2, H, W]
        if self.padding == Padding::Replicate {
            pooled = pooled.replication_pad2d([self.margin; 4]);
        }
        let logits = pooled.apply(&self.conv).apply_opt_t(&self.bn, train); // [N, 1, H, W]
        let gate = logits.sigmoid();
        let features = xs * &gate;
        Ok(SpatialAttentionOutput { features, gate: gate.squeeze_dim(1), logits: logits.squeeze_dim(1) })
    }

    /// Its convolution for the kernel of gates, with the BatchNorm in it; `None` in training, or where gradients are wanted.
    pub(super) fn kernel(&self, xs: &Tensor, train: bool) -> Option<SpatialGate> {
        let of_norm = self.bn.iter().flat_map(|bn| bn.ws.iter().chain(&bn.bs));
        if (train && self.bn.is_some()) || !check::fused(xs, of_norm.chain([&self.conv.ws]).chain(&self.conv.bs)) {
            return None;
        }
        let value = |tensor: &Tensor| tensor.double_value(&[0]);
        let of_conv = self.conv.bs.as_ref().map_or(0.0, value);
        let (scale, bias) = match &self.bn {
            None => (1.0, of_conv),
            Some(bn) => {
                let scale = bn.ws.as_ref().map_or(1.0, value) / (value(&bn.running_var) + EPS).sqrt();
                (scale, bn.bs.as_ref().map_or(0.0, value) + scale * (of_conv - value(&bn.running_mean)))
            }
        };
        let weight = to_host::<Ix4>(&self.conv.ws).ok()?;
        let mut weight: Vec<f32> = weight.iter().map(|w| (f64::from(*w) * scale) as f32).collect();
        if self.order == PoolOrder::MeanMax {
            let plane = weight.len() / 2;
            weight.rotate_left(plane);
        }
        let (side, replicate) = (2 * self.margin as usize + 1, self.padding == Padding::Replicate);
        Some(SpatialGate { weight, bias: bias as f32, side, replicate })
    }

    /// Makes the gate 0.5 everywhere: the BatchNorm's weight and bias 0, or without a BatchNorm the convolution and its bias 0.
    /// (Not both: a product of two zeros would never learn.)
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch refuses.
    pub fn identity_start(&self) -> Result<()> {
        match &self.bn {
            None => [&self.conv.ws].into_iter().chain(&self.conv.bs).try_for_each(init::zero),
            Some(bn) => bn.ws.iter().chain(&bn.bs).try_for_each(init::zero),
        }
    }
}

/// The gated features.
///
/// # Panics
/// `forward_t` panics on a wrong input.
impl ModuleT for SpatialAttention {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        match self.forward(xs, train) {
            Ok(output) => output.features,
            Err(error) => panic!("{error}"),
        }
    }
}
