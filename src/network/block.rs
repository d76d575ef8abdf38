//! The attention at one site.

use tch::{Tensor, nn};

use super::{BlockOutput, PatchMaps, Site, StageAttention};
use crate::attention::{Bam, Cbam, Eca, Gate, PatchAttention, PatchAttentionOutput, SpatialAttention, SqueezeExcite};
use crate::{Error, Result};

/// A gate, and patch self-attention behind it.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) name: String,
    pub(super) site: Site,
    gate: Option<GateLayer>,
    gain: f64,
    patch: Option<PatchAttention>,
}

/// A gate of any kind.
#[derive(Debug)]
enum GateLayer {
    Cbam(Box<Cbam>),
    Spatial(SpatialAttention),
    SqueezeExcite(SqueezeExcite),
    Eca(Eca),
    Bam(Box<Bam>),
}

impl Block {
    /// The attention of `config` on features of `channels` channels, its variables under `p`, by its kind.
    pub(super) fn new(p: &nn::Path, site: Site, channels: i64, config: &StageAttention) -> Result<Self> {
        let gate = GateLayer::new(p, channels, config)?;
        if let Some(gate) = gate.as_ref().filter(|_| config.gain == config.identity_gain()) {
            gate.identity_start()?;
        }
        let patch =
            config.patch.as_ref().map(|config| PatchAttention::new(p / "patch", channels, config)).transpose()?;
        patch.as_ref().map_or(Ok(()), PatchAttention::identity_start)?;
        Ok(Self { name: config.stage.clone(), site, gate, gain: config.gain, patch })
    }

    pub(super) fn forward(&self, xs: &Tensor, train: bool) -> Result<(Tensor, BlockOutput)> {
        let mut xs = xs.shallow_clone();
        let mut maps = BlockOutput { stage: self.name.clone(), channel: None, spatial: None, patch: None };
        if let Some(gate) = &self.gate {
            let (features, channel, spatial) = gate.forward(&xs, train, self.gain)?;
            xs = features;
            maps.channel = channel;
            maps.spatial = spatial;
        }
        if let Some(patch) = &self.patch {
            let PatchAttentionOutput { features, weights, grid, .. } = patch.forward(&xs)?;
            xs = features;
            maps.patch = Some(PatchMaps { weights, grid });
        }
        Ok((xs, maps))
    }
}

impl GateLayer {
    /// The gate of a configuration, if it has one.
    fn new(p: &nn::Path, channels: i64, config: &StageAttention) -> Result<Option<Self>> {
        let StageAttention { cbam, spatial, se, eca, bam, .. } = config;
        Ok(match (cbam, spatial, se, eca, bam) {
            (None, None, None, None, None) => None,
            (Some(cbam), None, None, None, None) => Some(Self::Cbam(Box::new(Cbam::new(p / "cbam", channels, cbam)?))),
            (None, Some(spatial), None, None, None) => {
                Some(Self::Spatial(SpatialAttention::new(p / "spatial", spatial)?))
            }
            (None, None, Some(se), None, None) => {
                Some(Self::SqueezeExcite(SqueezeExcite::new(p / "se", channels, se)?))
            }
            (None, None, None, Some(eca), None) => Some(Self::Eca(Eca::new(p / "eca", channels, eca)?)),
            (None, None, None, None, Some(bam)) => Some(Self::Bam(Box::new(Bam::new(p / "bam", channels, bam)?))),
            _ => {
                let message = "has gates of several kinds; a place has one of cbam, spatial, se, eca and bam";
                return Err(Error::argument(format!("attention stage '{}'", config.stage), message));
            }
        })
    }

    /// The gated features times `gain`, and the channel gate and the spatial gate where there is one.
    fn forward(&self, xs: &Tensor, train: bool, gain: f64) -> Result<(Tensor, Option<Gate>, Option<Gate>)> {
        let (features, channel, spatial) = match self {
            Self::Cbam(cbam) => {
                let output = cbam.forward_times(xs, train, gain)?;
                return Ok((output.features, Some(output.channel), output.spatial));
            }
            Self::Spatial(spatial) => {
                let output = spatial.forward(xs, train)?;
                (output.features, None, Some(Gate { gate: output.gate, logits: output.logits }))
            }
            Self::SqueezeExcite(se) => {
                let output = se.forward(xs)?;
                (output.features, Some(Gate { gate: output.gate, logits: output.logits }), None)
            }
            Self::Eca(eca) => {
                let output = eca.forward(xs)?;
                (output.features, Some(Gate { gate: output.gate, logits: output.logits }), None)
            }
            Self::Bam(bam) => {
                let output = bam.forward(xs, train)?;
                (output.features, Some(output.channel), Some(output.spatial))
            }
        };
        Ok((if gain == 1.0 { features } else { features * gain }, channel, spatial))
    }

    fn identity_start(&self) -> Result<()> {
        match self {
            Self::Cbam(cbam) => cbam.identity_start(),
            Self::Spatial(spatial) => spatial.identity_start(),
            Self::SqueezeExcite(se) => se.identity_start(),
            Self::Eca(eca) => eca.identity_start(),
            Self::Bam(bam) => bam.identity_start(),
        }
    }
}
