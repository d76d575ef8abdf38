//! Attention beside the stages: behind the first convolution, behind a stage, before the pooling.
//!
//! Its modules stand at the network's top (`ca`, `sa1`, `cbam3`, `attentions.2`), or beside the backbone. Their numbers part
//! them into gates, and the channels that a gate takes tell behind which stage it stands; where two places have as many, the
//! numbers tell, or what is usual.

use std::collections::BTreeMap;

use super::Assumption;
use super::attention::{Found, Parts, named_attention};
use super::modules::{Leaf, Modules, OUTSIDE, Shape};
use crate::attention::PoolOrder;
use crate::network::STEM;

/// A place where attention may stand beside the stages, in the order in which features pass them.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) site: String,
    pub(super) channels: i64,
}

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
    let mut numbered: BTreeMap<Option<u64>, Vec<Leaf>> = BTreeMap::new();
    for leaf in modules.leaves("").into_iter().filter(attends) {
        numbered.entry(number(&leaf.path)).or_default().push(leaf);
    }
    // `attention1` and `attention2` may be the two halves of one gate.
    let spatial = |leaves: &[Leaf]| leaves.iter().any(|leaf| matches!(leaf.shape, Shape::Spatial(_)));
    let halves: Vec<bool> = numbered.values().map(|leaves| spatial(leaves)).collect();
    let linear = |leaves: &[Leaf]| leaves.iter().any(|leaf| matches!(leaf.shape, Shape::Linear(..)));
    let whole = numbered.values().any(|leaves| spatial(leaves) && linear(leaves));
    let alternate =
        !halves.is_empty() && halves.len().is_multiple_of(2) && halves.chunks(2).all(|pair| pair == [false, true]);
    let step = if alternate && !whole { 2 } else { 1 };
    let numbered: Vec<(Option<u64>, Vec<Leaf>)> = numbered.into_iter().collect();
    let set = |sets: &[(Option<u64>, Vec<Leaf>)]| {
        let leaves: Vec<Leaf> = sets.iter().flat_map(|(_, leaves)| leaves.iter().cloned()).collect();
        let name = modules.original(&leaves[0].path).to_owned();
        Ok(Set { number: if step == 1 { sets[0].0 } else { None }, parts: Parts::of(modules, &leaves)?, name })
    };
    numbered.chunks(step).map(set).collect()
}

/// The number that a top module has at its end, or that stands behind it.
fn number(path: &str) -> Option<u64> {
    let names: Vec<&str> = path.trim_start_matches(OUTSIDE).split('.').collect();
    let numbers = |name: &str| {
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        name[name.len() - digits..].parse().ok()
    };
    let of_top = names.first().and_then(|name| numbers(name));
    let behind = || names.get(1).filter(|_| names.len() > 2).and_then(|name| name.parse().ok());
    of_top.or_else(behind)
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
    let of_number = |set: &Set| stages.get(usize::try_from(set.number?).ok()?.checked_sub(1)?).copied();
    let by_number: Option<Vec<usize>> = sets
        .iter()
        .zip(&channels)
        .map(|(set, channels)| of_number(set).filter(|place| fits(*place, *channels)))
        .collect();
    if let Some(by_number) = by_number {
        return Ok(by_number);
    }
    let mut next = 0;
    let mut chosen = Vec::new();
    for (set, channels) in sets.iter().zip(&channels) {
        let found = channels.and_then(|_| (next..places.len()).find(|place| fits(*place, *channels)));
        let Some(place) = found else {
            let of = channels.map_or_else(String::new, |channels| format!(", of {channels} channels,"));
            return Err(format!("{}{of}: where this attention stands cannot be told", set.name));
        };
        next = place + 1;
        chosen.push(place);
    }
    Ok(chosen)
}
