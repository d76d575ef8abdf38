//! From what the network said about a picture to its files and its report.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use image::{DynamicImage, ImageError};
use ndarray_npy::WriteNpyExt;

use super::report::{self, PictureReport, milliseconds};
use super::state::{NetworkFacts, Seen};
use super::{Destination, Job, Options, Target, TopClass};
use crate::files::{WholeFile, write_whole};
use crate::maps::{AttentionMap, MapName, Readout, Scale, ScaleLimits};
use crate::model::Look;
use crate::photo::Photo;
use crate::render::{Legend, Painting, PanelTile, TileContent, bar_chart, compare, panel, write_painting};
use crate::text::percent;
use crate::{Error, Result};

/// Which values span the colours of a map.
#[derive(Debug)]
pub(super) enum Spans {
    /// Each map's own.
    Each(Scale),
    /// Those of the whole run, by name.
    Run(HashMap<MapName, ScaleLimits>),
}

impl Spans {
    fn of(&self, name: &MapName, map: &AttentionMap) -> ScaleLimits {
        match self {
            Self::Each(scale) => scale.limits(map),
            Self::Run(spans) => spans.get(name).copied().unwrap_or_else(|| Scale::Run.limits(map)),
        }
    }
}

/// Widens the run's spans by the maps of one picture that will be drawn.
pub(super) fn widen(
    spans: &mut HashMap<MapName, ScaleLimits>,
    job: &Job,
    compare: bool,
    maps: &[MapName],
    seen: &Seen,
) -> Result<()> {
    let shown = if compare { maps.len() } else { 1 };
    let overlay = maps.iter().take(if job.overlay.is_some() { shown } else { 0 }).cloned();
    let panel = job.panel.as_ref().map(|_| panel_maps(&seen.look.readout, maps)).unwrap_or_default();
    for name in overlay.chain(panel).filter(|name| !matches!(name, MapName::Channel(_))) {
        let limits = Scale::Run.limits(&seen.look.map(&name)?);
        spans.entry(name).and_modify(|span| *span = span.union(limits)).or_insert(limits);
    }
    Ok(())
}

/// Writes what the job asks for, and says what was seen. `photo` is needed only where something is drawn over it.
pub(super) fn finish(
    job: &Job,
    options: &Options,
    NetworkFacts { labels, maps, outputs: outputs_are, .. }: &NetworkFacts,
    photo: Option<Photo>,
    seen: Seen,
    spans: &Spans,
) -> Result<PictureReport> {
    let start = Instant::now();
    let Seen { look, mut timings, damage, notes } = seen;
    let Look { readout, geometry, .. } = &look;
    let top = report::top(readout, labels);
    let explained = report::explained(&look, labels);
    let mut outputs = Vec::new();
    for (name, path) in maps.iter().zip(&job.maps) {
        write_whole(path, &npy(&look, name, path)?)?;
        outputs.push(path.clone());
    }
    if let Some(photo) = photo {
        let panel = match &job.panel {
            Some(to) => {
                let tiles = tiles(&look, maps, explained.as_ref(), spans)?;
                let likeliest = top.iter().filter_map(|class| Some((class.label.clone(), class.probability?)));
                let labels: Vec<_> = likeliest.collect();
                let picture = DynamicImage::from(panel(&photo, &tiles, &labels, &options.overlay)?);
                write_picture(to, picture.into(), options.jpeg_quality)?
            }
            None => None,
        };
        if let (Some(to), Some(name)) = (&job.overlay, maps.first()) {
            let picture: Painting = match name {
                _ if options.compare => {
                    let tiles: Vec<_> = maps.iter().map(|name| tile(&look, name, spans)).collect::<Result<_>>()?;
                    let legend =
                        legend(options.scale, explained.as_ref().filter(|_| maps.iter().any(MapName::needs_class)));
                    DynamicImage::from(compare(&photo, &tiles, &legend, &options.overlay)?).into()
                }
                MapName::Channel(stage) => DynamicImage::from(bar_chart(readout.channel(stage)?, photo.size())?).into(),
                name => {
                    let map = look.map(name)?;
                    options.overlay.painting(photo.image, &map, spans.of(name, &map))?
                }
            };
            outputs.extend(write_picture(to, picture, options.jpeg_quality)?);
        }
        outputs.extend(panel);
    }
    timings.draw_ms = milliseconds(start.elapsed());
    let statistics = report::statistics(&look, maps)?;
    Ok(PictureReport {
        input: job.source.name().display().to_string(),
        damaged: damage,
        notes,
        size: geometry.picture,
        network_size: geometry.network,
        seen: (!geometry.is_whole()).then_some(geometry.seen),
        outputs_are: (!top.is_empty()).then_some(*outputs_are),
        top,
        explained,
        flat: report::flat(&statistics, maps),
        maps: statistics,
        channels: report::channels(readout),
        outputs: outputs.iter().map(|path: &PathBuf| path.display().to_string()).collect(),
        timings,
    })
}

/// A map or a channel gate as a `.npy` file: float32, unscaled, on its own grid.
fn npy(look: &Look, name: &MapName, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let written = match name {
        MapName::Channel(stage) => look.readout.channel(stage)?.write_npy(&mut bytes),
        name => look.map(name)?.values().write_npy(&mut bytes),
    };
    written.map_err(|error| Error::io(path)(std::io::Error::other(error)))?;
    Ok(bytes)
}

/// The most heads of attention that a panel shows one by one.
const MOST_HEADS: usize = 16;

/// The maps of a panel: the one asked for, `fused`, every gate over places, every output of a scripted network, every head of attention,
/// where a class token looks. Of over [`MOST_HEADS`] heads it shows what matters of each layer: where its class token looks or, without
/// one, its mean.
fn panel_maps(readout: &Readout, maps: &[MapName]) -> Vec<MapName> {
    let asked = maps.first().filter(|name| !matches!(name, MapName::Channel(_)));
    let names = readout.map_names();
    let heads = names.iter().filter(|name| matches!(name, MapName::Patch { head: Some(_), .. })).count();
    let looking = names.iter().any(|name| matches!(name, MapName::ClassToken { .. }));
    let shown = |name: &MapName| match name {
        MapName::Patch { head, .. } if heads <= MOST_HEADS => head.is_some(),
        MapName::Patch { stage, head } => head.is_none() && (stage.is_none() || !looking),
        MapName::ClassToken { head, .. } => head.is_none(),
        MapName::Rollout => heads > MOST_HEADS,
        MapName::Output { channel, .. } => channel.is_none(),
        name => matches!(name, MapName::Fused | MapName::Spatial(_) | MapName::Coordinate(_)),
    };
    let held = names.into_iter().filter(|name| shown(name) && Some(name) != asked);
    asked.into_iter().cloned().chain(held).collect()
}

fn tiles(look: &Look, maps: &[MapName], explained: Option<&TopClass>, spans: &Spans) -> Result<Vec<PanelTile>> {
    let maps = panel_maps(&look.readout, maps).into_iter().map(|name| {
        let tile = tile(look, &name, spans)?;
        Ok(match explained.filter(|_| name.needs_class()) {
            Some(class) => PanelTile { title: format!("{} for {}", tile.title, class.label), ..tile },
            None => tile,
        })
    });
    let gates = look.readout.gates.iter().filter(|gate| !gate.channel.is_empty());
    let gates = gates.map(|gate| tile(look, &MapName::Channel(gate.stage.clone()), spans));
    maps.chain(gates).collect()
}

/// A map or a channel gate as a tile.
fn tile(look: &Look, name: &MapName, spans: &Spans) -> Result<PanelTile> {
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

/// The words of a comparison: the class that is explained, and what the ends of the colours are.
fn legend(scale: Scale, explained: Option<&TopClass>) -> Legend {
    let ends = match scale {
        Scale::Image => ["each map's least value".to_owned(), "each map's greatest value".to_owned()],
        Scale::Percentile(low, high) => [low, high].map(|percent| format!("each map's percentile {percent}")),
        Scale::Fixed(low, high) => [low, high].map(|value| value.to_string()),
        Scale::Run => ["least of the run, map by map".to_owned(), "greatest of the run, map by map".to_owned()],
    };
    let heading = explained.map(|class| match class.probability {
        Some(probability) => format!("class: {}, {}", class.label, percent(probability)),
        None => format!("score: {}", class.label),
    });
    Legend { heading, ends }
}

/// Writes a picture; returns its path if it has one.
fn write_picture(to: &Destination, picture: Painting, jpeg_quality: u8) -> Result<Option<PathBuf>> {
    let refused = |path: &Path, error| match error {
        ImageError::IoError(error) => Error::io(path)(error),
        error => Error::photo(path, format!("cannot be written as {}: {error}", to.format)),
    };
    match &to.target {
        Target::File(path) => {
            let mut file = WholeFile::create(path)?;
            write_painting(picture, to.format, jpeg_quality, &mut file).map_err(|error| refused(path, error))?;
            file.commit().map(|()| Some(path.clone()))
        }
        Target::Stream(stream) => {
            let mut bytes = Vec::new();
            let written = write_painting(picture, to.format, jpeg_quality, &mut bytes);
            written.map_err(|error| refused(stream.name(), error))?;
            stream.write(&bytes).map(|()| None)
        }
    }
}
