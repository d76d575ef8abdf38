//! Attention beside the stages: behind the first convolution, behind a stage, before the pooling.
//!
//! Its modules stand at the network's top (`ca`, `sa1`, `cbam3`, `ca_stem`, `attentions.2`), or beside the backbone. Their numbers,
//! and what their names say beside that they are attention, part them into gates, and the channels that a gate takes tell behind
//! which stage it stands; where two places have as many, the numbers tell, or what is usual.

use std::collections::{BTreeMap, BTreeSet};

use super::Assumption;
use super::attention::{Found, Parts};
use super::modules::{Leaf, Modules, OUTSIDE, Shape};
use super::words::{beside_attention, named_attention};
use crate::attention::PoolOrder;
use crate::maps::STEM;

/// A place where attention may stand beside the stages, in the order in which features pass them.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) site: String,
    pub(super) channels: i64,
}

/// What parts gates by name: a number, and words such as `stem`.
type Key = (Option<u64>, String);

/// One gate's modules, and the number in their names.
struct Set {
    number: Option<u64>,
    parts: Parts,
    /// What the file calls one of them.
    name: String,
}

/// Takes the gates that stand at `places`. They come in the order of the places. If `lenient`, what is not known is left.
pub(super) fn take(
    modules: &Modules,
    places: &[Place],
    order: Option<PoolOrder>,
    lenient: bool,
) -> Result<Vec<Found>, String> {
    let known = sets(modules).and_then(|sets| Ok((choose(&sets, places)?, sets)));
    let (chosen, sets) = match known {
        Ok(known) => known,
        Err(_) if lenient => return Ok(Vec::new()),
        Err(message) => return Err(message),
    };
    let mut found = Vec::new();
    for (place, site) in places.iter().enumerate() {
        for (set, _) in sets.iter().zip(&chosen).filter(|(_, chosen)| **chosen == place) {
            let mut gate = set.parts.take(modules, &site.site, "", site.channels, order)?;
            let behind = match site.site.as_str() {
                STEM => "the first convolution, before any pooling",
                other => other,
            };
            gate.assumptions.push(Assumption::new(format!("{} stands behind {behind}", set.name), None));
            found.push(gate);
        }
    }
    Ok(found)
}

/// The modules of attention at the network's top and beside it, gate by gate.
fn sets(modules: &Modules) -> Result<Vec<Set>, String> {
    let attends = |leaf: &Leaf| {
        matches!(leaf.shape, Shape::Spatial(_) | Shape::AlongChannels(_))
            || named_attention(leaf.path.trim_start_matches(OUTSIDE))
    };
    let mut keyed: BTreeMap<Key, Vec<Leaf>> = BTreeMap::new();
    for leaf in modules.leaves("").into_iter().filter(attends) {
        keyed.entry(key(&leaf.path)).or_default().push(leaf);
    }
    let keyed: Vec<(Key, Vec<Leaf>)> =
        keyed.into_iter().flat_map(|(key, leaves)| apart(modules, key, leaves)).collect();
    // `attention1` and `attention2` may be the two halves of one gate.
    let spatial = |leaves: &[Leaf]| leaves.iter().any(|leaf| matches!(leaf.shape, Shape::Spatial(_)));
    let linear = |leaves: &[Leaf]| leaves.iter().any(|leaf| matches!(leaf.shape, Shape::Linear(..)));
    let halves = |pair: &[(Key, Vec<Leaf>)]| match pair {
        [(one, first), (two, second)] => {
            one.1 == two.1 && linear(first) && !spatial(first) && spatial(second) && !linear(second)
        }
        _ => false,
    };
    let step = if !keyed.is_empty() && keyed.chunks(2).all(halves) { 2 } else { 1 };
    let set = |sets: &[(Key, Vec<Leaf>)]| {
        let leaves: Vec<Leaf> = sets.iter().flat_map(|(_, leaves)| leaves.iter().cloned()).collect();
        let name = modules.original(&leaves[0].path).to_owned();
        Ok(Set { number: if step == 1 { sets[0].0.0 } else { None }, parts: Parts::of(modules, &leaves)?, name })
    };
    keyed.chunks(step).map(set).collect()
}

/// What parts a module from those of other gates: the number that its top module has at its end, or that stands behind it, and the
/// words of that name that are not attention's.
fn key(path: &str) -> Key {
    let names: Vec<&str> = path.trim_start_matches(OUTSIDE).split('.').collect();
    let behind = || names.get(1).filter(|_| names.len() > 2).and_then(|name| name.parse().ok());
    (number(names[0]).or_else(behind), beside_attention(names[0]))
}

/// The number at the end of a name.
fn number(name: &str) -> Option<u64> {
    name[name.trim_end_matches(|c: char| c.is_ascii_digit()).len()..].parse().ok()
}

/// The modules of several gates that lie in one module (`attentions.layer1`, `attentions.layer2`), by the names that they have there.
fn apart(modules: &Modules, whole: Key, leaves: Vec<Leaf>) -> Vec<(Key, Vec<Leaf>)> {
    if whole.0.is_some() || Parts::of(modules, &leaves).is_ok() {
        return vec![(whole, leaves)];
    }
    let mut keyed: BTreeMap<Key, Vec<Leaf>> = BTreeMap::new();
    for leaf in &leaves {
        let names: Vec<&str> = leaf.path.trim_start_matches(OUTSIDE).split('.').collect();
        let second = if names.len() > 2 { names[1] } else { "" };
        keyed.entry((number(second), beside_attention(second))).or_default().push(leaf.clone());
    }
    if keyed.values().all(|leaves| Parts::of(modules, leaves).is_ok()) {
        return keyed.into_iter().collect();
    }
    vec![(whole, leaves)]
}

/// The place of each gate.
fn choose(sets: &[Set], places: &[Place]) -> Result<Vec<usize>, String> {
    let channels: Vec<Option<i64>> = sets.iter().map(|set| set.parts.channels()).collect();
    let fits = |place: usize, channels: Option<i64>| channels.is_none_or(|channels| places[place].channels == channels);
    // As many gates as stages, or one more before them.
    let stages: Vec<usize> = (0..places.len()).filter(|place| places[*place].site != STEM).collect();
    for all in [stages.clone(), (0..places.len()).collect()] {
        if all.len() == sets.len() && all.iter().zip(&channels).all(|(place, channels)| fits(*place, *channels)) {
            return Ok(all);
        }
    }
    // Numbers that are those of the stages.
    let of_number = |set: &Set| {
        stages.iter().copied().find(|place| set.number.is_some() && number(&places[*place].site) == set.number)
    };
    let by_number: Option<Vec<usize>> = sets
        .iter()
        .zip(&channels)
        .map(|(set, channels)| of_number(set).filter(|place| fits(*place, *channels)))
        .collect();
    let apart = |places: &Vec<usize>| places.iter().collect::<BTreeSet<_>>().len() == places.len();
    if let Some(by_number) = by_number.filter(apart) {
        return Ok(by_number);
    }
    // Else by the channels: each as early as they allow, behind the one before it.
    let first = |channels: Option<i64>| channels.and_then(|_| (0..places.len()).find(|place| fits(*place, channels)));
    let mut order: Vec<usize> = (0..sets.len()).collect();
    order.sort_by_key(|set| first(channels[*set]));
    let mut next = 0;
    let mut chosen = vec![0; sets.len()];
    for set in order {
        let found = channels[set].and_then(|_| (next..places.len()).find(|place| fits(*place, channels[set])));
        let Some(place) = found else {
            let of = channels[set].map_or_else(String::new, |channels| format!(", of {channels} channels,"));
            return Err(format!("{}{of}: where this attention stands cannot be told", sets[set].name));
        };
        next = place + 1;
        chosen[set] = place;
    }
    Ok(chosen)
}
