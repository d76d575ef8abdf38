//! The classifier: linear layers from the pooled features on, whatever they are called.
//!
//! One layer is the usual; several are read with a ReLU between each two, which is an assumption unless the numbers of a
//! `Sequential` leave no room for it. A BatchNorm among them becomes part of the layer beside it, and 1×1 convolutions are
//! linear layers. None at all is a network without classes.

use std::collections::BTreeMap;

use tch::{Kind, Tensor, no_grad};

use super::Assumption;
use super::modules::{Leaf, Modules, OUTSIDE, Shape, said};
use super::names::listed;

/// BatchNorm's ε, as PyTorch's layers have it.
const EPS: f64 = 1e-5;
/// What the names of a network's stages begin with.
const STAGES: [&str; 6] = ["layer1.", "layer2.", "layer3.", "layer4.", "features.", "_blocks."];
/// What heads are called that make no class scores.
const PROJECTIONS: [&str; 5] = ["proj", "predict", "prototype", "queue", "momentum"];

/// The classifier that was found.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// How many classes it tells apart; 0 if there is none.
    pub(super) classes: i64,
    /// The widths of its hidden layers.
    pub(super) hidden: Vec<i64>,
    pub(super) assumptions: Vec<Assumption>,
}

/// Finds the classifier behind `features` channels among what nothing explains yet, and takes it under the name `ours`.
/// `prefix` is that of the network. If `lenient`, heads that do not fit are none.
pub(super) fn find(modules: &Modules, prefix: &str, features: i64, ours: &str, lenient: bool) -> Result<Head, String> {
    let mut groups: BTreeMap<String, Vec<Leaf>> = BTreeMap::new();
    // What is left inside stages is not behind them.
    let in_stages = |leaf: &Leaf| STAGES.iter().any(|stage| leaf.path.starts_with(stage));
    for leaf in modules.leaves("").into_iter().filter(|leaf| !in_stages(leaf)) {
        groups.entry(group(&leaf.path, prefix)).or_default().push(leaf);
    }
    let projects = |name: &str| PROJECTIONS.iter().any(|word| name.to_lowercase().contains(word));
    let chains: Vec<&Vec<Leaf>> = groups
        .iter()
        .filter(|(name, leaves)| !projects(name) && chain(leaves, features).is_some())
        .map(|(_, leaves)| leaves)
        .collect();
    let head = match chains[..] {
        [] => {
            let mut wrong = groups.iter().filter(|(name, leaves)| !lenient && !projects(name) && is_head(leaves));
            if let Some((name, leaves)) = wrong.next() {
                let path = modules.original(&leaves[0].path);
                let message = format!("{path} does not fit the {features} pooled features; is {name} a classifier?");
                return Err(message);
            }
            Head::default()
        }
        [leaves] => match &leaves[..] {
            [Leaf { shape: Shape::Linear(classes, _), .. }] => {
                modules.linear(&leaves[0], &format!("backbone.{ours}"), true)?;
                Head { classes: *classes, ..Head::default() }
            }
            leaves => take(modules, leaves, features, ours)?,
        },
        _ => {
            let names: Vec<&str> = chains.iter().map(|leaves| modules.original(&leaves[0].path)).collect();
            return Err(format!("{} heads, each of which may be the classifier: {}", chains.len(), listed(&names)));
        }
    };
    for (name, leaves) in &groups {
        let linear = |leaf: &&Leaf| matches!(leaf.shape, Shape::Linear(..) | Shape::Norm(_));
        if projects(name) && leaves.iter().all(|leaf| linear(&leaf)) {
            for leaf in leaves {
                modules.leave_out(leaf);
            }
        }
        let norm = |leaf: &Leaf| leaf.shape == Shape::Norm(features);
        if !lenient && !projects(name) && leaves.iter().all(norm) {
            let path = modules.original(&leaves[0].path);
            return Err(format!("{path}, a BatchNorm that may stand before the classifier"));
        }
        let behind = |leaf: &&Leaf| matches!(leaf.shape, Shape::Linear(_, inputs) if inputs == head.classes);
        if let (true, Some(leaf)) = (head.classes > 1 && !projects(name), leaves.iter().find(behind)) {
            let still = modules.leaves(&leaf.path).iter().any(|left| left.path == leaf.path);
            if still && chain(leaves, head.classes).is_some() {
                let path = modules.original(&leaf.path);
                return Err(format!("{path} may stand behind the classifier of {} classes", head.classes));
            }
        }
    }
    Ok(head)
}

/// The module that a layer belongs to: its first name behind what it shares with the network's prefix, without numbers at its
/// end, so that `fc1` and `fc2` belong together.
fn group(path: &str, prefix: &str) -> String {
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

/// The layers, if each takes what the one before it gives, from `features` on.
fn chain(leaves: &[Leaf], features: i64) -> Option<()> {
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

/// Whether nothing can stand between two layers: they are neighbours in a `Sequential`.
fn neighbours(before: &Leaf, after: &Leaf) -> bool {
    let number = |leaf: &Leaf| {
        let (parent, last) = leaf.path.rsplit_once('.')?;
        Some((parent.to_owned(), last.parse::<u32>().ok()?))
    };
    matches!((number(before), number(after)), (Some((a, i)), Some((b, j))) if a == b && i + 1 == j)
}

/// An affine map in the making, in f64.
struct Layer {
    weight: Tensor, // [outputs, inputs]
    bias: Tensor,   // [outputs]
}

fn take(modules: &Modules, leaves: &[Leaf], features: i64, ours: &str) -> Result<Head, String> {
    let (layers, assumed) = no_grad(|| fold(modules, leaves)).map_err(|message| format!("{ours}: {message}"))?;
    let mut hidden: Vec<i64> = layers.iter().map(|layer| layer.weight.size()[0]).collect();
    let classes = hidden.pop().unwrap_or(0);
    for (number, layer) in layers.iter().enumerate() {
        let name = if hidden.is_empty() { format!("backbone.{ours}") } else { format!("backbone.{ours}.{number}") };
        let single = |tensor: &Tensor| tensor.f_to_kind(Kind::Float).map_err(said);
        modules.give(format!("{name}.weight"), single(&layer.weight)?);
        modules.give(format!("{name}.bias"), single(&layer.bias)?);
    }
    let mut assumptions = Vec::new();
    if assumed {
        let paths: Vec<&str> = leaves.iter().map(|leaf| modules.original(&leaf.path)).collect();
        let widths: Vec<String> = [features].iter().chain(&hidden).chain([&classes]).map(i64::to_string).collect();
        let said = format!(
            "the classifier is {} ({}), with a ReLU behind each hidden layer",
            listed(&paths),
            widths.join(" to ")
        );
        assumptions.push(Assumption::new(said, None));
    }
    Ok(Head { classes, hidden, assumptions })
}

/// The layers between `ReLUs`, each as one affine map; and whether a ReLU was taken for granted.
fn fold(modules: &Modules, leaves: &[Leaf]) -> Result<(Vec<Layer>, bool), String> {
    let double = |name: String| modules.explain(&name)?.f_to_kind(Kind::Double).map_err(said);
    let mut layers: Vec<Layer> = Vec::new();
    let mut scaled: Option<(Tensor, Tensor)> = None; // a BatchNorm's factor and offset before the next layer
    let (mut activated, mut assumed) = (true, false); // the features are
    for (number, leaf) in leaves.iter().enumerate() {
        let gap = number > 0 && !neighbours(&leaves[number - 1], leaf);
        match leaf.shape {
            Shape::Linear(outputs, inputs) => {
                let weight = double(format!("{}.weight", leaf.path))?.f_reshape([outputs, inputs]).map_err(said)?;
                let bias = if leaf.bias {
                    double(format!("{}.bias", leaf.path))?.f_reshape([outputs]).map_err(said)?
                } else {
                    Tensor::f_zeros([outputs], (Kind::Double, weight.device())).map_err(said)?
                };
                let mut layer = Layer { weight, bias };
                if let Some((factor, offset)) = scaled.take() {
                    layer = layer.behind(&factor, &offset).map_err(said)?;
                }
                match layers.pop() {
                    Some(before) if !activated && !gap => layers.push(layer.after(&before).map_err(said)?),
                    Some(before) => {
                        assumed = true;
                        layers.extend([before, layer]);
                    }
                    None => layers.push(layer),
                }
                activated = false;
            }
            Shape::Norm(_) => {
                let part = |part: &str| double(format!("{}.{part}", leaf.path));
                let (weight, bias) = (part("weight")?, part("bias")?);
                let (mean, variance) = (part("running_mean")?, part("running_var")?);
                let factor = weight / (variance + EPS).f_sqrt().map_err(said)?;
                let offset = bias - mean * &factor;
                // Behind a layer and its ReLU, or before any layer, it belongs to the next one.
                let of_sequential = leaf.path.rsplit_once('.').is_some_and(|(_, last)| last.parse::<u32>().is_ok());
                match layers.pop() {
                    Some(before) if !(activated || gap && of_sequential) => {
                        layers.push(before.then(&factor, &offset).map_err(said)?);
                    }
                    before => {
                        assumed |= before.is_some() && !activated;
                        layers.extend(before);
                        activated = true;
                        scaled = Some(match scaled.take() {
                            Some((f, o)) => (f * &factor, o * &factor + offset),
                            None => (factor, offset),
                        });
                    }
                }
            }
            _ => return Err(format!("{} is no layer of a classifier", leaf.path)),
        }
    }
    match (scaled, layers.pop()) {
        (Some((factor, offset)), Some(last)) => layers.push(last.then(&factor, &offset).map_err(said)?),
        (_, last) => layers.extend(last),
    }
    Ok((layers, assumed))
}

impl Layer {
    /// With its input scaled and moved.
    fn behind(self, factor: &Tensor, offset: &Tensor) -> Result<Self, tch::TchError> {
        Ok(Self {
            bias: self.bias.f_add(&self.weight.f_mv(offset)?)?,
            weight: self.weight.f_mul(&factor.f_unsqueeze(0)?)?,
        })
    }

    /// With its output scaled and moved.
    fn then(self, factor: &Tensor, offset: &Tensor) -> Result<Self, tch::TchError> {
        Ok(Self { weight: self.weight.f_mul(&factor.f_unsqueeze(1)?)?, bias: self.bias.f_mul(factor)?.f_add(offset)? })
    }

    /// Both in one, this one behind the other.
    fn after(self, before: &Self) -> Result<Self, tch::TchError> {
        Ok(Self { bias: self.bias.f_add(&self.weight.f_mv(&before.bias)?)?, weight: self.weight.f_mm(&before.weight)? })
    }
}
