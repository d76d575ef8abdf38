//! What may have a part in the way from a picture to its classes, whatever its name says, and is no part of the network.

use super::head::{Groups, Head, Trunk, by_widths, chain, follow, numbered, outputs};
use super::modules::{Leaf, Modules, Shape};
use super::words::serves_training;
use crate::weights::refusal::Refusal;

/// How many widths are followed: no network has as many.
const MOST: usize = 64;

/// A module that is left beside the network, and whether its name says that it serves training.
#[derive(Clone, Copy)]
struct Beside<'l> {
    leaves: &'l [Leaf],
    training: bool,
    predicts: bool,
}

/// Refuses what may stand before the classifier and behind it. Where the backbone is named, that is only what stands behind and is
/// not called as what serves training.
pub(super) fn beside(modules: &Modules, trunk: &Trunk<'_>, groups: &Groups, head: &Head) -> Result<(), Refusal> {
    let left = modules.leaves("");
    let still = |leaf: &Leaf| left.iter().any(|left| left.path == leaf.path);
    let kept = groups.iter().filter(|(_, leaves)| leaves.iter().all(still));
    let kept = kept.map(|(name, leaves)| Beside {
        leaves,
        training: serves_training(name),
        predicts: name.to_lowercase().contains("predict"),
    });
    let kept: Vec<Beside<'_>> = kept.filter(|module| !(trunk.lenient && module.training)).collect();
    let refuse = |module: &Beside<'_>, what: String| {
        let name = module.leaves.first().map(|leaf| modules.original(&leaf.path)).unwrap_or_default();
        Err(trunk.in_the_way(format!("{name}{what}")))
    };
    let behind = |module: &&Beside<'_>| {
        if trunk.lenient {
            !matches!(chain(modules, module.leaves, head.classes), Ok(None))
        } else {
            !gives(modules, module.leaves, head.classes).is_empty()
        }
    };
    if let Some(module) = kept.iter().find(|module| head.classes > 0 && behind(module)) {
        let classes = if head.classes == 1 { "class" } else { "classes" };
        return refuse(module, format!(" may stand behind the classifier of {} {classes}", head.classes));
    }
    if trunk.lenient {
        return Ok(());
    }
    let mut widths = vec![trunk.channels];
    if head.classes > 0 {
        widths.extend(head.widths(trunk.features));
    }
    for module in &kept {
        let all = |is: &dyn Fn(&Leaf) -> bool| module.leaves.iter().all(is);
        let training = module.training;
        if all(&|leaf| leaf.shape == Shape::Norm(trunk.features)) && !(training && head.classes == 0) {
            return refuse(module, ", a BatchNorm that may stand before the classifier".to_owned());
        }
        if training && all(&|leaf| affine(leaf).is_some_and(|width| widths.contains(&width))) {
            return refuse(module, ", a normalisation that may have a part in the answer".to_owned());
        }
    }
    let training: Vec<Beside<'_>> = kept.into_iter().filter(|module| module.training).collect();
    if head.classes > 0 {
        for &width in widths[1..].iter().take(MOST) {
            if let Some((_, module)) = reached(modules, &training, width).iter().find(|(made, _)| *made == width) {
                return refuse(module, format!(", which gives out {width} features, may stand before the classes"));
            }
        }
        return Ok(());
    }
    // What predicts from a projection gives out what it takes, unless it predicts classes.
    let made = reached(modules, &training, trunk.features);
    let widths: Vec<i64> = std::iter::once(trunk.features).chain(made.iter().map(|(width, _)| *width)).collect();
    let other = |module: &Beside<'_>, width| gives(modules, module.leaves, width).iter().any(|made| *made != width);
    let classifies = |module: &&Beside<'_>| module.predicts && widths.iter().any(|width| other(module, *width));
    match training.iter().find(classifies) {
        Some(module) => refuse(module, " may be the classifier, or its last layer".to_owned()),
        None => Ok(()),
    }
}

/// The widths that modules make of `from` features, one behind another, and the module that makes each.
fn reached<'l>(modules: &Modules, training: &[Beside<'l>], from: i64) -> Vec<(i64, Beside<'l>)> {
    let mut made: Vec<(i64, Beside<'l>)> = Vec::new();
    let (mut width, mut next) = (from, 0);
    loop {
        for module in training {
            for of_it in gives(modules, module.leaves, width) {
                if made.iter().all(|(known, _)| *known != of_it) {
                    made.push((of_it, *module));
                }
            }
        }
        let Some((following, _)) = made.get(next).filter(|_| next < MOST) else { return made };
        (width, next) = (*following, next + 1);
    }
}

/// What the linear layers of a module make of `width` features: one width if their order is known, what each makes if not; none if
/// none takes as many.
fn gives(modules: &Modules, leaves: &[Leaf], width: i64) -> Vec<i64> {
    let takes = |leaf: &&Leaf| matches!(leaf.shape, Shape::Linear(_, inputs) if inputs == width);
    if !leaves.iter().any(|leaf| takes(&leaf)) {
        return Vec::new();
    }
    let linear: Vec<Leaf> = leaves.iter().filter(|leaf| outputs(leaf).is_some()).cloned().collect();
    if numbered(&linear) {
        let follows = follow(&linear, width);
        return follows.and_then(|()| outputs(linear.last()?)).into_iter().collect();
    }
    match by_widths(modules, &linear, width) {
        Ok(Some(order)) => order.last().and_then(outputs).into_iter().collect(),
        _ => linear.iter().filter(takes).filter_map(outputs).collect(),
    }
}

/// The channels of a layer that scales and moves each by itself, as normalisations do.
fn affine(leaf: &Leaf) -> Option<i64> {
    match &leaf.shape {
        Shape::Norm(channels) => Some(*channels),
        Shape::Other(shape) if leaf.bias && shape.len() == 1 => shape.first().copied(),
        _ => None,
    }
}
