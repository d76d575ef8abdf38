//! timm's names of an EfficientNet-Lite's layers, to those of its published weights.

/// A name, `blocks.STAGE.INDEX.` as `_blocks.STAGE.INDEX.`, whose blocks have no common numbers yet; `None` if it is not known.
pub(super) fn published(name: &str) -> Option<String> {
    let (module, leaf) = name.rsplit_once('.')?;
    let layer = match module {
        "conv_stem" => "_conv_stem",
        "bn1" => "_bn0",
        "conv_head" => "_conv_head",
        "bn2" => "_bn1",
        "classifier" => return Some(format!("_fc.{leaf}")),
        block => {
            let parts: Vec<&str> = block.strip_prefix("blocks.")?.split('.').collect();
            let [stage, index, layer] = parts[..] else { return None };
            // The first stage widens nothing, and so has no 1×1 convolution before the others.
            let widens = stage != "0";
            let layer = match (layer, widens) {
                ("conv_pw", true) => "_expand_conv",
                ("bn1", true) => "_bn0",
                ("conv_dw", _) => "_depthwise_conv",
                ("bn1", false) | ("bn2", true) => "_bn1",
                ("conv_pw", false) | ("conv_pwl", true) => "_project_conv",
                ("bn2", false) | ("bn3", true) => "_bn2",
                _ => return None,
            };
            return Some(format!("_blocks.{stage}.{index}.{layer}.{leaf}"));
        }
    };
    Some(format!("{layer}.{leaf}"))
}

#[cfg(test)]
mod tests {
    use super::published;

    #[test]
    fn names_of_both_kinds_of_blocks_are_known() {
        for (theirs, ours) in [
            ("conv_stem.weight", "_conv_stem.weight"),
            ("bn2.running_var", "_bn1.running_var"),
            ("blocks.0.0.conv_dw.weight", "_blocks.0.0._depthwise_conv.weight"),
            ("blocks.0.0.bn1.bias", "_blocks.0.0._bn1.bias"),
            ("blocks.0.0.conv_pw.weight", "_blocks.0.0._project_conv.weight"),
            ("blocks.0.0.bn2.bias", "_blocks.0.0._bn2.bias"),
            ("blocks.3.1.conv_pw.weight", "_blocks.3.1._expand_conv.weight"),
            ("blocks.3.1.bn1.bias", "_blocks.3.1._bn0.bias"),
            ("blocks.3.1.bn2.bias", "_blocks.3.1._bn1.bias"),
            ("blocks.3.1.conv_pwl.weight", "_blocks.3.1._project_conv.weight"),
            ("blocks.3.1.bn3.bias", "_blocks.3.1._bn2.bias"),
            ("classifier.bias", "_fc.bias"),
        ] {
            assert_eq!(published(theirs).as_deref(), Some(ours));
        }
        assert_eq!(published("blocks.1.0.se.conv_reduce.weight"), None);
    }
}
