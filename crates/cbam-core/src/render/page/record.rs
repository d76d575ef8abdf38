//! What is shown of one picture alone: its arrays packed, the rest as JSON.

use ndarray::{Array2, ArrayView2, Axis};
use serde::Serialize;

use super::pack::{Depth, Pack, Packed, Rows};
use super::picture::{PageSource, part_seen, sides};
use super::truth::Truth;
use crate::maps::{AttentionMap, Detail, FeatureMaps, MapName, MapRange, PatchReadout};
use crate::{Error, Result};

/// The most weights of all attentions of one picture, head by head; of more the mean over heads is kept.
const MOST_WEIGHTS: usize = 16 << 20;

#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    pub(super) photo: String,
    pub(super) photo_size: [u32; 2],
    size: [u32; 2],
    network_size: [u32; 2],
    seen: Option<[u32; 4]>,
    damaged: Option<&'a str>,
    notes: &'a [String],
    likeliest: Option<usize>,
    explained: Option<usize>,
    probabilities: Option<Packed>,
    maps: Vec<Map>,
    attention: Vec<Attention<'a>>,
    gates: Vec<Gate<'a>>,
    classes: Option<Classes<'a>>,
    rule: Rule,
    ground: Option<Features>,
    truth: Option<Truth>,
    blob: String,
}

#[derive(Debug, Serialize)]
struct Map {
    name: String,
    range: &'static str,
    of_class: bool,
    grid: [usize; 2],
    values: Packed,
    cell: Option<[usize; 2]>,
}

#[derive(Debug, Serialize)]
struct Attention<'a> {
    stage: &'a str,
    grid: [usize; 2],
    heads: usize,
    /// Whether they are the mean over heads.
    mean: bool,
    scales: Packed,
    weights: Packed,
}

#[derive(Debug, Serialize)]
struct Gate<'a> {
    stage: &'a str,
    channel: Packed,
    features: Option<Features>,
}

#[derive(Debug, Serialize)]
struct Features {
    grid: [usize; 2],
    channels: usize,
    lows: Packed,
    highs: Packed,
    values: Packed,
}

#[derive(Debug, Serialize)]
struct Classes<'a> {
    grid: [usize; 2],
    of: Option<&'a [usize]>,
    scales: Packed,
    values: Packed,
}

/// The maps that `fused` and `object` are made of, beside the class activation.
#[derive(Debug, Serialize)]
struct Rule {
    patches: Vec<String>,
    gates: Vec<String>,
}

impl<'a> Record<'a> {
    /// Of a picture and its maps, as yet without its pixels; where patches look only `with_rows`.
    ///
    /// # Errors
    /// What cannot be packed.
    pub(super) fn new(source: &'a PageSource<'_>, maps: &[(MapName, AttentionMap)], with_rows: bool) -> Result<Self> {
        let whole = source.detail == Detail::Whole;
        let (readout, geometry) = (&source.look.readout, &source.look.geometry);
        let mut pack = Pack::default();
        let probabilities =
            (whole && !readout.probabilities.is_empty()).then(|| pack.floats(readout.probabilities.iter().copied()));
        let maps = maps.iter().map(|(name, map)| Map {
            name: name.to_string(),
            range: range(map.range()),
            of_class: name.needs_class(),
            grid: [map.values().nrows(), map.values().ncols()],
            values: {
                let values = map.values().iter().copied();
                if whole { pack.floats(values) } else { pack.spanned(values, Depth::Fine) }
            },
            cell: map.cell(),
        });
        let maps = maps.collect();
        let depth = if whole { Depth::Fine } else { Depth::Coarse };
        let attention = if with_rows { attention(&mut pack, &readout.patches, depth) } else { Vec::new() };
        let gates = readout.gates.iter().filter(|gate| !gate.channel.is_empty()).map(|gate| Gate {
            stage: &gate.stage,
            channel: pack.spanned(gate.channel.iter().copied(), Depth::Fine),
            features: gate.features.as_ref().map(|features| of_channels(&mut pack, features)),
        });
        let gates = gates.collect();
        let classes = readout.classes.as_ref().filter(|_| whole).and_then(|classes| {
            let (_, rows, columns) = classes.maps.dim();
            let maps = classes.maps.as_slice()?.chunks_exact(rows * columns);
            let Rows { scales, codes } = pack.rows(maps, Depth::Fine);
            Some(Classes { grid: [rows, columns], of: classes.of.as_deref(), scales, values: codes })
        });
        let ground = readout.ground.as_ref().filter(|_| whole);
        let ground = ground.map(|ground| of_cells(&mut pack, ground.features.view(), ground.grid));
        let of_gates = readout.gates.iter().filter(|gate| gate.spatial.is_some());
        let patches = MapName::patches(readout.patches.iter().map(|patch| (patch.stage.as_str(), 0)));
        Ok(Self {
            photo: String::new(),
            photo_size: [0; 2],
            size: sides(geometry.picture),
            network_size: sides(geometry.network),
            seen: part_seen(geometry),
            damaged: source.damaged.as_deref(),
            notes: &source.notes,
            likeliest: source.look.likeliest,
            explained: source.look.explained,
            probabilities,
            maps,
            attention,
            gates,
            classes,
            rule: Rule {
                patches: patches.iter().map(ToString::to_string).collect(),
                gates: of_gates.map(|gate| MapName::Spatial(Some(gate.stage.clone())).to_string()).collect(),
            },
            ground,
            truth: source.measured.and_then(|measured| measured.truth.as_ref()).map(Truth::shown),
            blob: pack.into_text(source.packing)?,
        })
    }

    pub(super) fn json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }
}

pub(super) fn range(range: MapRange) -> &'static str {
    match range {
        MapRange::Unit => "unit",
        MapRange::Relative => "relative",
        MapRange::Positive => "positive",
    }
}

/// Where patches look, as far as it is kept: rows that sum to 1, each over its greatest weight.
fn attention<'a>(pack: &mut Pack, patches: &'a [PatchReadout], depth: Depth) -> Vec<Attention<'a>> {
    let all: usize = patches.iter().filter_map(|patch| Some(patch.weights.as_ref()?.len())).sum();
    let packed = |patch: &'a PatchReadout| {
        let (heads, rows, columns) = patch.received.dim();
        let kept = patch.weights.as_ref()?;
        let mean = if all > MOST_WEIGHTS { kept.mean_axis(Axis(0)) } else { None };
        let shares = mean.map_or_else(|| kept.clone(), |mean| mean.insert_axis(Axis(0))) / (rows * columns) as f32;
        let Rows { scales, codes } = pack.rows(shares.as_slice()?.chunks_exact(rows * columns), depth);
        let kept = shares.len_of(Axis(0));
        let (stage, grid, mean) = (patch.stage.as_str(), [rows, columns], kept < heads);
        Some(Attention { stage, grid, heads: kept, mean, scales, weights: codes })
    };
    patches.iter().filter_map(packed).collect()
}

/// The features of channels, one after another.
fn of_channels(pack: &mut Pack, features: &FeatureMaps) -> Features {
    let (channels, rows, columns) = features.codes.dim();
    Features {
        grid: [rows, columns],
        channels,
        lows: pack.floats(features.lows.iter().copied()),
        highs: pack.floats(features.highs.iter().copied()),
        values: pack.codes(features.codes.iter().copied()),
    }
}

/// The features of cells, `[cells, C]`, one after another, each channel between its least and its greatest.
fn of_cells(pack: &mut Pack, features: ArrayView2<'_, f32>, grid: [usize; 2]) -> Features {
    let end = |best: fn(f32, f32) -> f32| features.fold_axis(Axis(0), f32::NAN, move |a, b| best(*a, *b));
    let (lows, highs) = (end(f32::min), end(f32::max));
    let widths = &highs - &lows;
    let parts: Array2<f32> = (&features - &lows) / widths.mapv(|width| if width > 0.0 { width } else { 1.0 });
    Features {
        grid,
        channels: features.ncols(),
        lows: pack.floats(lows),
        highs: pack.floats(highs),
        values: pack.parts(parts, Depth::Fine),
    }
}
