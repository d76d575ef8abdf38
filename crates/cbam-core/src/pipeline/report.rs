//! What a run says about one picture.

use std::collections::BTreeMap;
use std::time::Duration;

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::classes::Outputs;
use crate::maps::{AttentionMap, MapName, MapStatistics, Readout};
use crate::model::Look;
use crate::photo::{ImageSize, Part};
use crate::render::page::PagePicture;

/// How many classes, and how many channels of a gate, a report names.
const TOP: usize = 5;

/// What the network saw in one picture, and what was written.
#[derive(Debug, Clone, Serialize)]
pub struct PictureReport {
    /// The picture, as it was given; `-` for standard input.
    pub input: String,
    /// What of the picture is missing or broken; what can be read was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged: Option<String>,
    /// What was assumed about the picture, or passed over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The upright picture.
    pub size: ImageSize,
    /// What the network saw of it.
    pub network_size: ImageSize,
    /// The part of the picture that the network saw, if that was not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Part>,
    /// The five likeliest classes, the likeliest first; none of a network that says nothing of classes.
    pub top: Vec<TopClass>,
    /// What the network's numbers for the classes are. Unless it is [`Outputs::Softmax`] each class is judged by itself, and
    /// the probabilities of all need not sum to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs_are: Option<Outputs>,
    /// The class that the explanations among the maps are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<TopClass>,
    /// The statistics of every map, and of the rows that were asked for, by name.
    pub maps: BTreeMap<String, MapStatistics>,
    /// Those of the maps asked for that tell no place from another, with the value that they have everywhere.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub flat: BTreeMap<String, f32>,
    /// The five strongest channels of every channel gate, by stage.
    pub channels: BTreeMap<String, Vec<ChannelStrength>>,
    /// The files that were written for it.
    pub outputs: Vec<String>,
    /// How long each step took.
    pub timings: Timings,
    /// What a page shows of it, if one does.
    #[serde(skip)]
    pub page: Option<PagePicture>,
    /// The maps that were asked for; none unless the job [keeps](super::Job::keep) them.
    #[serde(skip)]
    pub kept: Vec<(MapName, KeptMap)>,
}

/// A map that is told with its picture.
#[derive(Debug, Clone, PartialEq)]
pub enum KeptMap {
    /// Over the picture, on its own grid and unscaled.
    Map(AttentionMap),
    /// The gate of each channel, 0 to 1, `[C]`.
    Channels(Array1<f32>),
}

/// A class and its probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopClass {
    /// Its index.
    pub class: usize,
    /// Its name.
    pub label: String,
    /// From 0 to 1; none of a score that is of no class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f32>,
}

/// A channel and its gate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ChannelStrength {
    /// Its index.
    pub channel: usize,
    /// From 0 to 1.
    pub gate: f32,
}

/// How long the steps took for one picture, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Reading, decoding and resampling.
    pub decode_ms: f64,
    /// The network: the picture's share of its batch.
    pub network_ms: f64,
    /// Drawing, encoding and writing.
    pub draw_ms: f64,
}

/// Milliseconds, to the microsecond.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

/// The five likeliest classes.
pub(super) fn top(readout: &Readout, labels: &[String]) -> Vec<TopClass> {
    strongest(&readout.probabilities).map(|(class, probability)| named(class, Some(probability), labels)).collect()
}

/// The class that the explanations are of.
pub(super) fn explained(look: &Look, labels: &[String]) -> Option<TopClass> {
    let class = look.explained?;
    Some(named(class, look.readout.probabilities.get(class).copied(), labels))
}

fn named(class: usize, probability: Option<f32>, labels: &[String]) -> TopClass {
    let label = labels.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
    TopClass { class, label, probability }
}

/// The five strongest channels of every gate.
pub(super) fn channels(readout: &Readout) -> BTreeMap<String, Vec<ChannelStrength>> {
    readout
        .gates
        .iter()
        .filter(|gate| !gate.channel.is_empty())
        .map(|gate| {
            let strongest = strongest(&gate.channel).map(|(channel, gate)| ChannelStrength { channel, gate });
            (gate.stage.clone(), strongest.collect())
        })
        .collect()
}

/// A map of a look, to be told with its picture.
pub(super) fn kept(look: &Look, name: &MapName) -> Result<KeptMap> {
    Ok(match name {
        MapName::Channel(stage) => KeptMap::Channels(look.readout.channel(stage)?.clone()),
        name => KeptMap::Map(look.map(name)?),
    })
}

/// The statistics of every map that the readout holds and of the `wanted` ones, by name.
pub(super) fn statistics(look: &Look, wanted: &[MapName]) -> Result<BTreeMap<String, MapStatistics>> {
    let rows = wanted.iter().filter(|name| matches!(name, MapName::PatchAt(..))).cloned();
    let names = look.readout.map_names().into_iter().chain(rows);
    names.map(|name| Ok((name.to_string(), look.map(&name)?.statistics()))).collect()
}

/// Those of the maps in `wanted` whose values differ by rounding at most, with the greatest of these.
pub(super) fn flat(maps: &BTreeMap<String, MapStatistics>, wanted: &[MapName]) -> BTreeMap<String, f32> {
    /// Of the greatest value.
    const ROUNDING: f32 = 1e-5;
    let named = wanted.iter().filter_map(|name| maps.get_key_value(&name.to_string()));
    let flat = named.filter(|(_, map)| map.max - map.min <= ROUNDING * map.max);
    flat.map(|(name, map)| (name.clone(), map.max)).collect()
}

/// The indices and values of the greatest numbers, the greatest first.
fn strongest(values: &Array1<f32>) -> impl Iterator<Item = (usize, f32)> {
    let greater = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    let mut order: Vec<(usize, f32)> = values.iter().copied().enumerate().collect();
    if order.len() > TOP {
        order.select_nth_unstable_by(TOP, greater);
        order.truncate(TOP);
    }
    order.sort_unstable_by(greater);
    order.into_iter()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::maps::GateReadout;
    use crate::photo::Geometry;

    fn readout() -> Readout {
        Readout {
            probabilities: array![0.1, 0.4, 0.05, 0.2, 0.15, 0.04, 0.06],
            gates: vec![GateReadout {
                stage: "stage5".into(),
                channel: array![0.2, 0.9, 0.5],
                spatial: Some(array![[0.1, 0.2], [0.3, 0.4]]),
                ..GateReadout::default()
            }],
            patches: Vec::new(),
            rollout: None,
            outputs: Vec::new(),
            ..Readout::default()
        }
    }

    fn look(readout: Readout) -> Look {
        let geometry = Geometry::whole(ImageSize::new(20, 10), ImageSize::new(64, 32));
        Look { readout, geometry, likeliest: None, explained: None }
    }

    #[test]
    fn the_top_is_sorted_and_named() {
        let top = top(&readout(), &["a".into(), "b".into()]);
        let seen: Vec<_> = top.iter().map(|class| (class.class, class.label.as_str())).collect();
        assert_eq!(seen, [(1, "b"), (3, "class 3"), (4, "class 4"), (0, "a"), (6, "class 6")]);
        assert!((top[0].probability.unwrap() - 0.4).abs() < 1e-6);
    }

    #[test]
    fn channels_are_sorted_and_short_gates_stay_short() {
        let channels = channels(&readout());
        let order: Vec<_> = channels["stage5"].iter().map(|strength| strength.channel).collect();
        assert_eq!(order, [1, 2, 0]);
    }

    #[test]
    fn every_map_has_its_statistics() {
        let statistics = statistics(&look(readout()), &[]).unwrap();
        assert_eq!(statistics.keys().collect::<Vec<_>>(), ["spatial:stage5"]);
        assert!((statistics["spatial:stage5"].max - 0.4).abs() < 1e-6);
    }

    #[test]
    fn maps_that_tell_no_place_from_another_are_named() {
        let gate = |stage: &str, spatial| GateReadout {
            stage: stage.into(),
            channel: array![0.5],
            spatial: Some(spatial),
            ..GateReadout::default()
        };
        let gates =
            vec![gate("a", array![[0.1, 0.2]]), gate("b", array![[0.0, 0.0]]), gate("c", array![[0.5, 0.500_001]])];
        let readout = Readout { gates, ..Readout::default() };
        let statistics = statistics(&look(readout), &[]).unwrap();
        let wanted = ["spatial:a", "spatial:b", "spatial:c", "channel:a"].map(|name| name.parse().unwrap());
        let flat = flat(&statistics, &wanted);
        assert_eq!(flat.keys().collect::<Vec<_>>(), ["spatial:b", "spatial:c"]);
        assert_eq!(flat["spatial:b"], 0.0);
    }
}
