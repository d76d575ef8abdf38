//! CBAM, the Convolutional Block Attention Module (Woo et al. 2018, eq. 1): channel attention, then spatial attention on its result.
//!
//! `F' = M_c(F) ⊗ F`, `F'' = M_s(F') ⊗ F'`. In a residual block it stands before the residual is added.

use std::borrow::Borrow;

use tch::{Tensor, nn};

use super::{CbamConfig, ChannelAttention, SpatialAttention};
use crate::Result;
use crate::host::{filled, values};
use crate::kernels::{FeatureMap, Gated, Gates, Layout};

/// A gate, and its logits.
#[derive(Debug)]
pub struct Gate {
    /// The gate, in `[0, 1]`: `[N, C]` of the channels, `[N, H, W]` of the positions.
    pub gate: Tensor,
    /// The gate before its sigmoid, of the same shape.
    pub logits: Tensor,
}

/// What a [`Cbam`] returns.
#[derive(Debug)]
pub struct CbamOutput {
    /// The features after both gates, `[N, C, H, W]`.
    pub features: Tensor,
    /// The channel gate, `[N, C]`.
    pub channel: Gate,
    /// The spatial gate, `[N, H, W]`; `None` without spatial attention.
    pub spatial: Option<Gate>,
}

/// CBAM over maps `[N, C, H, W]` of any H and W.
///
/// Parameters: those of [`ChannelAttention`] under `channel`, of [`SpatialAttention`] under `spatial`.
#[derive(Debug)]
pub struct Cbam {
    channel: ChannelAttention,
    spatial: Option<SpatialAttention>,
}

impl Cbam {
    /// CBAM for maps of this many channels.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument), as [`ChannelAttention::new`] and [`SpatialAttention::new`].
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, channels: i64, config: &CbamConfig) -> Result<Self> {
        let p = p.borrow();
        let channel = ChannelAttention::new(p / "channel", channels, &config.channel)?;
        let spatial =
            config.spatial.as_ref().map(|spatial| SpatialAttention::new(p / "spatial", spatial)).transpose()?;
        Ok(Self { channel, spatial })
    }

    /// Gates the channels, then the positions, of `xs` `[N, C, H, W]`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shape, kind or device do not fit.
    pub fn forward(&self, xs: &Tensor, train: bool) -> Result<CbamOutput> {
        self.forward_times(xs, train, 1.0)
    }

    /// As [`forward`](Self::forward), with the features multiplied by `gain`.
    pub(crate) fn forward_times(&self, xs: &Tensor, train: bool, gain: f64) -> Result<CbamOutput> {
        if let Some(output) = self.fused(xs, train, gain)? {
            return Ok(output);
        }
        let output = self.layer_by_layer(xs, train)?;
        Ok(if gain == 1.0 { output } else { CbamOutput { features: output.features * gain, ..output } })
    }

    /// The same in one kernel; `None` where there is no kernel for it, or gradients are wanted.
    fn fused(&self, xs: &Tensor, train: bool, gain: f64) -> Result<Option<CbamOutput>> {
        self.channel.check(xs)?;
        let Some(mlp) = self.channel.kernel(xs) else { return Ok(None) };
        let spatial = match &self.spatial {
            None => None,
            Some(spatial) => match spatial.kernel(xs, train) {
                None => return Ok(None),
                spatial => spatial,
            },
        };
        let mlp_logits = |_: &[f32], pools: [&[f32]; 2], logits: &mut [f32]| mlp.logits(pools, logits);
        let gates = Gates { channel: Some(&mlp_logits), spatial: spatial.as_ref(), gain: gain as f32 };
        let (features, channel, spatial) = gated(&gates, xs)?;
        let gate = |logits: Tensor| Gate { gate: logits.sigmoid(), logits };
        Ok(Some(CbamOutput { features, channel: gate(channel), spatial: spatial.map(gate) }))
    }

    fn layer_by_layer(&self, xs: &Tensor, train: bool) -> Result<CbamOutput> {
        let refined = self.channel.forward(xs)?;
        let channel = Gate { gate: refined.gate, logits: refined.logits };
        let Some(spatial) = &self.spatial else {
            return Ok(CbamOutput { features: refined.features, channel, spatial: None });
        };
        let output = spatial.forward(&refined.features, train)?;
        let spatial = Gate { gate: output.gate, logits: output.logits };
        Ok(CbamOutput { features: output.features, channel, spatial: Some(spatial) })
    }

    /// Makes every gate 0.5, whatever the input: the features are then the input times 1/4 (1/2 without spatial attention),
    /// a factor that what follows can take up, so that a trained network goes on computing what it did.
    /// Zeroes the MLP's last layer, and what [`SpatialAttention::identity_start`] says; both still learn.
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch refuses.
    pub fn identity_start(&self) -> Result<()> {
        self.channel.identity_start()?;
        self.spatial.as_ref().map_or(Ok(()), SpatialAttention::identity_start)
    }
}

/// What gates give: the features `[N, C, H, W]`, in the layout of the input, and the logits `[N, C]` and `[N, H, W]`.
#[allow(unsafe_code)]
fn gated(gates: &Gates<'_>, xs: &Tensor) -> Result<(Tensor, Tensor, Option<Tensor>)> {
    let (n, c, h, w) = xs.size4()?;
    let turned = xs.f_permute([0, 2, 3, 1])?;
    let layout = if turned.is_contiguous() { Layout::Pixels } else { Layout::Planes };
    let xs = if layout == Layout::Pixels { turned } else { xs.f_contiguous()? };
    let shape = [n, c, h, w].map(|side| side as usize);
    let (mut channel, mut spatial) = (vec![0.0; shape[0] * shape[1]], vec![0.0; shape[0] * shape[2] * shape[3]]);
    let features = filled(&xs.size(), |features| {
        // SAFETY: nobody else has these features, or writes to them while a layer's `forward` reads them.
        let numbers = unsafe { values(&xs) }.unwrap_or_default();
        let to = Gated { features, channel: &mut channel, spatial: &mut spatial };
        Ok(gates.forward(FeatureMap { numbers, layout, shape }, to)?)
    })?;
    let features = if layout == Layout::Pixels { features.f_permute([0, 3, 1, 2])? } else { features };
    let spatial = gates.spatial.map(|_| Tensor::f_from_slice(&spatial)?.f_view([n, h, w])).transpose()?;
    Ok((features, Tensor::f_from_slice(&channel)?.f_view([n, c])?, spatial))
}

/// The gated features.
///
/// # Panics
/// `forward_t` panics on a wrong input.
impl nn::ModuleT for Cbam {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        match self.forward(xs, train) {
            Ok(output) => output.features,
            Err(error) => panic!("{error}"),
        }
    }
}
