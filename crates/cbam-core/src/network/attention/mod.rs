//! The attention at one place, in its form for inference.

mod bam;
mod channel;
mod patch;
mod spatial;

use ndarray::{Array2, Array3};

use super::parameters::Named;
use super::{BlockPass, GatePass, Site, StageAttention};
use crate::kernels::{FeatureMap, Gated, Gates, Layout, Map};
use crate::{Error, Result};
use bam::Bam;
use channel::{Eca, PooledMlp};
use patch::PatchAttention;

/// A gate, and patch self-attention behind it.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) name: String,
    pub(super) site: Site,
    gate: Option<Gate>,
    gain: f32,
    patch: Option<PatchAttention>,
}

/// A gate of any kind.
#[derive(Debug)]
enum Gate {
    Gates { channel: Option<Channel>, spatial: Option<crate::kernels::SpatialGate> },
    Bam(Box<Bam>),
}

/// What makes the logits of channels of their pools.
#[derive(Debug)]
enum Channel {
    Mlp(PooledMlp),
    Eca(Eca),
}

impl Block {
    /// The attention of `config` on features of `channels` channels.
    pub(super) fn new(p: &Named<'_>, (site, channels): (Site, i64), config: &StageAttention) -> Result<Self> {
        let StageAttention { cbam, spatial, se, eca, bam, .. } = config;
        let channels = channels as usize;
        let gate = match (cbam, spatial, se, eca, bam) {
            (None, None, None, None, None) => None,
            (Some(cbam), None, None, None, None) => {
                let p = p.at("cbam");
                let channel = PooledMlp::new(&p.at("channel"), channels, &cbam.channel)?;
                let spatial =
                    cbam.spatial.as_ref().map(|config| spatial::gate(&p.at("spatial"), config)).transpose()?;
                Some(Gate::Gates { channel: Some(Channel::Mlp(channel)), spatial })
            }
            (None, Some(config), None, None, None) => {
                Some(Gate::Gates { channel: None, spatial: Some(spatial::gate(&p.at("spatial"), config)?) })
            }
            (None, None, Some(config), None, None) => {
                let mlp = PooledMlp::squeeze_excite(&p.at("se"), channels, config)?;
                Some(Gate::Gates { channel: Some(Channel::Mlp(mlp)), spatial: None })
            }
            (None, None, None, Some(config), None) => {
                let eca = Eca::new(&p.at("eca"), channels, config)?;
                Some(Gate::Gates { channel: Some(Channel::Eca(eca)), spatial: None })
            }
            (None, None, None, None, Some(config)) => {
                Some(Gate::Bam(Box::new(Bam::new(&p.at("bam"), channels, config)?)))
            }
            _ => {
                let message = "has gates of several kinds; a place has one of cbam, spatial, se, eca and bam";
                return Err(Error::argument(format!("attention stage '{}'", config.stage), message));
            }
        };
        let patch =
            config.patch.as_ref().map(|config| PatchAttention::new(&p.at("patch"), channels, config)).transpose()?;
        Ok(Self { name: config.stage.clone(), site, gate, gain: config.gain as f32, patch })
    }

    /// Whether it has a gate of channels.
    pub(super) fn gates_channels(&self) -> bool {
        match &self.gate {
            None => false,
            Some(Gate::Bam(_)) => true,
            Some(Gate::Gates { channel, .. }) => channel.is_some(),
        }
    }

    pub(super) fn forward(&self, xs: Map) -> Result<(Map, BlockPass)> {
        let mut maps = BlockPass { stage: self.name.clone(), channel: None, spatial: None, patch: None };
        let mut xs = match &self.gate {
            None => xs,
            Some(Gate::Bam(bam)) => {
                let (features, channel, spatial) = bam.forward(xs, self.gain)?;
                (maps.channel, maps.spatial) = (Some(GatePass::of_gate(channel)), Some(GatePass::of_gate(spatial)));
                features
            }
            Some(Gate::Gates { channel, spatial }) => {
                let logits = |xs: &[f32], pools: [&[f32]; 2], logits: &mut [f32]| match channel {
                    Some(Channel::Mlp(mlp)) => mlp.logits(xs, pools, logits),
                    Some(Channel::Eca(eca)) => eca.logits(pools[0], logits),
                    None => {}
                };
                let gates = Gates {
                    channel: channel.as_ref().map(|_| &logits as &crate::kernels::ChannelGate<'_>),
                    spatial: spatial.as_ref(),
                    gain: self.gain,
                };
                let (features, of_channels, of_positions) = gated(&gates, &xs)?;
                maps.channel = channel.as_ref().map(|_| GatePass::of_logits(of_channels));
                maps.spatial = spatial.as_ref().map(|_| GatePass::of_logits(of_positions));
                features
            }
        };
        if let Some(patch) = &self.patch {
            let (features, output) = patch.forward(xs)?;
            (xs, maps.patch) = (features, Some(output));
        }
        Ok((xs, maps))
    }
}

/// The features times their gates, and the logits of channels and positions.
fn gated(gates: &Gates<'_>, xs: &Map) -> Result<(Map, Array2<f32>, Array3<f32>)> {
    let [images, height, width, channels] = xs.shape();
    let mut features = vec![0.0; xs.numbers().len()];
    let (mut channel, mut spatial) = (vec![0.0; images * channels], vec![0.0; images * height * width]);
    if images > 0 {
        let shape = [images, channels, height, width];
        let input = FeatureMap { numbers: xs.numbers(), layout: Layout::Pixels, shape };
        gates.forward(input, Gated { features: &mut features, channel: &mut channel, spatial: &mut spatial })?;
    }
    let channel = Array2::from_shape_vec((images, channels), channel).map_err(Error::internal)?;
    let spatial = Array3::from_shape_vec((images, height, width), spatial).map_err(Error::internal)?;
    Ok((Map::new(xs.shape(), features)?, channel, spatial))
}
