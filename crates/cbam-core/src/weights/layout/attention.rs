//! Attention under any names: the shapes tell what it is, the names whose it is.
//!
//! Of the channels C a gate's parts are
//!
//! | | tensors |
//! |---|---|
//! | channel gate of CBAM, squeeze-and-excitation | two linear layers or 1×1 convolutions, `[C / r, C]` and `[C, C / r]` |
//! | spatial gate of CBAM | `[1, 2, k, k]`, perhaps with a bias, perhaps with a BatchNorm of one channel |
//! | ECA | `[1, 1, k]` |
//! | BAM | its authors' names |
//!
//! Both channel gates have the same shapes: where no spatial gate stands beside it, the names must tell.

use super::modules::{Leaf, Modules, Shape};
use super::names::listed;
use super::words::{named_attention, named_channel, named_squeeze};
use super::{Assumption, AttentionKind, Layout, Otherwise, SiteAttention};
use crate::attention::{CbamConfig, ChannelAttentionConfig, Pool, PoolOrder, SpatialAttentionConfig};

/// What is known of attention that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) layout: Layout,
    pub(super) attention: SiteAttention,
    pub(super) assumptions: Vec<Assumption>,
    /// Whether its names are so wholly its authors' that the network around it is theirs too.
    pub(super) signed: bool,
}

/// What timm calls the modules of its CBAM.
const TIMM_CBAM: [&str; 4] = ["se.channel.fc1", "se.channel.fc2", "se.spatial.conv.bn", "se.spatial.conv.conv"];

/// The pools of a channel gate.
enum Pools {
    /// The mean alone, and no spatial gate behind it.
    Excitation,
    /// The mean alone, before a spatial gate.
    Mean,
    /// Mean and maximum.
    Both,
}

/// The parts of one gate.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The layer that narrows, and the one that widens again.
    mlp: Option<[Leaf; 2]>,
    spatial: Option<Leaf>,
    norm: Option<Leaf>,
    eca: Option<Leaf>,
}

impl Parts {
    /// Sorts modules into the parts of one gate; an error that names what does not belong to any that is known.
    pub(super) fn of(modules: &Modules, leaves: &[Leaf]) -> Result<Self, String> {
        let stranger = |leaf: &Leaf| {
            let name = format!("{}.weight", modules.original(&leaf.path));
            match &leaf.shape {
                Shape::Convolution(shape) if matches!(shape[..], [1, 1, ..]) => {
                    format!("{name} {shape:?}: timm's light CBAM, which averages its two pools, is not known here")
                }
                Shape::Convolution(shape) if matches!(shape[..], [1, 2, ..]) => {
                    format!("{name} {shape:?} where [1, 2, k, k] with an odd k belongs")
                }
                _ => {
                    let names: Vec<&str> = leaves.iter().map(|leaf| modules.original(&leaf.path)).collect();
                    let said = "attention that is neither CBAM, squeeze-and-excitation nor ECA";
                    format!("{said}, or no part of the network: {}", listed(&names))
                }
            }
        };
        let mut parts = Self::default();
        let mut linear = Vec::new();
        for leaf in leaves {
            let place = match leaf.shape {
                Shape::Linear(..) if linear.len() < 2 => {
                    linear.push(leaf.clone());
                    continue;
                }
                Shape::Spatial(_) => &mut parts.spatial,
                Shape::Norm(1) => &mut parts.norm,
                Shape::AlongChannels(_) if !leaf.bias => &mut parts.eca,
                _ => return Err(stranger(leaf)),
            };
            if place.replace(leaf.clone()).is_some() {
                return Err(stranger(leaf));
            }
        }
        parts.mlp = match (<[Leaf; 2]>::try_from(linear), parts.eca.is_some()) {
            (Ok(pair), false) => Some(in_order(pair).map_err(|pair| {
                let [first, second] = *pair;
                let [one, two] = [&first, &second].map(|leaf| match leaf.shape {
                    Shape::Linear(outputs, inputs) => [outputs, inputs],
                    _ => [0, 0],
                });
                let [narrow, wide] = [&first, &second].map(|leaf| modules.original(&leaf.path));
                format!("{wide}.weight {two:?} where [{}, {}] belongs, behind {narrow} {one:?}", one[1], one[0])
            })?),
            (Err(linear), _) if linear.is_empty() => None,
            (Ok([first, _]), _) => return Err(stranger(&first)),
            (Err(linear), _) => return Err(stranger(&linear[0])),
        };
        let lone_norm = parts.norm.is_some() && parts.spatial.is_none();
        let two_kinds = parts.eca.is_some() && (parts.spatial.is_some() || parts.norm.is_some());
        if let (true, Some(leaf)) = (lone_norm || two_kinds, leaves.first()) {
            return Err(stranger(leaf));
        }
        Ok(parts)
    }

    /// The channels that it gates, where its parts say so.
    pub(super) fn channels(&self) -> Option<i64> {
        match self.mlp.as_ref()?[0].shape {
            Shape::Linear(_, channels) => Some(channels),
            _ => None,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Leaf> {
        self.mlp.iter().flatten().chain(&self.spatial).chain(&self.norm).chain(&self.eca)
    }

    /// Whose names these are, of what stands at a place whose prefix is `place`, and whether they sign the network: timm's CBAM has
    /// four modules that nobody else calls so.
    fn layout(&self, modules: &Modules, place: &str) -> (Layout, bool) {
        let mut paths: Vec<&str> =
            self.all().map(|leaf| leaf.path.strip_prefix(place).unwrap_or(&leaf.path).trim_matches('.')).collect();
        paths.sort_unstable();
        let any = |test: &dyn Fn(&str) -> bool| paths.iter().any(|path| test(path));
        // timm's squeeze-and-excitation is of 1×1 convolutions with biases.
        let convolves = |leaf: &Leaf| {
            leaf.bias && modules.get(&format!("{}.weight", leaf.path)).is_some_and(|weight| weight.shape().len() == 4)
        };
        if any(&|path| path.contains("ChannelGate.mlp.") || path.contains("SpatialGate.spatial.")) {
            (Layout::Official, false)
        } else if any(&|path| path.contains("ch_gate.mlp.") || path.contains("sp_gate.conv.")) {
            (Layout::Pytorchcv, false)
        } else if paths == TIMM_CBAM {
            (Layout::Timm, true)
        } else if paths == ["se.conv"] || (paths == ["se.fc1", "se.fc2"] && self.all().all(convolves)) {
            (Layout::Timm, false)
        } else if any(&|path| path.starts_with("ca.") || path.starts_with("sa.")) {
            (Layout::CaSa, false)
        } else {
            (Layout::OtherNames, false)
        }
    }

    /// Takes the gate's tensors for a place, `site`, that has `channels`; `place` is the prefix that its modules share.
    pub(super) fn take(
        &self,
        modules: &Modules,
        site: &str,
        place: &str,
        channels: i64,
        order: Option<PoolOrder>,
    ) -> Result<Found, String> {
        let (layout, signed) = self.layout(modules, place);
        let mut assumptions = Vec::new();
        let kind = if let Some(eca) = &self.eca {
            let Shape::AlongChannels(kernel_size) = eca.shape else { return Err(format!("{} is no ECA", eca.path)) };
            modules.take(&format!("{}.weight", eca.path), ours(site, "eca", "conv.weight"))?;
            assumptions.push(Assumption::new("ECA pads the channels with zeros", None));
            AttentionKind::Eca { kernel_size }
        } else if let Some(mlp) = &self.mlp {
            let pools = self.pools(place, layout, &mut assumptions);
            let excites = matches!(pools, Pools::Excitation);
            let (kind, prefix) = if excites { ("se", "") } else { ("cbam", "channel.") };
            let (reduction, bias) =
                take_mlp(modules, mlp, channels, &|name| ours(site, kind, &format!("{prefix}{name}")))?;
            if excites {
                AttentionKind::SqueezeExcite { reduction, bias }
            } else {
                let channel = ChannelAttentionConfig::default().with_reduction(reduction).with_bias(bias);
                let channel = if let Pools::Mean = pools { channel.with_pools([Pool::Avg]) } else { channel };
                let take = |spatial| {
                    let ours = |name: &str| ours(site, "cbam", &format!("spatial.{name}"));
                    self.take_spatial(modules, spatial, &ours, layout, order, &mut assumptions)
                };
                let spatial = self.spatial.as_ref().map(take).transpose()?;
                AttentionKind::Cbam(CbamConfig { channel, spatial })
            }
        } else if let Some(spatial) = &self.spatial {
            let ours = |name: &str| ours(site, "spatial", name);
            AttentionKind::Spatial(self.take_spatial(modules, spatial, &ours, layout, order, &mut assumptions)?)
        } else {
            return Err(format!("nothing at {site}"));
        };
        Ok(Found { layout, attention: SiteAttention { site: site.to_owned(), channels, kind }, assumptions, signed })
    }

    /// What a channel gate pools: its names say so, or what is usual is taken for granted.
    fn pools(&self, place: &str, layout: Layout, assumptions: &mut Vec<Assumption>) -> Pools {
        if matches!(layout, Layout::Official | Layout::Pytorchcv) || (layout == Layout::Timm && self.spatial.is_some())
        {
            return Pools::Both;
        }
        // The outermost name that says anything decides: `channel_se.fc1` excites, `ca.se.0` is CBAM's.
        let inside = |leaf: &'_ Leaf| leaf.path.strip_prefix(place).unwrap_or(&leaf.path).to_owned();
        let paths: Vec<String> = self.mlp.iter().flatten().map(inside).collect();
        let mut names = paths.iter().flat_map(|path| path.split('.'));
        let said = names.find(|name| named_squeeze(name) || named_channel(name));
        let excites = said.is_some_and(named_squeeze);
        let (pools, assumed) = match (&self.spatial, excites) {
            (None, true) => return Pools::Excitation,
            (None, false) if said.is_some() => {
                (Pools::Both, "a channel gate alone pools mean and maximum, as CBAM's does")
            }
            (None, false) => {
                (Pools::Excitation, "a channel gate alone is squeeze-and-excitation, and so pools the mean alone")
            }
            (Some(_), true) => (
                Pools::Mean,
                "a channel gate called squeeze-and-excitation pools the mean alone, and stands before the spatial gate",
            ),
            (Some(_), false) => {
                (Pools::Both, "a channel gate pools mean and maximum, and stands before the spatial gate")
            }
        };
        assumptions.push(Assumption::new(assumed, None));
        pools
    }

    fn take_spatial(
        &self,
        modules: &Modules,
        conv: &Leaf,
        ours: &dyn Fn(&str) -> String,
        layout: Layout,
        order: Option<PoolOrder>,
        assumptions: &mut Vec<Assumption>,
    ) -> Result<SpatialAttentionConfig, String> {
        let Shape::Spatial(side) = conv.shape else { return Err(format!("{} is no spatial gate", conv.path)) };
        modules.take(&format!("{}.weight", conv.path), ours("conv.weight"))?;
        let bias = format!("{}.bias", conv.path);
        if let Some(norm) = &self.norm {
            for part in ["weight", "bias", "running_mean", "running_var"] {
                modules.take(&format!("{}.{part}", norm.path), ours(&format!("bn.{part}")))?;
            }
            if conv.bias {
                // A bias before a BatchNorm only moves its mean.
                modules.give(ours("bn.running_mean"), modules.less(&format!("{}.running_mean", norm.path), &bias)?);
            }
        } else if conv.bias {
            modules.take(&bias, ours("conv.bias"))?;
        }
        let usual = match layout {
            Layout::Official | Layout::Pytorchcv => PoolOrder::MaxMean,
            _ => PoolOrder::MeanMax,
        };
        if order.is_none() && !matches!(layout, Layout::Timm | Layout::Pytorchcv) {
            let words =
                if usual == PoolOrder::MaxMean { "the maximum before the mean" } else { "the mean before the maximum" };
            let other = if usual == PoolOrder::MaxMean { PoolOrder::MeanMax } else { PoolOrder::MaxMean };
            let said = format!("spatial gates see {words} of the channels");
            assumptions.push(Assumption::new(said, Some(Otherwise::PoolOrder(other))));
        }
        let config = SpatialAttentionConfig::default().with_kernel_size(side).with_order(order.unwrap_or(usual));
        Ok(config.with_batch_norm(self.norm.is_some()).with_bias(conv.bias && self.norm.is_none()))
    }
}

/// The layer that narrows first.
fn in_order([first, second]: [Leaf; 2]) -> Result<[Leaf; 2], Box<[Leaf; 2]>> {
    let (Shape::Linear(a, b), Shape::Linear(c, d)) = (&first.shape, &second.shape) else {
        return Err(Box::new([first, second]));
    };
    match ((a, b) == (d, c), a <= b) {
        (false, _) => Err(Box::new([first, second])),
        (true, true) => Ok([first, second]),
        (true, false) => Ok([second, first]),
    }
}

/// Takes the two layers of a channel gate; their reduction, and whether they have biases.
fn take_mlp(
    modules: &Modules,
    [narrow, wide]: &[Leaf; 2],
    channels: i64,
    ours: &dyn Fn(&str) -> String,
) -> Result<(i64, bool), String> {
    let Shape::Linear(hidden, inputs) = narrow.shape else { return Err(format!("{} is no layer", narrow.path)) };
    let name = modules.original(&narrow.path);
    if inputs != channels {
        return Err(format!("{name}.weight [{hidden}, {inputs}] where [C / r, {channels}] belongs"));
    }
    let bias = narrow.bias || wide.bias;
    modules.linear(narrow, &ours("fc1"), bias)?;
    modules.linear(wide, &ours("fc2"), bias)?;
    Ok((reduction(name, channels, hidden)?, bias))
}

/// The r of which `channels / r`, rounded down, is `hidden`: 16, the usual one, if it fits, else the largest.
fn reduction(layer: &str, channels: i64, hidden: i64) -> Result<i64, String> {
    let candidates = [16, channels / hidden];
    let fits = candidates.into_iter().find(|&r| r > 0 && channels / r == hidden);
    fits.ok_or_else(|| format!("{layer}: {hidden} of {channels} channels, which no whole reduction gives"))
}

/// The variable of the attention of `kind` at `site`.
pub(super) fn ours(site: &str, kind: &str, name: &str) -> String {
    format!("attention.{}.{kind}.{name}", site.replace('.', "_"))
}

/// The attention among the modules under a place, `layer1.0.`, that nothing explains yet, for features of `channels`. What is no
/// gate is left; if `lenient`, so is attention that is not known.
pub(super) fn at(
    modules: &Modules,
    site: &str,
    place: &str,
    channels: i64,
    order: Option<PoolOrder>,
    lenient: bool,
) -> Result<Option<Found>, String> {
    let leaves = modules.leaves(place);
    let gates = |leaf: &Leaf| {
        matches!(leaf.shape, Shape::Linear(..) | Shape::Spatial(_) | Shape::AlongChannels(_))
            || named_attention(leaf.path.strip_prefix(place).unwrap_or(&leaf.path))
    };
    if !leaves.iter().any(gates) {
        return Ok(None);
    }
    match Parts::of(modules, &leaves) {
        Ok(parts) => parts.take(modules, site, place, channels, order).map(Some),
        Err(_) if lenient => Ok(None),
        Err(message) => Err(message),
    }
}
