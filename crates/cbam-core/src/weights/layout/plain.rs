//! VGG, `MobileNetV2` and EfficientNet-Lite, whose blocks public checkpoints have without attention.

use super::head::{self, Head, Trunk};
use super::modules::Modules;
use super::places::{self, Place};
use super::{Layout, Otherwise, RecogniseOptions, Recognised, SiteAttention, grey, vgg};
use crate::backbone::{Arch, Variant};
use crate::maps::{HEAD, STEM};
use crate::weights::refusal::Refusal;

/// The convolutions of a VGG's five stages.
const VGGS: [(&str, [usize; 5]); 4] =
    [("vgg11", [1, 1, 2, 2, 2]), ("vgg13", [2, 2, 2, 2, 2]), ("vgg16", [2, 2, 3, 3, 3]), ("vgg19", [2, 2, 4, 4, 4])];
/// The channels of a VGG's last stage, and its features in cells of 7×7.
const VGG_CHANNELS: i64 = 512;
const VGG_FEATURES: i64 = 49 * VGG_CHANNELS;

/// An EfficientNet-Lite's blocks in each stage, and how many times ten its last stage is as wide as its stem.
const LITES: [(&str, usize, i64); 3] =
    [("efficientnet-lite0", 16, 100), ("efficientnet-lite1", 21, 100), ("efficientnet-lite2", 21, 110)];
/// The features under the classifier of `MobileNetV2` and EfficientNet-Lite.
const FEATURES: i64 = 1280;

/// BatchNorm's ε in PyTorch, and in EfficientNet-Lite.
const EPS_PYTORCH: f64 = 1e-5;
const EPS_LITE: f64 = 1e-3;

/// What was read of a network, before its attention and its classifier.
struct Body {
    layout: Layout,
    arch: String,
    width: i64,
    /// What this crate calls the classifier.
    classifier: &'static str,
    grey: bool,
    symmetric: bool,
    assumptions: Vec<super::Assumption>,
}

impl Body {
    /// With the attention beside the stages, and the classifier behind `FEATURES` channels.
    fn finish(mut self, modules: Modules, prefix: &str, options: &RecogniseOptions) -> Result<Recognised, Refusal> {
        let attention = self.attention(&modules, options)?;
        let head = head::find(&modules, &self.trunk(prefix, FEATURES, options), self.classifier)?;
        let widths = head.widths(FEATURES);
        self.recognised(modules, prefix, options, attention, &widths, head)
    }

    /// What the classifier stands behind.
    fn trunk<'a>(&'a self, prefix: &'a str, features: i64, options: &RecogniseOptions) -> Trunk<'a> {
        let (channels, lenient) = (grey::channels(self.grey), options.arch.is_some());
        Trunk { arch: &self.arch, prefix, channels, features, lenient }
    }

    fn attention(&mut self, modules: &Modules, options: &RecogniseOptions) -> Result<Vec<SiteAttention>, String> {
        if options.drop_attention {
            return Ok(Vec::new());
        }
        let arch: Arch = self.arch.parse().map_err(|error: crate::Error| error.to_string())?;
        let stages = arch.stages().into_iter().map(|stage| Place { site: stage.name, channels: stage.channels });
        let stem = (!self.arch.starts_with("vgg")).then(|| Place { site: STEM.to_owned(), channels: self.width });
        let head = (!self.arch.starts_with("vgg")).then(|| Place { site: HEAD.to_owned(), channels: FEATURES });
        let places: Vec<Place> = stem.into_iter().chain(stages).chain(head).collect();
        let mut attention = Vec::new();
        for found in places::take(modules, &places, options.pool_order, options.arch.is_some())? {
            if attention.is_empty() {
                self.layout = found.layout;
            }
            attention.push(found.attention);
            self.assumptions.extend(found.assumptions);
        }
        Ok(attention)
    }

    /// `widths` are those of the head's layers.
    fn recognised(
        self,
        modules: Modules,
        prefix: &str,
        options: &RecogniseOptions,
        attention: Vec<SiteAttention>,
        widths: &[i64],
        head: Head,
    ) -> Result<Recognised, Refusal> {
        if options.stride_in.is_some() {
            return Err(Refusal::idle("stride_in", format!("{} has no bottlenecks", self.arch)));
        }
        if options.max_pool.is_some() {
            return Err(Refusal::idle("max_pool", format!("{} is no residual network", self.arch)));
        }
        if options.symmetric.is_some() && self.classifier != "_fc" {
            return Err(Refusal::idle("symmetric", format!("{} is no EfficientNet-Lite", self.arch)));
        }
        let Head { classes, hidden, assumptions } = head;
        // Of VGG's own classifier a variant says nothing.
        let hidden = if self.arch.starts_with("vgg") && hidden == vgg::OWN { Vec::new() } else { hidden };
        let variant = Variant { grey: self.grey, symmetric: self.symmetric, hidden, ..Variant::default() };
        let finished = modules.finish(&self.arch, options, &variant, widths)?;
        Ok(Recognised {
            layout: self.layout,
            arch: self.arch,
            classes,
            width: self.width,
            attention,
            variant,
            prefix: prefix.to_owned(),
            assumptions: self.assumptions.into_iter().chain(assumptions).collect(),
            left_out: finished.left_out,
            dropped: finished.dropped,
            tensors: finished.tensors,
        })
    }
}

/// torchvision's VGG: the places of the convolutions in `features` tell which.
pub(super) fn vgg(modules: Modules, prefix: &str, options: &RecogniseOptions) -> Result<Recognised, Refusal> {
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
        return Err(format!("convolutions at features.{found:?}: the places of no VGG").into());
    };
    let arch = format!("{name}{}", if norm { "_bn" } else { "" });
    for place in found {
        modules.layer(&format!("features.{place}"), true)?;
        if norm {
            modules.norm(&format!("features.{}", place + 1))?;
        }
    }
    let [width, ..] = modules.axes::<4>("features.0.weight")?;
    let mut assumptions = Vec::new();
    let grey = grey::coloured(&modules, "features.0", &mut assumptions)?;
    let mut body = Body {
        layout: Layout::Torchvision,
        arch,
        width,
        classifier: "classifier",
        grey,
        symmetric: false,
        assumptions,
    };
    let attention = body.attention(&modules, options)?;
    let head = vgg::find(&modules, &body.trunk(prefix, VGG_FEATURES, options))?;
    let mut widths = head.widths(VGG_FEATURES);
    widths.push(VGG_CHANNELS);
    body.recognised(modules, prefix, options, attention, &widths, head)
}

/// torchvision's `MobileNetV2`.
pub(super) fn mobilenet_v2(modules: Modules, prefix: &str, options: &RecogniseOptions) -> Result<Recognised, Refusal> {
    modules.conv_norm("features.0.0", "features.0.1")?;
    for block in 1..=17 {
        let inner = format!("features.{block}.conv");
        // The first block has no 1×1 convolution before the 3×3 one.
        let widened = if block == 1 { 1 } else { 2 };
        for index in 0..widened {
            modules.conv_norm(&format!("{inner}.{index}.0"), &format!("{inner}.{index}.1"))?;
        }
        modules.conv_norm(&format!("{inner}.{widened}"), &format!("{inner}.{}", widened + 1))?;
    }
    modules.conv_norm("features.18.0", "features.18.1")?;
    let [width, ..] = modules.axes::<4>("features.0.0.weight")?;
    let mut assumptions = Vec::new();
    let grey = grey::coloured(&modules, "features.0.0", &mut assumptions)?;
    let arch = "mobilenet_v2".to_owned();
    let body = Body {
        layout: Layout::Torchvision,
        arch,
        width,
        classifier: "classifier.1",
        grey,
        symmetric: false,
        assumptions,
    };
    body.finish(modules, prefix, options)
}

/// EfficientNet-Lite's published weights, or timm's.
pub(super) fn efficientnet_lite(
    modules: Modules,
    timm: bool,
    prefix: &str,
    options: &RecogniseOptions,
) -> Result<Recognised, Refusal> {
    let names: Vec<String> = if timm {
        let blocks = (0..7).flat_map(|stage| (0..16).map(move |index| format!("_blocks.{stage}.{index}")));
        blocks.filter(|block| modules.has_under(&format!("{block}."))).collect()
    } else {
        (0..64).map(|block| format!("_blocks.{block}")).take_while(|b| modules.has_under(&format!("{b}."))).collect()
    };
    let [width, ..] = modules.axes::<4>("_conv_stem.weight")?;
    let last = names.last().map_or("_blocks.0", String::as_str);
    let [last, ..] = modules.axes::<4>(&format!("{last}._project_conv.weight"))?;
    let wide = if width > 0 { last.saturating_mul(10) / width } else { 0 };
    let blocks = names.len();
    let Some((arch, ..)) = LITES.into_iter().find(|lite| (lite.1, lite.2) == (blocks, wide)) else {
        return Err(format!(
            "an EfficientNet of {blocks} blocks from {width} to {last} channels; Lite0, 1 and 2 are known"
        )
        .into());
    };
    modules.conv_norm("_conv_stem", "_bn0")?;
    for (number, block) in names.iter().enumerate() {
        if modules.has_under(&format!("{block}._expand_conv.")) {
            modules.conv_norm(&format!("{block}._expand_conv"), &format!("{block}._bn0"))?;
        }
        modules.conv_norm(&format!("{block}._depthwise_conv"), &format!("{block}._bn1"))?;
        modules.conv_norm(&format!("{block}._project_conv"), &format!("{block}._bn2"))?;
        if timm {
            modules.rename(&format!("backbone.{block}"), &format!("backbone._blocks.{number}"));
        }
    }
    modules.conv_norm("_conv_head", "_bn1")?;
    let mut assumptions = Vec::new();
    let symmetric = options.symmetric.unwrap_or(false);
    if timm && options.symmetric.is_none() {
        let said = "TensorFlow's padding and an ε of 0.001, as timm's tf_efficientnet_lite has them";
        assumptions.push(super::Assumption::new(said, Some(Otherwise::Symmetric(true))));
    }
    if !timm && options.symmetric.is_some() {
        return Err(Refusal::idle("symmetric", format!("{arch}, but not in timm's names")));
    }
    if symmetric {
        modules.scale_norms(EPS_PYTORCH, EPS_LITE)?;
    }
    let grey = grey::coloured(&modules, "_conv_stem", &mut assumptions)?;
    let layout = if timm { Layout::Timm } else { Layout::EfficientNetLite };
    let arch = arch.to_owned();
    Body { layout, arch, width, classifier: "_fc", grey, symmetric, assumptions }.finish(modules, prefix, options)
}
