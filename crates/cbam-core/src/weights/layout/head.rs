//! The classifier: linear layers from the pooled features on, whatever they are called.
//!
//! One layer is the usual; several are read with a ReLU between each two, which is an assumption unless the numbers of a
//! `Sequential` leave no room for it. Their order is that of a `Sequential`'s numbers, or what their widths tell. A BatchNorm
//! among them, or beside them, becomes part of the layer beside it, and 1×1 convolutions are linear layers. None at all is a
//! network without classes.

use std::collections::BTreeMap;

use super::Assumption;
use super::fold::{Folded, fold};
use super::modules::{Leaf, Modules, OUTSIDE, Shape};
use super::names::{listed, natural};
use super::way;
use super::words::serves_training;
use crate::Remedy;
use crate::weights::refusal::Refusal;

/// What the names of a network's stages begin with.
const STAGES: [&str; 6] = ["layer1.", "layer2.", "layer3.", "layer4.", "features.", "_blocks."];
/// What a classifier stands behind.
pub(super) struct Trunk<'a> {
    pub(super) arch: &'a str,
    /// The network's prefix.
    pub(super) prefix: &'a str,
    /// The channels of its pictures.
    pub(super) channels: i64,
    /// Those that it gives out, pooled.
    pub(super) features: i64,
    /// Whether the backbone was named: heads that do not fit are then none.
    pub(super) lenient: bool,
}

impl Trunk<'_> {
    /// A refusal of what may be left out where the backbone is named.
    pub(super) fn in_the_way(&self, message: String) -> Refusal {
        let arch = self.arch.to_owned();
        Refusal::helped(message, Remedy::Backbone { arch, drop_attention: false, normalises: false })
    }
}

/// The classifier that was found.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// How many classes it tells apart; 0 if there is none.
    pub(super) classes: i64,
    /// The widths of its hidden layers.
    pub(super) hidden: Vec<i64>,
    pub(super) assumptions: Vec<Assumption>,
}

impl Head {
    /// The widths that a tensor of the head has: of `features`, of the hidden layers, of the classes.
    pub(super) fn widths(&self, features: i64) -> Vec<i64> {
        [features].iter().chain(&self.hidden).chain([&self.classes]).copied().collect()
    }
}

/// Layers in the order in which features pass them.
pub(super) struct Chain {
    leaves: Vec<Leaf>,
    /// Whether the numbers of a `Sequential` give that order.
    numbered: bool,
}

/// The layers of one module.
pub(super) type Groups = BTreeMap<String, Vec<Leaf>>;

/// What nothing explains yet, by module.
pub(super) fn grouped(modules: &Modules, trunk: &Trunk<'_>) -> Groups {
    let mut groups = Groups::new();
    // What is left inside stages is not behind them.
    let in_stages = |leaf: &Leaf| STAGES.iter().any(|stage| leaf.path.starts_with(stage));
    for leaf in modules.leaves("").into_iter().filter(|leaf| !in_stages(leaf)) {
        groups.entry(group(&leaf.path, trunk.prefix)).or_default().push(leaf);
    }
    groups
}

/// Finds the classifier among what nothing explains yet, and takes it under the name `ours`.
pub(super) fn find(modules: &Modules, trunk: &Trunk<'_>, ours: &str) -> Result<Head, Refusal> {
    let &Trunk { features, lenient, .. } = trunk;
    let groups = grouped(modules, trunk);
    let mut chains = Vec::new();
    for (_, leaves) in groups.iter().filter(|(name, _)| !serves_training(name)) {
        match chain(modules, leaves, features) {
            Ok(chain) => chains.extend(chain),
            Err(_) if lenient => {}
            Err(message) => return Err(message.into()),
        }
    }
    if chains.len() > 1 {
        let names: Vec<&str> = chains.iter().map(|chain| modules.original(&chain.leaves[0].path)).collect();
        return Err(several(&names).into());
    }
    let head = match chains.pop() {
        Some(chain) => {
            let chain = if lenient { chain } else { with_norms(modules, &groups, chain, features)? };
            take(modules, &chain, features, ours)?
        }
        None => match predictor(&groups, features) {
            Some(leaf) => {
                let assumed = format!("{} is the classifier", modules.original(&leaf.path));
                let chain = Chain { leaves: vec![leaf], numbered: true };
                let head = take(modules, &chain, features, ours)?;
                Head { assumptions: vec![Assumption::new(assumed, None)], ..head }
            }
            None if lenient => Head::default(),
            None => none(modules, &groups, features)?,
        },
    };
    way::beside(modules, trunk, &groups, &head)?;
    leave_out(modules, &groups);
    Ok(head)
}

/// No classifier; an error if something looks like one that does not fit.
fn none(modules: &Modules, groups: &Groups, features: i64) -> Result<Head, String> {
    let Some((name, leaves)) = groups.iter().find(|(name, leaves)| !serves_training(name) && is_head(leaves)) else {
        return Ok(Head::default());
    };
    let fits = |leaf: &&Leaf| matches!(leaf.shape, Shape::Linear(_, inputs) if inputs == features);
    let original = |leaf: &Leaf| modules.original(&leaf.path).to_owned();
    let fitting: Vec<String> = leaves.iter().filter(fits).map(original).collect();
    Err(match &fitting[..] {
        [] => {
            format!("{} does not fit the {features} pooled features; is {name} a classifier?", original(&leaves[0]))
        }
        [_] => not_one(&leaves.iter().map(original).collect::<Vec<_>>()),
        _ => several(&fitting),
    })
}

fn several<S: AsRef<str>>(names: &[S]) -> String {
    format!("{} heads, each of which may be the classifier: {}", names.len(), listed(names))
}

fn not_one<S: AsRef<str>>(names: &[S]) -> String {
    format!("{} do not make one classifier", listed(names))
}

/// The only layer that is called a predictor and takes the features: a classifier where there is no other.
fn predictor(groups: &Groups, features: i64) -> Option<Leaf> {
    let predicts = groups.iter().filter(|(name, _)| name.to_lowercase().contains("predict"));
    let mut layers = predicts.filter_map(|(_, leaves)| match &leaves[..] {
        [leaf] if matches!(leaf.shape, Shape::Linear(_, inputs) if inputs == features) => Some(leaf.clone()),
        _ => None,
    });
    layers.next().filter(|_| layers.next().is_none())
}

/// Leaves out the layers of heads that serve training alone.
fn leave_out(modules: &Modules, groups: &Groups) {
    // A convolution may stand anywhere.
    let matrix =
        |leaf: &Leaf| modules.get(&format!("{}.weight", leaf.path)).is_some_and(|weight| weight.shape().len() == 2);
    let linear = |leaf: &Leaf| match leaf.shape {
        Shape::Linear(..) => matrix(leaf),
        Shape::Norm(_) => true,
        _ => false,
    };
    let left = modules.leaves("");
    for leaves in groups.iter().filter(|(name, _)| serves_training(name)).map(|(_, leaves)| leaves) {
        if leaves.iter().all(linear) {
            let still = |leaf: &&Leaf| left.iter().any(|left| left.path == leaf.path);
            leaves.iter().filter(still).for_each(|leaf| modules.leave_out(leaf));
        }
    }
}

/// A chain with the `BatchNorms` that stand beside its module (`fc1`, `bn1`, `fc2`) at their places between its layers.
fn with_norms(modules: &Modules, groups: &Groups, chain: Chain, features: i64) -> Result<Chain, String> {
    let widths: Vec<i64> = chain.leaves.iter().filter_map(outputs).collect();
    if widths.len() < 2 {
        return Ok(chain);
    }
    let of_chain =
        |leaf: &Leaf| matches!(leaf.shape, Shape::Norm(channels) if channels == features || widths.contains(&channels));
    let lone = groups.iter().filter(|(name, leaves)| !serves_training(name) && leaves.iter().all(of_chain));
    let norms: Vec<Leaf> = lone.flat_map(|(_, leaves)| leaves.iter().cloned()).collect();
    if norms.is_empty() {
        return Ok(chain);
    }
    let leaves: Vec<Leaf> = chain.leaves.into_iter().chain(norms).collect();
    let order = by_widths(modules, &leaves, features)?;
    order.map(|leaves| Chain { leaves, numbered: false }).ok_or_else(|| {
        let names: Vec<&str> = leaves.iter().map(|leaf| modules.original(&leaf.path)).collect();
        not_one(&names)
    })
}

/// The module that a layer belongs to: its first name behind what it shares with the network's prefix, without numbers at its
/// end, so that `fc1` and `fc2` belong together.
pub(super) fn group(path: &str, prefix: &str) -> String {
    let mut names = path.trim_start_matches(OUTSIDE).split('.').peekable();
    if path.starts_with(OUTSIDE) {
        let mut shared = prefix.split('.').filter(|name| !name.is_empty());
        while let (Some(name), Some(of_prefix)) = (names.peek().copied(), shared.next())
            && name == of_prefix
        {
            names.next();
        }
    }
    let name = names.next().unwrap_or(path);
    let trimmed = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
    if trimmed.is_empty() { name.to_owned() } else { trimmed.to_owned() }
}

/// Whether these can only be the layers of a head.
fn is_head(leaves: &[Leaf]) -> bool {
    let linear = leaves.iter().filter(|leaf| matches!(leaf.shape, Shape::Linear(..))).count();
    let usual = |leaf: &Leaf| {
        let name = leaf.path.trim_start_matches(OUTSIDE).to_lowercase();
        name.split('.').any(|part| ["fc", "classifier", "head", "last_linear", "linear"].contains(&part))
    };
    linear > 0
        && leaves.iter().all(|leaf| matches!(leaf.shape, Shape::Linear(..) | Shape::Norm(_)))
        && leaves.iter().any(usual)
}

pub(super) fn outputs(leaf: &Leaf) -> Option<i64> {
    if let Shape::Linear(outputs, _) = leaf.shape { Some(outputs) } else { None }
}

/// The layers of one module in their order, from `features` on; `None` if they are not such layers, or do not fit.
pub(super) fn chain(modules: &Modules, leaves: &[Leaf], features: i64) -> Result<Option<Chain>, String> {
    let numbered = numbered(leaves);
    let leaves = if numbered {
        follow(leaves, features).map(|()| leaves.to_vec())
    } else {
        by_widths(modules, leaves, features)?
    };
    Ok(leaves.map(|leaves| Chain { leaves, numbered }))
}

/// Whether the names are the numbers of a `Sequential`, or of some inside another.
pub(super) fn numbered(leaves: &[Leaf]) -> bool {
    let Some((first, rest)) = leaves.split_first() else { return false };
    let shared = rest.iter().fold(first.path.as_str(), |shared, leaf| {
        let same = shared.split('.').zip(leaf.path.split('.')).take_while(|(a, b)| a == b);
        let length = same.map(|(name, _)| name.len() + 1).sum::<usize>();
        &shared[..length.saturating_sub(1).min(shared.len())]
    });
    let inside = |leaf: &Leaf| leaf.path[shared.len()..].trim_start_matches('.').to_owned();
    rest.is_empty() || leaves.iter().all(|leaf| inside(leaf).split('.').all(|name| name.parse::<u32>().is_ok()))
}

/// Whether each layer takes what the one before it gives, from `features` on.
pub(super) fn follow(leaves: &[Leaf], features: i64) -> Option<()> {
    let mut width = features;
    let mut linear = false;
    for leaf in leaves {
        match leaf.shape {
            Shape::Linear(outputs, inputs) if inputs == width => (width, linear) = (outputs, true),
            Shape::Norm(channels) if channels == width => {}
            _ => return None,
        }
    }
    linear.then_some(())
}

/// Layers whose names do not say their order, in that of their widths. An error if a BatchNorm fits in several places.
pub(super) fn by_widths(modules: &Modules, leaves: &[Leaf], features: i64) -> Result<Option<Vec<Leaf>>, String> {
    let (mut linear, norms): (Vec<&Leaf>, Vec<&Leaf>) = leaves.iter().partition(|leaf| outputs(leaf).is_some());
    if linear.is_empty() || norms.iter().any(|leaf| !matches!(leaf.shape, Shape::Norm(_))) {
        return Ok(None);
    }
    linear.sort_by(|a, b| natural(&a.path, &b.path));
    let mut order: Vec<Leaf> = linear.iter().map(|leaf| (*leaf).clone()).collect();
    if follow(&order, features).is_none() {
        let (mut width, mut left) = (features, linear);
        order.clear();
        while !left.is_empty() {
            let fits = |leaf: &&Leaf| matches!(leaf.shape, Shape::Linear(_, inputs) if inputs == width);
            let mut next = (0..left.len()).filter(|at| fits(&left[*at]));
            let (Some(at), None) = (next.next(), next.next()) else { return Ok(None) };
            let leaf = left.remove(at);
            width = outputs(leaf).unwrap_or(0);
            order.push(leaf.clone());
        }
    }
    let widths: Vec<i64> = std::iter::once(features).chain(order.iter().filter_map(outputs)).collect();
    let mut behind: Vec<Vec<Leaf>> = vec![Vec::new(); widths.len()]; // as many layers as widths
    for norm in norms {
        let Shape::Norm(channels) = norm.shape else { return Ok(None) };
        let places: Vec<usize> = (0..widths.len()).filter(|place| widths[*place] == channels).collect();
        let [place] = places[..] else {
            let name = modules.original(&norm.path);
            return if places.is_empty() {
                Ok(None)
            } else {
                Err(format!("{name}, a BatchNorm of {channels}, fits in {} places of the classifier", places.len()))
            };
        };
        if let Some(other) = behind[place].first() {
            let [one, two] = [other, norm].map(|leaf| modules.original(&leaf.path));
            return Err(format!("{one} and {two}, two BatchNorms that fit in the same place of the classifier"));
        }
        behind[place].push(norm.clone());
    }
    let mut behind = behind.into_iter();
    let mut all: Vec<Leaf> = behind.next().unwrap_or_default();
    for (layer, norms) in order.into_iter().zip(behind) {
        all.push(layer);
        all.extend(norms);
    }
    Ok(Some(all))
}

fn take(modules: &Modules, chain: &Chain, features: i64, ours: &str) -> Result<Head, String> {
    if let [leaf @ Leaf { shape: Shape::Linear(classes, _), .. }] = &chain.leaves[..] {
        modules.linear(leaf, &format!("backbone.{ours}"), true)?;
        return Ok(Head { classes: *classes, ..Head::default() });
    }
    if follow(&chain.leaves, features).is_none() {
        return Err(format!("{ours}: layers that do not follow one another"));
    }
    let folded = fold(modules, &chain.leaves, chain.numbered);
    let Folded { layers, activated, empty } = folded.map_err(|message| format!("{ours}: {message}"))?;
    let mut hidden: Vec<i64> = layers.iter().map(|layer| layer.weight.nrows() as i64).collect();
    let classes = hidden.pop().unwrap_or(0);
    for (number, layer) in layers.into_iter().enumerate() {
        let name = if hidden.is_empty() { format!("backbone.{ours}") } else { format!("backbone.{ours}.{number}") };
        modules.give(format!("{name}.weight"), layer.weight.mapv(|value| value as f32).into());
        modules.give(format!("{name}.bias"), layer.bias.mapv(|value| value as f32).into());
    }
    let mut head = Head { classes, hidden, assumptions: Vec::new() };
    if activated || empty || !chain.numbered {
        let paths: Vec<&str> = chain.leaves.iter().map(|leaf| modules.original(&leaf.path)).collect();
        let widths: Vec<String> = head.widths(features).iter().map(i64::to_string).collect();
        let between = match (head.hidden.is_empty(), chain.numbered) {
            (true, _) => "in this order, and nothing but dropout between",
            (false, true) if !activated => "in this order, and nothing but dropout where there is room",
            (false, true) if empty => {
                "with a ReLU behind each hidden layer, and nothing but dropout where else there is room"
            }
            (false, true) => "with a ReLU behind each hidden layer",
            (false, false) => {
                "in this order, with a ReLU behind each hidden layer, and behind its BatchNorm if it has one, and nothing \
                 else between"
            }
        };
        let assumed = format!("the classifier is {} ({}), {between}", listed(&paths), widths.join(" to "));
        head.assumptions.push(Assumption::new(assumed, None));
    }
    Ok(head)
}
