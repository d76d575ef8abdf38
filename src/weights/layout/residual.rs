//! Residual networks, `ResNeXts` and wide ones among them, in torchvision's names, with attention or without.

use super::attention::{bam, in_block};
use super::modules::Modules;
use super::{Layout, Recognised};

/// What tells a member of the family: its blocks, and of a bottleneck the groups and the widening of its 3×3
/// convolution (its channels against a quarter of the block's).
struct Member {
    arch: &'static str,
    blocks: [usize; 4],
    bottleneck: Option<(i64, i64)>,
}

const MEMBERS: [Member; 8] = [
    Member { arch: "resnet18", blocks: [2, 2, 2, 2], bottleneck: None },
    Member { arch: "resnet34", blocks: [3, 4, 6, 3], bottleneck: None },
    Member { arch: "resnet50", blocks: [3, 4, 6, 3], bottleneck: Some((1, 1)) },
    Member { arch: "resnet101", blocks: [3, 4, 23, 3], bottleneck: Some((1, 1)) },
    Member { arch: "resnet152", blocks: [3, 8, 36, 3], bottleneck: Some((1, 1)) },
    Member { arch: "resnext50_32x4d", blocks: [3, 4, 6, 3], bottleneck: Some((32, 2)) },
    Member { arch: "resnext101_32x8d", blocks: [3, 4, 23, 3], bottleneck: Some((32, 4)) },
    Member { arch: "wide_resnet50_2", blocks: [3, 4, 6, 3], bottleneck: Some((1, 2)) },
];

/// Recognises a residual network; `pytorchcv` says that its names were that code base's.
pub(super) fn recognise(modules: Modules, pytorchcv: bool) -> Result<Recognised, String> {
    let stem = modules.axes::<4>("conv1.weight")?;
    let [width, 3, 7, 7] = stem else {
        return Err(format!(
            "conv1.weight {stem:?} where [{}, 3, 7, 7] belongs: a ResNet for small pictures, or not for RGB",
            stem[0]
        ));
    };
    let member = member(&modules)?;
    modules.layer("conv1", false)?;
    modules.norm("bn1")?;

    let mut attention = Vec::new();
    let mut layout = if pytorchcv { Layout::Pytorchcv } else { Layout::Torchvision };
    let mut channels = width;
    for (stage, &blocks) in member.blocks.iter().enumerate() {
        let site = format!("layer{}", stage + 1);
        for index in 0..blocks {
            let block = format!("{site}.{index}");
            channels = take_block(&modules, &block, member.bottleneck.is_some())?;
            if let Some((found, place)) = in_block(&modules, &block, channels)? {
                if attention.is_empty() && !pytorchcv {
                    layout = found;
                }
                attention.push(place);
            }
        }
        if let Some((found, place)) = bam(&modules, &format!("bam{}", stage + 1), &site, channels)? {
            if !pytorchcv {
                layout = found;
            }
            attention.push(place);
        }
    }
    let [classes, features] = modules.axes::<2>("fc.weight")?;
    if features != channels {
        return Err(format!("fc.weight [{classes}, {features}] after {channels} channels"));
    }
    modules.layer("fc", true)?;
    let tensors = modules.finish(member.arch)?;
    Ok(Recognised { layout, arch: member.arch.to_owned(), classes, width, attention, tensors })
}

/// The member of the family whose blocks these are.
fn member(modules: &Modules) -> Result<&'static Member, String> {
    let mut blocks = [0; 4];
    for (stage, count) in blocks.iter_mut().enumerate() {
        while modules.has(&format!("layer{}.{count}.conv1.weight", stage + 1)) {
            *count += 1;
        }
    }
    let bottleneck = if modules.has("layer1.0.conv3.weight") {
        let [width, per_group, ..] = modules.axes::<4>("layer1.0.conv2.weight")?;
        let [outputs, ..] = modules.axes::<4>("layer1.0.conv3.weight")?;
        let whole = |a: i64, b: i64| if b > 0 && a % b == 0 { a / b } else { 0 };
        Some((whole(width, per_group), whole(width.saturating_mul(4), outputs)))
    } else {
        None
    };
    MEMBERS.iter().find(|member| member.blocks == blocks && member.bottleneck == bottleneck).ok_or_else(|| {
        let kind = bottleneck.map_or_else(
            || "basic blocks".to_owned(),
            |(groups, widening)| format!("bottlenecks of {groups} groups, widened {widening} times"),
        );
        let names = MEMBERS.map(|member| member.arch).join(", ");
        format!("a residual network of {blocks:?} {kind}, which is not known here; {names} are")
    })
}

/// Takes the layers of a block, and says how many channels it gives out.
fn take_block(modules: &Modules, block: &str, bottleneck: bool) -> Result<i64, String> {
    let last = if bottleneck { 3 } else { 2 };
    for index in 1..=last {
        modules.layer(&format!("{block}.conv{index}"), false)?;
        modules.norm(&format!("{block}.bn{index}"))?;
    }
    if modules.has_under(&format!("{block}.downsample.")) {
        modules.layer(&format!("{block}.downsample.0"), false)?;
        modules.norm(&format!("{block}.downsample.1"))?;
    }
    Ok(modules.axes::<4>(&format!("{block}.conv{last}.weight"))?[0])
}
