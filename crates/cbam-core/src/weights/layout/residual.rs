//! Residual networks, `ResNeXts` and wide ones among them, by torchvision's names of their stages and blocks, with attention or
//! without.

use super::attention::{Found, at};
use super::head::Trunk;
use super::host::BEHIND;
use super::modules::{Leaf, Modules, Shape};
use super::places::{self, Place};
use super::{Assumption, Layout, Otherwise, RecogniseOptions, Recognised, SiteAttention, bam, grey, head};
use crate::Remedy;
use crate::backbone::{Stem, StrideIn, Variant};
use crate::maps::STEM;
use crate::weights::refusal::Refusal;

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

/// Of whose names a residual network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Whose {
    pub(super) pytorchcv: bool,
    /// The numbers of a `Sequential` show that nothing pools between the stem and the blocks.
    pub(super) unpooled: bool,
    /// It is one of those that timm calls `legacy_seresnet`, which follow Caffe: their pool pads nothing, and a bottleneck has its
    /// stride in its first convolution.
    pub(super) caffe: bool,
}

/// Recognises a residual network under `prefix`.
pub(super) fn recognise(
    modules: Modules,
    whose: Whose,
    prefix: &str,
    options: &RecogniseOptions,
) -> Result<Recognised, Refusal> {
    let member = member(&modules)?;
    if options.symmetric.is_some() {
        return Err(Refusal::idle("symmetric", format!("{} is no EfficientNet-Lite", member.arch)));
    }
    if whose.caffe && member.bottleneck.is_none() {
        return Err(format!(
            "{} as timm's legacy_se{}, whose blocks have a ReLU before their gates, which is not known here",
            member.arch, member.arch
        )
        .into());
    }
    let mut reading =
        Reading { modules: &modules, options, assumptions: Vec::new(), first: None, attention: Vec::new() };
    let (stem, grey, width) = reading.stem(whose)?;
    let channels = reading.stages(member, width)?;
    let places = reading.places(&channels, width);
    if !options.drop_attention {
        reading.beside(&places)?;
    }
    let stride_in = reading.stride(member, whose)?;
    let variant = Variant { stride_in, stem, grey, ..Variant::default() };
    let lenient = options.arch.is_some();
    let trunk = Trunk { arch: member.arch, prefix, channels: grey::channels(grey), features: channels[3], lenient };
    let head = head::find(&modules, &trunk, "fc")?;
    let Reading { mut assumptions, first, mut attention, .. } = reading;
    let widths = head.widths(trunk.features);
    assumptions.extend(head.assumptions);
    let order: Vec<String> = order(member, &places);
    attention.sort_by_key(|place| order.iter().position(|site| *site == place.site));
    let layout = match first {
        _ if whose.pytorchcv => Layout::Pytorchcv,
        None => Layout::Torchvision,
        Some((layout, _)) => layout,
    };
    let finished = modules.finish(member.arch, options, &variant, &widths)?;
    Ok(Recognised {
        layout,
        arch: member.arch.to_owned(),
        classes: head.classes,
        width,
        attention,
        variant: Variant { hidden: head.hidden, ..variant },
        prefix: prefix.to_owned(),
        assumptions,
        left_out: finished.left_out,
        dropped: finished.dropped,
        tensors: finished.tensors,
    })
}

/// Every site in the order in which features pass it.
fn order(member: &Member, places: &[Place]) -> Vec<String> {
    let mut order = vec![STEM.to_owned()];
    for (stage, blocks) in member.blocks.iter().enumerate() {
        order.extend((0..*blocks).map(|block| format!("layer{}.{block}", stage + 1)));
        order.push(format!("layer{}", stage + 1));
    }
    order.extend(places.iter().map(|place| place.site.clone()));
    order
}

/// A network that is being read.
struct Reading<'m> {
    modules: &'m Modules,
    options: &'m RecogniseOptions,
    assumptions: Vec<Assumption>,
    /// Whose names the first attention has, and whether they sign the network ([`Found::signed`]).
    first: Option<(Layout, bool)>,
    attention: Vec<SiteAttention>,
}

impl Reading<'_> {
    /// The stem, whether it is for grey pictures, and its channels.
    fn stem(&mut self, whose: Whose) -> Result<(Stem, bool, i64), String> {
        const CONV: &str = "conv1.weight";
        let shape @ [width, inputs, kernel, _] = self.modules.axes::<4>(CONV)?;
        if !matches!((inputs, kernel), (1 | 3, 3 | 5 | 7)) || shape[3] != kernel || width < 1 {
            let name = self.modules.original(CONV);
            return Err(format!("{name} {shape:?} where [{width}, 3, 7, 7] belongs, or [{width}, 3, 3, 3]"));
        }
        self.modules.conv_norm("conv1", "bn1")?;
        let grey = grey::coloured(self.modules, "conv1", &mut self.assumptions)?;
        let usual = if kernel < 7 {
            Stem { kernel, stride: 1, max_pool: false, unpadded: false }
        } else {
            Stem { kernel, ..Stem::default() }
        };
        let max_pool = self.options.max_pool.unwrap_or(usual.max_pool && !whose.unpooled);
        if kernel < 7 {
            self.assume(format!("the first convolution, {kernel}×{kernel}, has stride 1"), None);
        }
        let unpadded = whose.caffe && max_pool;
        if unpadded {
            let said = "a max pooling without padding follows the first convolution, as in timm's legacy_seresnet";
            self.assume(said, self.options.max_pool.is_none().then_some(Otherwise::MaxPool(false)));
        } else if self.options.max_pool.is_none() && !whose.pytorchcv && !whose.unpooled {
            let said = if max_pool { "a max pooling" } else { "no pooling" };
            self.assume(format!("{said} follows the first convolution"), Some(Otherwise::MaxPool(!max_pool)));
        }
        Ok((Stem { max_pool, unpadded, ..usual }, grey, width))
    }

    fn assume(&mut self, what: impl Into<String>, otherwise: Option<Otherwise>) {
        self.assumptions.push(Assumption::new(what, otherwise));
    }

    /// Takes every block, with its attention and what stands behind it in its container. The channels of every stage.
    fn stages(&mut self, member: &Member, width: i64) -> Result<[i64; 4], String> {
        let modules = self.modules;
        let mut channels = [width; 4];
        for (stage, &blocks) in member.blocks.iter().enumerate() {
            let site = format!("layer{}", stage + 1);
            for index in 0..blocks {
                let block = format!("{site}.{index}");
                channels[stage] = take_block(modules, &block, member.bottleneck.is_some())?;
                let found = if self.options.drop_attention { None } else { self.at(&block, channels[stage])? };
                self.found(found);
            }
            if self.options.drop_attention {
                continue;
            }
            self.found(bam::after(modules, &format!("bam{}", stage + 1), &site, channels[stage])?);
            if !self.attention.iter().any(|place| place.site == site) {
                let left = self.modules.leaves(&format!("{site}."));
                let mut found = self.at(&site, channels[stage])?;
                if let (Some(found), Some(leaf)) =
                    (&mut found, left.first().filter(|leaf| !numbered(&leaf.path, &site)))
                {
                    let assumed = format!("{} stands behind {site}", modules.original(&leaf.path));
                    found.assumptions.push(Assumption::new(assumed, None));
                }
                self.found(found);
            }
        }
        Ok(channels)
    }

    /// The attention under a block, or in a stage's container behind its blocks.
    fn at(&self, site: &str, channels: i64) -> Result<Option<Found>, String> {
        let lenient = self.options.arch.is_some();
        let found = at(self.modules, site, &format!("{site}."), channels, self.options.pool_order, lenient);
        found.map_err(|message| format!("{}: {message}", self.modules.original(site)))
    }

    fn found(&mut self, found: Option<Found>) {
        let Some(Found { layout, attention, assumptions, signed }) = found else { return };
        self.first.get_or_insert((layout, signed));
        self.attention.push(attention);
        for assumption in assumptions {
            if !self.assumptions.contains(&assumption) {
                self.assumptions.push(assumption);
            }
        }
    }

    /// Where attention may stand beside the blocks: not where some stands already.
    fn places(&self, channels: &[i64; 4], width: i64) -> Vec<Place> {
        let stages = channels.iter().enumerate().map(|(stage, channels)| (format!("layer{}", stage + 1), *channels));
        let all = std::iter::once((STEM.to_owned(), width)).chain(stages);
        let free = all.filter(|(site, _)| self.attention.iter().all(|place| place.site != *site));
        free.map(|(site, channels)| Place { site, channels }).collect()
    }

    /// Takes what attention stands beside the stages.
    fn beside(&mut self, places: &[Place]) -> Result<(), String> {
        for found in places::take(self.modules, places, self.options.pool_order, self.options.arch.is_some())? {
            self.found(Some(found));
        }
        Ok(())
    }

    /// The convolution that halves the resolution.
    fn stride(&mut self, member: &Member, whose: Whose) -> Result<StrideIn, Refusal> {
        // Convolutions in groups were never strided elsewhere.
        let known = !matches!(member.bottleneck, Some((1, _)));
        match self.options.stride_in {
            Some(_) if member.bottleneck.is_none() => {
                Err(Refusal::idle("stride_in", format!("{} has no bottlenecks", member.arch)))
            }
            Some(stride_in) => Ok(stride_in),
            None if known => Ok(StrideIn::default()),
            None if whose.pytorchcv => {
                use super::AttentionKind::{Bam, Cbam};
                if self.attention.iter().any(|place| matches!(place.kind, Cbam(_) | Bam { .. })) {
                    return Ok(StrideIn::default());
                }
                let first = if self.attention.is_empty() { "" } else { "se" }.to_owned() + member.arch;
                let middle = format!("{first}b");
                let message = format!("pytorchcv's {first} and {middle} have the same names and shapes");
                Err(Refusal::helped(message, Remedy::StrideIn { first, middle }))
            }
            None if whose.caffe => {
                let said = "a bottleneck has its stride in the first 1×1 convolution, as in timm's legacy_seresnet";
                self.assume(said, Some(Otherwise::StrideIn(StrideIn::Middle)));
                Ok(StrideIn::First)
            }
            None => {
                if !matches!(self.first, Some((_, true))) {
                    self.assume(
                        "a bottleneck has its stride in the 3×3 convolution",
                        Some(Otherwise::StrideIn(StrideIn::First)),
                    );
                }
                Ok(StrideIn::default())
            }
        }
    }
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
        let norm = ["bn", "norm"].map(|word| format!("{block}.{word}{index}"));
        let norm = norm.iter().find(|norm| modules.has_under(&format!("{norm}."))).unwrap_or(&norm[0]);
        take_layer(modules, &format!("{block}.conv{index}"), norm, &format!("{block}.bn{index}"))?;
    }
    let channels = modules.axes::<4>(&format!("{block}.conv{last}.weight"))?[0];
    if let Some((conv, norm)) = shortcut(modules, block, channels)? {
        take_shortcut(modules, &conv, &norm, block)?;
    }
    Ok(channels)
}

/// Takes a convolution and its BatchNorm, which this crate calls `ours`.
fn take_layer(modules: &Modules, conv: &str, norm: &str, ours: &str) -> Result<(), String> {
    modules.conv_norm(conv, norm)?;
    if norm != ours {
        modules.rename(&format!("backbone.{norm}"), &format!("backbone.{ours}"));
    }
    Ok(())
}

/// Whether a module in a stage's container has a number there, or stands behind the container, so that its place is certain.
fn numbered(path: &str, stage: &str) -> bool {
    let inside = path.strip_prefix(stage).unwrap_or(path).trim_start_matches('.');
    inside.starts_with(|c: char| c.is_ascii_digit()) || inside.starts_with(BEHIND)
}

/// The convolution and the BatchNorm of a block's shortcut, whatever they are called: a 1×1 convolution that gives out the
/// block's channels from its input's, and the only BatchNorm of as many in the same module. An error if their numbers leave room
/// for a layer before or between them.
fn shortcut(modules: &Modules, block: &str, channels: i64) -> Result<Option<(String, String)>, String> {
    let inputs = modules.axes::<4>(&format!("{block}.conv1.weight"))?[1];
    let leaves = modules.leaves(&format!("{block}."));
    let parent = |leaf: &Leaf| leaf.path.rsplit_once('.').map(|(parent, _)| parent.to_owned());
    let number = |leaf: &Leaf| leaf.path.rsplit_once('.').and_then(|(_, last)| last.parse::<u32>().ok());
    let convs = leaves.iter().filter(|leaf| leaf.shape == Shape::Linear(channels, inputs));
    for conv in convs {
        let is_matrix = modules.get(&format!("{}.weight", conv.path)).is_some_and(|weight| weight.shape().len() == 4);
        let mut norms =
            leaves.iter().filter(|leaf| leaf.shape == Shape::Norm(channels) && parent(leaf) == parent(conv));
        let (true, Some(norm), None) = (is_matrix, norms.next(), norms.next()) else { continue };
        if !matches!((number(conv), number(norm)), (None, _) | (Some(0), Some(1))) {
            let [conv, norm] = [conv, norm].map(|leaf| modules.original(&leaf.path));
            return Err(format!(
                "{conv}, {norm}: a layer stands before or behind the 1×1 convolution of the shortcut (average pooling?), which is not \
                 known here"
            ));
        }
        return Ok(Some((conv.path.clone(), norm.path.clone())));
    }
    Ok(None)
}

fn take_shortcut(modules: &Modules, conv: &str, norm: &str, block: &str) -> Result<(), String> {
    modules.conv_norm(conv, norm)?;
    for (theirs, ours) in [(conv, format!("{block}.downsample.0")), (norm, format!("{block}.downsample.1"))] {
        if theirs != ours {
            modules.rename(&format!("backbone.{theirs}"), &format!("backbone.{ours}"));
        }
    }
    Ok(())
}
