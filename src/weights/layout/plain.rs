//! VGG, `MobileNetV2` and EfficientNet-Lite, which public checkpoints have without attention.

use super::modules::Modules;
use super::{Layout, Recognised};

/// The convolutions of a VGG's five stages.
const VGGS: [(&str, [usize; 5]); 4] =
    [("vgg11", [1, 1, 2, 2, 2]), ("vgg13", [2, 2, 2, 2, 2]), ("vgg16", [2, 2, 3, 3, 3]), ("vgg19", [2, 2, 4, 4, 4])];

/// The blocks of an EfficientNet-Lite, and how many times ten its last stage is as wide as its stem.
const LITES: [(&str, usize, i64); 3] =
    [("efficientnet-lite0", 16, 100), ("efficientnet-lite1", 21, 100), ("efficientnet-lite2", 21, 110)];

/// torchvision's VGG: the places of the convolutions in `features` tell which.
pub(super) fn vgg(modules: Modules) -> Result<Recognised, String> {
    let norm = modules.has("features.1.running_mean");
    let places = |stages: [usize; 5]| {
        let mut place = 0;
        let mut places = Vec::new();
        for convolutions in stages {
            for _ in 0..convolutions {
                places.push(place);
                place += if norm { 3 } else { 2 }; // convolution, BatchNorm, ReLU
            }
            place += 1; // the pool
        }
        places
    };
    let is_convolution = |place: &usize| modules.shape(&format!("features.{place}.weight")).is_ok_and(|s| s.len() == 4);
    let found: Vec<usize> = (0..64).filter(is_convolution).collect();
    let Some((name, _)) = VGGS.into_iter().find(|vgg| places(vgg.1) == found) else {
        return Err(format!("convolutions at features.{found:?}: the places of no VGG"));
    };
    let arch = format!("{name}{}", if norm { "_bn" } else { "" });
    for place in found {
        modules.layer(&format!("features.{place}"), true)?;
        if norm {
            modules.norm(&format!("features.{}", place + 1))?;
        }
    }
    for place in [0, 3, 6] {
        modules.layer(&format!("classifier.{place}"), true)?;
    }
    let [width, ..] = modules.axes::<4>("features.0.weight")?;
    let [classes, _] = modules.axes::<2>("classifier.6.weight")?;
    let tensors = modules.finish(&arch)?;
    Ok(Recognised { layout: Layout::Torchvision, arch, classes, width, attention: Vec::new(), tensors })
}

/// torchvision's `MobileNetV2`.
pub(super) fn mobilenet_v2(modules: Modules) -> Result<Recognised, String> {
    const ARCH: &str = "mobilenet_v2";
    let conv_norm = |conv: String, norm: String| modules.layer(&conv, false).and_then(|()| modules.norm(&norm));
    conv_norm("features.0.0".into(), "features.0.1".into())?;
    for block in 1..=17 {
        let inner = format!("features.{block}.conv");
        // The first block has no 1×1 convolution before the 3×3 one.
        let widened = if block == 1 { 1 } else { 2 };
        for index in 0..widened {
            conv_norm(format!("{inner}.{index}.0"), format!("{inner}.{index}.1"))?;
        }
        conv_norm(format!("{inner}.{widened}"), format!("{inner}.{}", widened + 1))?;
    }
    conv_norm("features.18.0".into(), "features.18.1".into())?;
    modules.layer("classifier.1", true)?;
    let [width, ..] = modules.axes::<4>("features.0.0.weight")?;
    let [classes, _] = modules.axes::<2>("classifier.1.weight")?;
    let tensors = modules.finish(ARCH)?;
    Ok(Recognised {
        layout: Layout::Torchvision,
        arch: ARCH.to_owned(),
        classes,
        width,
        attention: Vec::new(),
        tensors,
    })
}

/// EfficientNet-Lite's published weights.
pub(super) fn efficientnet_lite(modules: Modules) -> Result<Recognised, String> {
    let blocks = (0..64).take_while(|block| modules.has_under(&format!("_blocks.{block}."))).count();
    let [width, ..] = modules.axes::<4>("_conv_stem.weight")?;
    let [last, ..] = modules.axes::<4>(&format!("_blocks.{}._project_conv.weight", blocks.max(1) - 1))?;
    let wide = if width > 0 { last.saturating_mul(10) / width } else { 0 };
    let Some((arch, ..)) = LITES.into_iter().find(|lite| (lite.1, lite.2) == (blocks, wide)) else {
        return Err(format!(
            "an EfficientNet of {blocks} blocks from {width} to {last} channels; Lite0, 1 and 2 are known"
        ));
    };
    let conv_norm = |conv: String, norm: String| modules.layer(&conv, false).and_then(|()| modules.norm(&norm));
    conv_norm("_conv_stem".into(), "_bn0".into())?;
    for block in 0..blocks {
        let block = format!("_blocks.{block}");
        if modules.has_under(&format!("{block}._expand_conv.")) {
            conv_norm(format!("{block}._expand_conv"), format!("{block}._bn0"))?;
        }
        conv_norm(format!("{block}._depthwise_conv"), format!("{block}._bn1"))?;
        conv_norm(format!("{block}._project_conv"), format!("{block}._bn2"))?;
    }
    conv_norm("_conv_head".into(), "_bn1".into())?;
    modules.layer("_fc", true)?;
    let [classes, _] = modules.axes::<2>("_fc.weight")?;
    let tensors = modules.finish(arch)?;
    let arch = arch.to_owned();
    Ok(Recognised { layout: Layout::EfficientNetLite, arch, classes, width, attention: Vec::new(), tensors })
}
