//! Channel attention (Woo et al. 2018, *CBAM: Convolutional Block Attention Module*, eq. 2): which channels matter.
//!
//! `M_c(F) = σ(MLP(AvgPool(F)) + MLP(MaxPool(F)))`: each pool over the positions gives one value per channel, one shared MLP
//! C → C/r → C with a ReLU takes each, the results are summed. The features are multiplied by the gate.

use std::borrow::Borrow;

use tch::Tensor;
use tch::nn::{self, Linear};

use super::{ChannelAttentionConfig, Pool, check, init};
use crate::host::values;
use crate::kernels::Mlp;
use crate::{Error, Result};

const LAYER: &str = "ChannelAttention";

/// Pools `[N, C, H, W]` to `[N, C]`.
fn pooled(pool: Pool, xs: &Tensor) -> Tensor {
    const POSITIONS: [i64; 2] = [2, 3];
    match pool {
        Pool::Avg => xs.mean_dim(&POSITIONS[..], false, None),
        Pool::Max => xs.amax(POSITIONS, false),
        // Unlike a square root of a sum, its gradient at an all-zero channel is 0, not NaN.
        Pool::Lp => xs.norm_scalaropt_dim(2, POSITIONS, false),
        Pool::Lse => xs.logsumexp(POSITIONS, false),
    }
}

/// What a [`ChannelAttention`] returns.
#[derive(Debug)]
pub struct ChannelAttentionOutput {
    /// The input times the gate, `[N, C, H, W]`.
    pub features: Tensor,
    /// The gate, `[N, C]`, in `[0, 1]`.
    pub gate: Tensor,
    /// The gate before its sigmoid, `[N, C]`.
    pub logits: Tensor,
}

/// Channel attention over maps `[N, C, H, W]` of any H and W.
///
/// Parameters: `fc1` (`weight` `[C / r, C]`, `bias`) and `fc2` (`weight` `[C, C / r]`, `bias`).
/// They start as the official code's: weights as `torch.nn.Linear`'s, biases 0.
#[derive(Debug)]
pub struct ChannelAttention {
    fc1: nn::Linear,
    fc2: nn::Linear,
    pools: Vec<Pool>,
    channels: i64,
}

impl ChannelAttention {
    /// Channel attention for maps of this many channels.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `channels` or the reduction is under 1, the reduction is over `channels`,
    /// or there is no pool.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, channels: i64, config: &ChannelAttentionConfig) -> Result<Self> {
        let p = p.borrow();
        let hidden = check::reduced(channels, config.reduction)?;
        if config.pools.is_empty() {
            return Err(Error::argument("pools", "needs at least one pool"));
        }
        Ok(Self {
            fc1: init::linear_zero_bias(&(p / "fc1"), channels, hidden, config.bias),
            fc2: init::linear_zero_bias(&(p / "fc2"), hidden, channels, config.bias),
            pools: config.pools.clone(),
            channels,
        })
    }

    /// Gates the channels of `xs` `[N, C, H, W]`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shape, kind or device do not fit.
    pub fn forward(&self, xs: &Tensor) -> Result<ChannelAttentionOutput> {
        self.check(xs)?;
        let pooled: Vec<Tensor> = self.pools.iter().map(|pool| pooled(*pool, xs)).collect();
        let pooled = Tensor::stack(&pooled, 0); // [pools, N, C]
        let logits = pooled.apply(&self.fc1).relu().apply(&self.fc2).sum_dim_intlist(&[0_i64][..], false, None); // [N, C]
        let gate = logits.sigmoid();
        let features = xs * gate.unsqueeze(-1).unsqueeze(-1);
        Ok(ChannelAttentionOutput { features, gate, logits })
    }

    /// That `xs` is a map for this layer.
    pub(super) fn check(&self, xs: &Tensor) -> Result<()> {
        check::map_size(LAYER, xs, Some(self.channels))?;
        check::same_place(LAYER, "a map", xs, &self.fc1.ws)
    }

    /// Its MLP for the kernel of gates; `None` where that has no such pool, or gradients are wanted.
    #[allow(unsafe_code)]
    pub(super) fn kernel<'a>(&'a self, xs: &Tensor) -> Option<PooledMlp<'a>> {
        let parameters = [&self.fc1, &self.fc2].into_iter().flat_map(|layer| [&layer.ws].into_iter().chain(&layer.bs));
        let takes_pools = self.pools.iter().all(|pool| matches!(pool, Pool::Avg | Pool::Max));
        if !takes_pools || !check::fused(xs, parameters) {
            return None;
        }
        let [Linear { ws: first, bs: first_bias }, Linear { ws: second, bs: second_bias }] = [&self.fc1, &self.fc2];
        let bias = |bias: &'a Option<Tensor>| match bias {
            None => Some(None),
            // SAFETY: the bias is the layer's own parameter, which nobody trains or loads while its `forward` reads it.
            Some(bias) => unsafe { values(bias) }.map(Some),
        };
        // SAFETY: the weights are the layer's own parameters, which nobody trains or loads while its `forward` reads them.
        let [first, second] = [first, second].map(|weight| unsafe { values(weight) });
        let mlp =
            Mlp { first: first?, first_bias: bias(first_bias)?, second: second?, second_bias: bias(second_bias)? };
        Some(PooledMlp { pools: &self.pools, mlp })
    }

    /// Makes the last layer of the MLP 0, so that the gate is 0.5 everywhere.
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch refuses.
    pub fn identity_start(&self) -> Result<()> {
        init::zero(&self.fc2.ws)?;
        self.fc2.bs.as_ref().map_or(Ok(()), init::zero)
    }
}

/// An MLP over pools that the kernel takes.
pub(super) struct PooledMlp<'a> {
    pools: &'a [Pool],
    mlp: Mlp<'a>,
}

impl PooledMlp<'_> {
    /// The logits, from the mean and the maximum of each channel.
    pub(super) fn logits(&self, [means, maxima]: [&[f32]; 2], logits: &mut [f32]) {
        let pools = self.pools.iter().map(|pool| if *pool == Pool::Avg { means } else { maxima });
        self.mlp.sum(&pools.collect::<Vec<_>>(), logits);
    }
}

/// The gated features.
///
/// # Panics
/// `forward` panics on a wrong input.
impl nn::Module for ChannelAttention {
    fn forward(&self, xs: &Tensor) -> Tensor {
        match ChannelAttention::forward(self, xs) {
            Ok(output) => output.features,
            Err(error) => panic!("{error}"),
        }
    }
}
