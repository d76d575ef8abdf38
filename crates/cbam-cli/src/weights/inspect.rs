//! What `inspect` prints.

use cbam_core::Error;
use cbam_core::attention::{CbamConfig, PoolOrder, SpatialAttentionConfig};
use cbam_core::network::{NetworkFile, OpenOptions};
use cbam_core::text::printable;
use cbam_core::weights::{AttentionKind, Checkpoint};

use crate::common::doubts::options_for;
use crate::common::opening::{Opening, advised};

/// The metadata key under which this crate's own networks write their configuration.
const CONFIG: &str = "network";

/// The format, the totals, what lies around the tensors, the network, the metadata, and one line per tensor.
///
/// # Errors
/// [`Error::Weights`] if options are given that have no effect on this file.
pub(crate) fn describe(checkpoint: &Checkpoint, opening: &Opening) -> cbam_core::Result<String> {
    let mut lines: Vec<String> =
        checkpoint.format().map(|format| format!("format      {format}")).into_iter().collect();
    lines.push(format!("tensors     {}", checkpoint.tensors.len()));
    lines.push(format!("parameters  {} (without BatchNorm's running statistics)", checkpoint.parameters()));
    let wrapping = checkpoint.wrapping();
    lines.extend(wrapping.part.iter().map(|part| format!("part        {}", plain(part))));
    lines.extend(wrapping.beside.iter().map(|(name, value)| format!("beside      {} = {}", plain(name), plain(value))));
    let unknown = |class: &String| format!("unknown     {}, of which objects are passed over", plain(class));
    lines.extend(wrapping.unknown.iter().map(unknown));
    lines.extend(wrapping.prefixes.iter().map(|prefix| format!("prefix      {} taken off every name", plain(prefix))));
    lines.extend(network(checkpoint, &opening.options())?);
    lines.extend(
        checkpoint.metadata.iter().map(|(key, value)| format!("metadata    {} = {}", plain(key), plain(value))),
    );

    let names: Vec<String> = checkpoint.tensors.keys().map(|name| plain(name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, tensor) in names.iter().zip(checkpoint.tensors.values()) {
        lines.push(format!("{name:width$}  {:5} {:?}", tensor.dtype(), tensor.shape()));
    }
    Ok(lines.join("\n") + "\n")
}

/// Which network the tensors are of, by its configuration or by their names and shapes; or why that cannot be told, which is an
/// error if options were to help.
fn network(checkpoint: &Checkpoint, options: &OpenOptions) -> cbam_core::Result<Vec<String>> {
    if checkpoint.metadata.contains_key(CONFIG) {
        options.without_effect(checkpoint).map_err(|error| advised(error, None))?;
        return Ok(vec!["network     of this program, configured by its metadata".to_owned()]);
    }
    let found = match NetworkFile::recognise(checkpoint, options).map_err(|error| advised(error, None)) {
        Ok(found) => found,
        Err(Error::Weights { message, .. }) if !options.recognises() => {
            return Ok(vec![format!("network     unknown: {}", plain(&message))]);
        }
        Err(error) => return Err(error),
    };
    let mut lines = vec![format!("network     {found}"), format!("layout      {}", found.layout)];
    let width = found.attention.iter().map(|site| site.site.len()).max().unwrap_or(0);
    lines.extend(
        found
            .attention
            .iter()
            .map(|site| format!("attention   {:width$}  {} channels, {}", site.site, site.channels, kind(&site.kind))),
    );
    if !found.prefix.is_empty() {
        lines.push(format!("under       {}", printable(&found.prefix)));
    }
    let say = options_for("cbam-run --check compares");
    let assumed = found.assumptions.iter().map(|assumption| assumption.said_with(&say));
    lines.extend(assumed.map(|assumed| format!("assumed     {}", printable(&assumed))));
    lines.extend(found.left_out.iter().map(|name| format!("left out    {}", printable(name))));
    Ok(lines)
}

fn kind(kind: &AttentionKind) -> String {
    match kind {
        AttentionKind::Cbam(config) => cbam(config),
        AttentionKind::Spatial(config) => format!("spatial; {}", spatial(config)),
        AttentionKind::Bam { reduction } => format!("bam, reduction {reduction}"),
        AttentionKind::SqueezeExcite { reduction, bias } => {
            format!("se, reduction {reduction}, {}", bias_words(*bias))
        }
        AttentionKind::Eca { kernel_size } => format!("eca, kernel {kernel_size}"),
        other => other.name().to_owned(),
    }
}

fn cbam(config: &CbamConfig) -> String {
    let channel = format!("cbam, reduction {}, {}", config.channel.reduction, bias_words(config.channel.bias));
    match &config.spatial {
        Some(config) => format!("{channel}; {}", spatial(config)),
        None => format!("{channel}; no spatial attention"),
    }
}

fn spatial(spatial: &SpatialAttentionConfig) -> String {
    let order = match spatial.order {
        PoolOrder::MaxMean => "max, mean",
        PoolOrder::MeanMax => "mean, max",
    };
    let norm = if spatial.batch_norm { "BatchNorm" } else { "no BatchNorm" };
    let bias = if spatial.bias { ", bias" } else { "" };
    format!("{0}×{0} over {order}, {norm}{bias}", spatial.kernel_size)
}

fn bias_words(bias: bool) -> &'static str {
    if bias { "bias" } else { "no bias" }
}

/// Text from a file, as it may go to a terminal.
fn plain(text: &str) -> String {
    printable(text).into_owned()
}
