//! Attention in the names of five code bases, to this crate's names.

use super::modules::Modules;
use super::{AttentionKind, Layout, SiteAttention};
use crate::attention::{CbamConfig, ChannelAttentionConfig, PoolOrder, SpatialAttentionConfig};

/// One code base's names of a CBAM, under the block that it stands in.
struct CbamNames {
    layout: Layout,
    fc1: &'static str,
    fc2: &'static str,
    conv: &'static str,
    bn: &'static str,
    order: PoolOrder,
}

const CBAM: [CbamNames; 6] = [
    CbamNames {
        layout: Layout::Official,
        fc1: "cbam.ChannelGate.mlp.1",
        fc2: "cbam.ChannelGate.mlp.3",
        conv: "cbam.SpatialGate.spatial.conv",
        bn: "cbam.SpatialGate.spatial.bn",
        order: PoolOrder::MaxMean,
    },
    CbamNames {
        layout: Layout::Timm,
        fc1: "se.channel.fc1",
        fc2: "se.channel.fc2",
        conv: "se.spatial.conv.conv",
        bn: "se.spatial.conv.bn",
        order: PoolOrder::MeanMax,
    },
    CbamNames {
        layout: Layout::Pytorchcv,
        fc1: "cbam.ch_gate.mlp.fc1",
        fc2: "cbam.ch_gate.mlp.fc2",
        conv: "cbam.sp_gate.conv.conv",
        bn: "cbam.sp_gate.conv.bn",
        order: PoolOrder::MaxMean,
    },
    CbamNames {
        layout: Layout::CaSa,
        fc1: "ca.fc.0",
        fc2: "ca.fc.2",
        conv: "sa.conv1",
        bn: "sa.bn",
        order: PoolOrder::MeanMax,
    },
    CbamNames {
        layout: Layout::CaSa,
        fc1: "ca.fc1",
        fc2: "ca.fc2",
        conv: "sa.conv1",
        bn: "sa.bn",
        order: PoolOrder::MeanMax,
    },
    CbamNames {
        layout: Layout::CaSa,
        fc1: "ca.fc1",
        fc2: "ca.fc2",
        conv: "sa.conv",
        bn: "sa.bn",
        order: PoolOrder::MeanMax,
    },
];

type Found = Option<(Layout, SiteAttention)>;

/// The attention inside a residual block that gives out `channels` channels.
pub(super) fn in_block(modules: &Modules, block: &str, channels: i64) -> Result<Found, String> {
    let under = |names: &&CbamNames| modules.has(&format!("{block}.{}.weight", names.fc1));
    let (layout, kind) = if let Some(names) = CBAM.iter().find(under) {
        (names.layout, cbam(modules, block, channels, names)?)
    } else if modules.has(&format!("{block}.se.fc1.weight")) {
        (Layout::Timm, squeeze_excite(modules, block, channels, ["se.fc1", "se.fc2"])?)
    } else if modules.has(&format!("{block}.se.conv1.weight")) {
        (Layout::Pytorchcv, squeeze_excite(modules, block, channels, ["se.conv1", "se.conv2"])?)
    } else if modules.has(&format!("{block}.se.conv.weight")) {
        (Layout::Timm, eca(modules, block)?)
    } else {
        return Ok(None);
    };
    Ok(Some((layout, SiteAttention { site: block.to_owned(), channels, kind })))
}

/// The variable of the attention of `kind` at `site`.
fn ours(site: &str, kind: &str, name: &str) -> String {
    format!("attention.{}.{kind}.{name}", site.replace('.', "_"))
}

/// Takes a linear layer, or a 1×1 convolution as one: `[outputs, inputs]`, and its bias if it has one.
fn linear(modules: &Modules, foreign: &str, ours: &str, outputs: i64, inputs: i64) -> Result<bool, String> {
    let name = format!("{foreign}.weight");
    let shape = modules.shape(&name)?;
    if !matches!(shape.as_slice(), &[o, i] | &[o, i, 1, 1] if (o, i) == (outputs, inputs)) {
        return Err(format!("{name} {shape:?} where [{outputs}, {inputs}] or [{outputs}, {inputs}, 1, 1] belongs"));
    }
    modules.take_reshaped(&name, format!("{ours}.weight"), &[outputs, inputs])?;
    let bias = format!("{foreign}.bias");
    if modules.has(&bias) {
        modules.take_reshaped(&bias, format!("{ours}.bias"), &[outputs])?;
    }
    Ok(modules.has(&bias))
}

fn norm(modules: &Modules, foreign: &str, ours: &str) -> Result<(), String> {
    let parts = ["weight", "bias", "running_mean", "running_var"];
    parts.iter().try_for_each(|part| modules.take(&format!("{foreign}.{part}"), format!("{ours}.{part}")))
}

/// The rows of a layer's matrix: how wide it is.
fn hidden(modules: &Modules, layer: &str) -> Result<i64, String> {
    let name = format!("{layer}.weight");
    let shape = modules.shape(&name)?;
    shape.first().copied().filter(|&hidden| hidden > 0).ok_or_else(|| format!("{name} {shape:?} has no rows"))
}

/// The r of which `channels / r`, rounded down, is `hidden`: 16, the usual one, if it fits, else the largest.
fn reduction(layer: &str, channels: i64, hidden: i64) -> Result<i64, String> {
    let candidates = [16, channels / hidden];
    let fits = candidates.into_iter().find(|&r| r > 0 && channels / r == hidden);
    fits.ok_or_else(|| format!("{layer}: {hidden} of {channels} channels, which no whole reduction gives"))
}

fn cbam(modules: &Modules, block: &str, channels: i64, names: &CbamNames) -> Result<AttentionKind, String> {
    let [fc1, fc2, conv, bn] = [names.fc1, names.fc2, names.conv, names.bn].map(|name| format!("{block}.{name}"));
    let ours = |name: &str| ours(block, "cbam", name);
    let hidden = hidden(modules, &fc1)?;
    let bias = linear(modules, &fc1, &ours("channel.fc1"), hidden, channels)?;
    if linear(modules, &fc2, &ours("channel.fc2"), channels, hidden)? != bias {
        return Err(format!("of {fc1} and {fc2} only one has a bias"));
    }
    let channel = ChannelAttentionConfig::default().with_reduction(reduction(&fc1, channels, hidden)?).with_bias(bias);
    let kernel = format!("{conv}.weight");
    let spatial = if modules.has(&kernel) {
        let shape @ [_, inputs, side, _] = modules.axes::<4>(&kernel)?;
        if inputs == 1 {
            return Err(format!(
                "{kernel} {shape:?}: timm's light CBAM, which averages its two pools, is not known here"
            ));
        }
        if shape != [1, 2, side, side] || side % 2 == 0 {
            return Err(format!("{kernel} {shape:?} where [1, 2, k, k] with an odd k belongs"));
        }
        modules.take(&kernel, ours("spatial.conv.weight"))?;
        let batch_norm = modules.has_under(&format!("{bn}."));
        if batch_norm {
            norm(modules, &bn, &ours("spatial.bn"))?;
        }
        let config = SpatialAttentionConfig::default().with_kernel_size(side).with_order(names.order);
        Some(config.with_batch_norm(batch_norm))
    } else {
        None
    };
    Ok(AttentionKind::Cbam(CbamConfig { channel, spatial }))
}

fn squeeze_excite(modules: &Modules, block: &str, channels: i64, names: [&str; 2]) -> Result<AttentionKind, String> {
    let [fc1, fc2] = names.map(|name| format!("{block}.{name}"));
    let hidden = hidden(modules, &fc1)?;
    let bias = linear(modules, &fc1, &ours(block, "se", "fc1"), hidden, channels)?;
    if linear(modules, &fc2, &ours(block, "se", "fc2"), channels, hidden)? != bias {
        return Err(format!("of {fc1} and {fc2} only one has a bias"));
    }
    Ok(AttentionKind::SqueezeExcite { reduction: reduction(&fc1, channels, hidden)?, bias })
}

fn eca(modules: &Modules, block: &str) -> Result<AttentionKind, String> {
    let name = format!("{block}.se.conv.weight");
    let shape @ [_, _, kernel_size] = modules.axes::<3>(&name)?;
    if shape != [1, 1, kernel_size] || kernel_size % 2 == 0 {
        return Err(format!("{name} {shape:?} where [1, 1, k] with an odd k belongs"));
    }
    modules.take(&name, ours(block, "eca", "conv.weight"))?;
    Ok(AttentionKind::Eca { kernel_size })
}

/// The official BAM after a stage (`bam1` after `layer1`), which gives out `channels` channels.
pub(super) fn bam(modules: &Modules, module: &str, site: &str, channels: i64) -> Result<Found, String> {
    let [gate_c, gate_s] = [format!("{module}.channel_att.gate_c"), format!("{module}.spatial_att.gate_s")];
    let fc1 = format!("{gate_c}.gate_c_fc_0");
    if !modules.has(&format!("{fc1}.weight")) {
        return Ok(None);
    }
    let ours = |name: &str| ours(site, "bam", name);
    let hidden = hidden(modules, &fc1)?;
    linear(modules, &fc1, &ours("channel.fc1"), hidden, channels)?;
    norm(modules, &format!("{gate_c}.gate_c_bn_1"), &ours("channel.bn"))?;
    linear(modules, &format!("{gate_c}.gate_c_fc_final"), &ours("channel.fc2"), channels, hidden)?;

    let conv = |foreign: &str, name: &str, shape: [i64; 4]| {
        let (foreign, ours) = (format!("{gate_s}.{foreign}"), ours(name));
        let found = modules.axes::<4>(&format!("{foreign}.weight"))?;
        if found != shape {
            return Err(format!("{foreign}.weight {found:?} where {shape:?} belongs"));
        }
        modules.take(&format!("{foreign}.weight"), format!("{ours}.weight"))?;
        modules.take(&format!("{foreign}.bias"), format!("{ours}.bias"))
    };
    conv("gate_s_conv_reduce0", "spatial.reduce", [hidden, channels, 1, 1])?;
    norm(modules, &format!("{gate_s}.gate_s_bn_reduce0"), &ours("spatial.reduce_bn"))?;
    for number in 0..2 {
        let next = number + 1;
        conv(&format!("gate_s_conv_di_{number}"), &format!("spatial.conv{next}"), [hidden, hidden, 3, 3])?;
        norm(modules, &format!("{gate_s}.gate_s_bn_di_{number}"), &ours(&format!("spatial.bn{next}")))?;
    }
    conv("gate_s_conv_final", "spatial.out", [1, hidden, 1, 1])?;
    let kind = AttentionKind::Bam { reduction: reduction(&fc1, channels, hidden)? };
    Ok(Some((Layout::Official, SiteAttention { site: site.to_owned(), channels, kind })))
}
