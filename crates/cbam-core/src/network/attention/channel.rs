//! Gates of channels: CBAM's, squeeze-and-excitation, efficient channel attention.

use crate::attention::{ChannelAttentionConfig, EcaConfig, Pool, SqueezeExciteConfig};
use crate::kernels::Mlp;
use crate::network::parameters::Named;
use crate::{Error, Result};

/// Two linear layers with a ReLU between them, over one pool or the sum of what they give for several.
#[derive(Debug)]
pub(super) struct PooledMlp {
    pools: Vec<Pool>,
    first: Vec<f32>,
    first_bias: Option<Vec<f32>>,
    second: Vec<f32>,
    second_bias: Option<Vec<f32>>,
}

impl PooledMlp {
    /// CBAM's channel attention.
    pub(super) fn new(p: &Named<'_>, channels: usize, config: &ChannelAttentionConfig) -> Result<Self> {
        if config.pools.is_empty() {
            return Err(Error::argument("pools", "needs at least one pool"));
        }
        Self::of(p, channels, config.reduction, config.bias, config.pools.clone())
    }

    /// Squeeze-and-excitation.
    pub(super) fn squeeze_excite(p: &Named<'_>, channels: usize, config: &SqueezeExciteConfig) -> Result<Self> {
        Self::of(p, channels, config.reduction, config.bias, vec![Pool::Avg])
    }

    fn of(p: &Named<'_>, channels: usize, reduction: i64, bias: bool, pools: Vec<Pool>) -> Result<Self> {
        let hidden = reduced(channels, reduction)?;
        let layer = |name: &str, shape: [usize; 2]| -> Result<_> {
            let p = p.at(name);
            let bias = bias.then(|| p.take("bias", &shape[..1])).transpose()?;
            Ok((p.take("weight", &shape)?.into_owned(), bias.map(std::borrow::Cow::into_owned)))
        };
        let ((first, first_bias), (second, second_bias)) =
            (layer("fc1", [hidden, channels])?, layer("fc2", [channels, hidden])?);
        Ok(Self { pools, first, first_bias, second, second_bias })
    }

    /// From one image, `[H, W, C]`, and the means and the maxima of its channels to their logits.
    pub(super) fn logits(&self, xs: &[f32], [means, maxima]: [&[f32]; 2], logits: &mut [f32]) {
        let others: Vec<Vec<f32>> = self.pools.iter().map(|pool| pooled(*pool, xs, maxima)).collect();
        let pools = self.pools.iter().zip(&others).map(|(pool, other)| match pool {
            Pool::Avg => means,
            Pool::Max => maxima,
            Pool::Lp | Pool::Lse => other,
        });
        let mlp = Mlp {
            first: &self.first,
            first_bias: self.first_bias.as_deref(),
            second: &self.second,
            second_bias: self.second_bias.as_deref(),
        };
        mlp.sum(&pools.collect::<Vec<_>>(), logits);
    }
}

/// A pool that the kernel does not take: the Euclidean norm, or the logarithm of the sum of exponentials, of each channel.
fn pooled(pool: Pool, xs: &[f32], maxima: &[f32]) -> Vec<f32> {
    let sums = |term: &dyn Fn(f32, f32) -> f64| {
        let mut sums = vec![0f64; maxima.len()];
        for position in xs.chunks_exact(maxima.len()) {
            for ((sum, x), maximum) in sums.iter_mut().zip(position).zip(maxima) {
                *sum += term(*x, *maximum);
            }
        }
        sums
    };
    match pool {
        Pool::Avg | Pool::Max => Vec::new(),
        Pool::Lp => sums(&|x, _| f64::from(x) * f64::from(x)).into_iter().map(|sum| sum.sqrt() as f32).collect(),
        Pool::Lse => {
            let sums = sums(&|x, maximum| (f64::from(x) - f64::from(maximum)).exp());
            sums.into_iter().zip(maxima).map(|(sum, maximum)| (sum.ln() + f64::from(*maximum)) as f32).collect()
        }
    }
}

/// Efficient channel attention: a kernel that slides over the means of the channels.
#[derive(Debug)]
pub(super) struct Eca {
    kernel: Vec<f32>,
}

impl Eca {
    pub(super) fn new(p: &Named<'_>, channels: usize, config: &EcaConfig) -> Result<Self> {
        let kernel = config.kernel(channels as i64);
        if kernel < 1 || kernel % 2 == 0 {
            return Err(Error::argument("kernel_size", format!("must be odd and positive, not {kernel}")));
        }
        Ok(Self { kernel: p.at("conv").take("weight", &[1, 1, kernel as usize])?.into_owned() })
    }

    /// From the means of the channels to their logits.
    pub(super) fn logits(&self, means: &[f32], logits: &mut [f32]) {
        let margin = self.kernel.len() / 2;
        for (channel, logit) in logits.iter_mut().enumerate() {
            let weighed = self.kernel.iter().enumerate().filter_map(|(tap, weight)| {
                let mean = means.get((channel + tap).checked_sub(margin)?)?;
                Some(mean * weight)
            });
            *logit = weighed.sum();
        }
    }
}

/// C / r hidden values, rounded down.
pub(super) fn reduced(channels: usize, reduction: i64) -> Result<usize> {
    match usize::try_from(reduction).ok().and_then(|reduction| channels.checked_div(reduction)) {
        None => Err(Error::argument("reduction", format!("must be at least 1, not {reduction}"))),
        Some(0) => Err(Error::argument("reduction", format!("{reduction} leaves nothing of {channels} channels"))),
        Some(hidden) => Ok(hidden),
    }
}
