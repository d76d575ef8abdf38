//! BAM, the Bottleneck Attention Module (Park et al. 2018): one gate for every channel at every position, from a branch
//! that looks at the channels and one that looks at the positions.
//!
//! `F' = F ⊗ (1 + M)`, `M = σ(M_c ⊗ M_s)` as the official code has it, or `M = σ(M_c + M_s)` as the paper writes (eqs. 1–2).
//! `M_c = fc₂(ReLU(BN(fc₁(AvgPool(F)))))` is a value per channel; `M_s`, a value per position, is a 1×1 convolution to C/r
//! channels, two dilated 3×3 convolutions, each with BatchNorm and ReLU, and a 1×1 convolution to one channel. It stands
//! after a stage, where the resolution is about to halve.

use std::borrow::Borrow;

use tch::nn::{self, Init, Module, ModuleT};
use tch::{Kind, Tensor, nn::init as tch_init};

use super::{BamConfig, BamForm, Gate, check, init};
use crate::Result;

const LAYER: &str = "Bam";

/// What a [`Bam`] returns.
#[derive(Debug)]
pub struct BamOutput {
    /// The input times 1 + the gate, `[N, C, H, W]`.
    pub features: Tensor,
    /// The gate `M`, `[N, C, H, W]`, in `[0, 1]`.
    pub gate: Tensor,
    /// What the gate says of each channel: its mean over the positions, `[N, C]`, and that mean's logit.
    pub channel: Gate,
    /// What the gate says of each position: its mean over the channels, `[N, H, W]`, and that mean's logit.
    pub spatial: Gate,
}

/// BAM over maps `[N, C, H, W]` of any H and W. (The official code averages square maps only; here the mean is over all
/// positions of any map.)
///
/// Parameters: `channel.fc1` (`weight` `[C / r, C]`, `bias`), `channel.bn`, `channel.fc2` (`weight` `[C, C / r]`, `bias`);
/// `spatial.reduce` (`weight` `[C / r, C, 1, 1]`, `bias`), `spatial.reduce_bn`, `spatial.conv1` (`weight`
/// `[C / r, C / r, 3, 3]`, `bias`), `spatial.bn1`, `spatial.conv2`, `spatial.bn2`, `spatial.out` (`weight`
/// `[1, C / r, 1, 1]`, `bias`). Each BatchNorm has `weight`, `bias`, `running_mean`, `running_var`, `[C / r]`.
/// They start as the official code's: convolutions Kaiming-normal by fan-out, linear layers as `torch.nn.Linear`'s, biases 0.
#[derive(Debug)]
pub struct Bam {
    fc1: nn::Linear,
    bn: nn::BatchNorm,
    fc2: nn::Linear,
    convs: [(nn::Conv2D, nn::BatchNorm); 3],
    out: nn::Conv2D,
    form: BamForm,
    channels: i64,
}

impl Bam {
    /// BAM for maps of this many channels.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `channels`, the reduction or the dilation is under 1, or the reduction is
    /// over `channels`.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, channels: i64, config: &BamConfig) -> Result<Self> {
        let hidden = check::reduced(channels, config.reduction)?;
        check::positive("dilation", config.dilation)?;
        let (channel, spatial) = (p.borrow() / "channel", p.borrow() / "spatial");
        let norm = nn::BatchNormConfig { ws_init: Init::Const(1.0), ..Default::default() };
        let conv = |name: &str, input, output, kernel| {
            let dilation = if kernel == 1 { 1 } else { config.dilation };
            let config = nn::ConvConfig {
                padding: kernel / 2 * dilation,
                dilation,
                ws_init: Init::Kaiming {
                    dist: tch_init::NormalOrUniform::Normal,
                    fan: tch_init::FanInOut::FanOut,
                    non_linearity: tch_init::NonLinearity::ReLU,
                },
                ..Default::default()
            };
            nn::conv2d(&spatial / name, input, output, kernel, config)
        };
        let bn = |name: &str| nn::batch_norm2d(&spatial / name, hidden, norm);
        Ok(Self {
            fc1: init::linear_zero_bias(&(&channel / "fc1"), channels, hidden, true),
            bn: nn::batch_norm1d(&channel / "bn", hidden, norm),
            fc2: init::linear_zero_bias(&(&channel / "fc2"), hidden, channels, true),
            convs: [
                (conv("reduce", channels, hidden, 1), bn("reduce_bn")),
                (conv("conv1", hidden, hidden, 3), bn("bn1")),
                (conv("conv2", hidden, hidden, 3), bn("bn2")),
            ],
            out: conv("out", hidden, 1, 1),
            form: config.form,
            channels,
        })
    }

    /// Gates every value of `xs` `[N, C, H, W]`. In training each BatchNorm takes, and learns, the batch's statistics.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shape, kind or device do not fit, or one map alone is to train: the channels'
    /// BatchNorm has one value of each.
    pub fn forward(&self, xs: &Tensor, train: bool) -> Result<BamOutput> {
        let [n, ..] = check::map_size(LAYER, xs, Some(self.channels))?;
        check::same_place(LAYER, "a map", xs, &self.fc1.ws)?;
        if train && n == 1 {
            return Err(check::wrong(LAYER, "more than one map to train its BatchNorm", format!("{:?}", xs.size())));
        }
        let pooled = xs.mean_dim(&[2_i64, 3][..], false, None); // [N, C]
        let channel = self.fc2.forward(&self.bn.forward_t(&self.fc1.forward(&pooled), train).relu()); // [N, C]
        let reduced = self.convs.iter().fold(xs.shallow_clone(), |xs, (conv, norm)| {
            norm.forward_t(&conv.forward(&xs), train).relu() // [N, C / r, H, W]
        });
        let spatial = self.out.forward(&reduced); // [N, 1, H, W]
        let channel = channel.unsqueeze(-1).unsqueeze(-1);
        let gate = match self.form {
            BamForm::Product => channel * spatial,
            BamForm::Sum => channel + spatial,
        }
        .sigmoid(); // [N, C, H, W]
        let mean = |axes: &[i64]| {
            let gate = gate.mean_dim(axes, false, None).clamp(0.0, 1.0); // against rounding
            let logits = gate.to_kind(Kind::Float).logit(1e-6).to_kind(gate.kind()); // f16 has no number so close to 1
            Gate { gate, logits }
        };
        let (channel, spatial) = (mean(&[2, 3]), mean(&[1]));
        Ok(BamOutput { features: xs * (&gate + 1.0), gate, channel, spatial })
    }

    /// Makes the gate 0.5 everywhere, whatever the input, so that the features are the input times 3/2. Zeroes the channel
    /// branch's last layer, and where the branches are added the other's too; all still learn. (Where they are
    /// multiplied, two zeros would never learn.)
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch refuses.
    pub fn identity_start(&self) -> Result<()> {
        let channel = [Some(&self.fc2.ws), self.fc2.bs.as_ref()];
        let spatial = [Some(&self.out.ws), self.out.bs.as_ref()];
        let last = channel.into_iter().chain(spatial.into_iter().filter(|_| self.form == BamForm::Sum));
        last.flatten().try_for_each(init::zero)
    }
}

/// The gated features.
///
/// # Panics
/// `forward_t` panics on a wrong input.
impl ModuleT for Bam {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        match self.forward(xs, train) {
            Ok(output) => output.features,
            Err(error) => panic!("{error}"),
        }
    }
}
