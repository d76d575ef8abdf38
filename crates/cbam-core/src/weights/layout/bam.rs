//! BAM in its authors' names.

use super::attention::{Found, ours};
use super::modules::{Modules, Shape};
use super::{Assumption, AttentionKind, Layout, SiteAttention};

/// The official BAM after a stage (`bam1` after `layer1`), which gives out `channels` channels.
pub(super) fn after(modules: &Modules, module: &str, site: &str, channels: i64) -> Result<Option<Found>, String> {
    let [gate_c, gate_s] = [format!("{module}.channel_att.gate_c"), format!("{module}.spatial_att.gate_s")];
    let leaves = modules.leaves(&format!("{module}."));
    let Some(first) = leaves.iter().find(|leaf| leaf.path == format!("{gate_c}.gate_c_fc_0")) else { return Ok(None) };
    let Shape::Linear(hidden, _) = first.shape else { return Err(format!("{}.weight is no matrix", first.path)) };
    let ours = |name: &str| ours(site, "bam", name);
    let linear = |foreign: &str, name: &str, shape: [i64; 2]| {
        let (foreign, ours) = (format!("{gate_c}.{foreign}"), ours(name));
        let found = modules.shape(&format!("{foreign}.weight"))?;
        if found != shape {
            return Err(format!("{}.weight {found:?} where {shape:?} belongs", modules.original(&foreign)));
        }
        modules.take(&format!("{foreign}.weight"), format!("{ours}.weight"))?;
        modules.take(&format!("{foreign}.bias"), format!("{ours}.bias"))
    };
    let norm = |foreign: &str, name: &str| {
        let parts = ["weight", "bias", "running_mean", "running_var"];
        parts.iter().try_for_each(|part| modules.take(&format!("{foreign}.{part}"), format!("{}.{part}", ours(name))))
    };
    linear("gate_c_fc_0", "channel.fc1", [hidden, channels])?;
    norm(&format!("{gate_c}.gate_c_bn_1"), "channel.bn")?;
    linear("gate_c_fc_final", "channel.fc2", [channels, hidden])?;

    let conv = |foreign: &str, name: &str, shape: [i64; 4]| {
        let (foreign, ours) = (format!("{gate_s}.{foreign}"), ours(name));
        let found = modules.axes::<4>(&format!("{foreign}.weight"))?;
        if found != shape {
            return Err(format!("{}.weight {found:?} where {shape:?} belongs", modules.original(&foreign)));
        }
        modules.take(&format!("{foreign}.weight"), format!("{ours}.weight"))?;
        modules.take(&format!("{foreign}.bias"), format!("{ours}.bias"))
    };
    conv("gate_s_conv_reduce0", "spatial.reduce", [hidden, channels, 1, 1])?;
    norm(&format!("{gate_s}.gate_s_bn_reduce0"), "spatial.reduce_bn")?;
    for number in 0..2 {
        let next = number + 1;
        conv(&format!("gate_s_conv_di_{number}"), &format!("spatial.conv{next}"), [hidden, hidden, 3, 3])?;
        norm(&format!("{gate_s}.gate_s_bn_di_{number}"), &format!("spatial.bn{next}"))?;
    }
    conv("gate_s_conv_final", "spatial.out", [1, hidden, 1, 1])?;
    let fits = [16, channels / hidden].into_iter().find(|&r| r > 0 && channels / r == hidden);
    let reduction =
        fits.ok_or_else(|| format!("{module}: {hidden} of {channels} channels, which no reduction gives"))?;
    let attention = SiteAttention { site: site.to_owned(), channels, kind: AttentionKind::Bam { reduction } };
    let assumed =
        Assumption::new("BAM multiplies its two branches, of which the spatial one has a dilation of 4", None);
    Ok(Some(Found { layout: Layout::Official, attention, assumptions: vec![assumed], signed: false }))
}
