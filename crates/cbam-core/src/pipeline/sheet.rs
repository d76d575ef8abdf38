//! What stands on a panel, a comparison and a legend.

use std::path::Path;

use super::TopClass;
use super::draw::Spans;
use crate::Result;
use crate::maps::{MapName, Method, Readout, Scale, ScaleLimits};
use crate::model::Look;
use crate::photo::ImageSize;
use crate::render::{Legend, PanelTile, TileContent, ends, lacks};
use crate::text::{percent, printable_path};

/// The line at the foot of a panel: the picture's file, the network, what it saw, and this crate's version.
pub(super) fn footer(picture: &Path, network: Option<&str>, seen: ImageSize) -> String {
    let name = picture.file_name().map_or(picture, Path::new);
    let parts = [
        Some(printable_path(name).to_string()),
        network.map(str::to_owned),
        Some(format!("seen at {seen}")),
        Some(concat!("cbam ", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ·  ")
}

/// How a note about the font begins.
pub(super) const UNREADABLE: &str = "the font of panels and legends lacks characters of ";

/// What is to be said where the font lacks characters of what is drawn.
pub(super) fn unreadable<'a>(mut drawn: impl Iterator<Item = &'a String>) -> Option<String> {
    drawn.find(|text| lacks(text)).map(|text| format!("{UNREADABLE}{text:?}, and draws boxes in their place"))
}

/// The most heads of attention that a panel shows one by one.
const MOST_HEADS: usize = 16;

/// The maps of a panel: those asked for, what the network makes of several, Grad-CAM if it is there, every gate over places, every
/// output of a scripted network, the patch attention as a whole and by its heads, where a class token looks. Of over [`MOST_HEADS`] heads
/// it shows what matters of each layer: where its class token looks or, without one, its mean.
pub(super) fn panel_maps(readout: &Readout, maps: &[MapName]) -> Vec<MapName> {
    let asked: Vec<_> = maps.iter().filter(|name| !matches!(name, MapName::Channel(_))).collect();
    let names = readout.map_names();
    let heads = names.iter().filter(|name| matches!(name, MapName::Patch { head: Some(_), .. })).count();
    let looking = names.iter().any(|name| matches!(name, MapName::ClassToken { .. }));
    let shown = |name: &MapName| match name {
        MapName::Patch { head: Some(_), .. } => heads <= MOST_HEADS,
        MapName::Patch { stage, head: None } => stage.is_none() || !looking,
        MapName::ClassToken { head, .. } => head.is_none(),
        MapName::Output { channel, .. } => channel.is_none(),
        MapName::Explain { method, stage } => *method == Method::GradCam && stage.is_none(),
        name => matches!(
            name,
            MapName::Fused | MapName::Object | MapName::Rollout | MapName::Spatial(_) | MapName::Coordinate(_)
        ),
    };
    let held = names.iter().filter(|name| shown(name) && !asked.contains(name));
    // What is of all of the network comes before what is of one place.
    let place = |name: &MapName| match name {
        MapName::Fused | MapName::Object => 0,
        MapName::Explain { .. } => 1,
        MapName::Patch { stage: None, head: None } | MapName::Rollout => 2,
        MapName::Spatial(_) | MapName::Coordinate(_) => 3,
        _ => 4,
    };
    let mut held: Vec<_> = held.collect();
    held.sort_by_key(|name| place(name));
    asked.into_iter().chain(held).cloned().collect()
}

pub(super) fn tiles(
    look: &Look,
    maps: &[MapName],
    explained: Option<&TopClass>,
    spans: &Spans,
) -> Result<Vec<PanelTile>> {
    let patches = &look.readout.patches;
    let maps = panel_maps(&look.readout, maps);
    let of_class = maps.iter().position(MapName::needs_class); // once said is enough
    let maps = maps.into_iter().enumerate().map(|(index, name)| {
        let tile = tile(look, &name, spans)?;
        let title = match &name {
            _ if of_class == Some(index) => explained.map(|class| format!("{} for {}", tile.title, class.label)),
            // The first stage's heads have no stage in their names.
            MapName::Patch { stage: None, head: Some(_) } if patches.len() > 1 => {
                let stage = patches.first().map(|patch| patch.stage.as_str()).unwrap_or_default();
                Some(tile.title.replacen("patch:", &format!("patch:{stage}:"), 1))
            }
            _ => None,
        };
        Ok(PanelTile { title: title.unwrap_or(tile.title), ..tile })
    });
    let gates = look.readout.gates.iter().filter(|gate| !gate.channel.is_empty());
    let gates = gates.map(|gate| tile(look, &MapName::Channel(gate.stage.clone()), spans));
    maps.chain(gates).collect()
}

/// A map or a channel gate as a tile.
pub(super) fn tile(look: &Look, name: &MapName, spans: &Spans) -> Result<PanelTile> {
    let content = match name {
        MapName::Channel(stage) => TileContent::Channels(look.readout.channel(stage)?.clone()),
        name => {
            let map = look.map(name)?;
            let limits = spans.of(name, &map);
            TileContent::Map { map, limits }
        }
    };
    Ok(PanelTile { title: name.to_string(), content })
}

/// The words of a comparison below its heading: what the ends of the colours are. `whole` is what a scale of all maps spans: "the run".
pub fn comparison_legend(heading: Option<String>, scale: Scale, whole: &str) -> Legend {
    let ends = match scale {
        Scale::Image => ["each map's least value".to_owned(), "each map's greatest value".to_owned()],
        Scale::Percentile(low, high) => [low, high].map(|percent| format!("each map's percentile {percent}")),
        Scale::Fixed(low, high) => [low, high].map(|value| value.to_string()),
        Scale::Run => ["least", "greatest"].map(|end| format!("{end} of {whole}, map by map")),
    };
    Legend { heading, ends, ..Legend::default() }
}

/// The words under one map that has such limits by its scale; `note` says of which class it is, if it is of one. `whole` is what a scale of
/// all maps spans: "the run".
pub fn map_legend(name: &MapName, note: Option<String>, limits: ScaleLimits, (scale, whole): (Scale, &str)) -> Legend {
    let scale = match scale {
        Scale::Image => "least to greatest of this map".to_owned(),
        Scale::Percentile(low, high) => format!("percentiles {low} to {high} of this map"),
        Scale::Fixed(..) => "fixed scale".to_owned(),
        Scale::Run => format!("least to greatest of {whole}"),
    };
    let ends = ends(limits.low, limits.high);
    Legend { heading: Some(name.to_string()), note, ends, scale: Some(scale) }
}

/// The class that is explained, as a heading.
pub(super) fn heading(class: &TopClass) -> String {
    let kind = if class.probability.is_some() { "class" } else { "score" };
    format!("{kind}: {}", with_probability(class))
}

/// A class, and how likely it is, if that can be said.
pub(super) fn with_probability(class: &TopClass) -> String {
    match class.probability {
        Some(probability) => format!("{}, {}", class.label, percent(probability)),
        None => class.label.clone(),
    }
}
