//! pytorchcv's names of a residual network's layers, to torchvision's.

/// A name of a residual network, attention by its own name under torchvision's block; `None` if it is not known.
pub(super) fn torchvision(name: &str) -> Option<String> {
    if let Some(leaf) = name.strip_prefix("output.") {
        return Some(format!("fc.{leaf}"));
    }
    let inside = name.strip_prefix("features.")?;
    if let Some(rest) = inside.strip_prefix("init_block.conv.") {
        let (layer, leaf) = rest.split_once('.')?;
        return match layer {
            "conv" => Some(format!("conv1.{leaf}")),
            "bn" => Some(format!("bn1.{leaf}")),
            _ => None,
        };
    }
    let (stage, rest) = inside.strip_prefix("stage")?.split_once('.')?;
    let (unit, rest) = rest.strip_prefix("unit")?.split_once('.')?;
    let (stage, unit) = (stage.parse::<u32>().ok()?, unit.parse::<u32>().ok()?);
    let block = format!("layer{stage}.{}", unit.checked_sub(1)?);
    if let Some(gate) = rest.strip_prefix("bam.") {
        // It stands before a stage's first unit: after the stage before.
        return Some(format!("bam{}.{}", stage.checked_sub(1)?, bam(gate)?));
    }
    let rest = rest.strip_prefix("res_unit.").unwrap_or(rest);
    let inner = match rest.split('.').collect::<Vec<_>>().as_slice() {
        ["body", layer, "conv", leaf] => format!("{layer}.{leaf}"),
        ["body", layer, "bn", leaf] => format!("bn{}.{leaf}", layer.strip_prefix("conv")?),
        ["identity_conv", "conv", leaf] => format!("downsample.0.{leaf}"),
        ["identity_conv", "bn", leaf] => format!("downsample.1.{leaf}"),
        ["cbam" | "se", ..] => rest.to_owned(),
        _ => return None,
    };
    Some(format!("{block}.{inner}"))
}

/// One name inside a BAM, to the official code's.
fn bam(name: &str) -> Option<String> {
    Some(match name.split('.').collect::<Vec<_>>().as_slice() {
        ["ch_att", "init_fc", "fc", leaf] => format!("channel_att.gate_c.gate_c_fc_0.{leaf}"),
        ["ch_att", "init_fc", "bn", leaf] => format!("channel_att.gate_c.gate_c_bn_1.{leaf}"),
        ["ch_att", "final_fc", leaf] => format!("channel_att.gate_c.gate_c_fc_final.{leaf}"),
        ["sp_att", "init_conv", layer @ ("conv" | "bn"), leaf] => {
            format!("spatial_att.gate_s.gate_s_{layer}_reduce0.{leaf}")
        }
        ["sp_att", "dil_convs", number, layer @ ("conv" | "bn"), leaf] => {
            let number = number.strip_prefix("conv")?.parse::<u32>().ok()?.checked_sub(1)?;
            format!("spatial_att.gate_s.gate_s_{layer}_di_{number}.{leaf}")
        }
        ["sp_att", "final_conv", leaf] => format!("spatial_att.gate_s.gate_s_conv_final.{leaf}"),
        _ => return None,
    })
}
