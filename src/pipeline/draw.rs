//! From what the network said about a picture to its files and its report.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use image::DynamicImage;
use ndarray_npy::WriteNpyExt;

use super::look::NetworkFacts;
use super::report::{self, PictureReport, milliseconds};
use super::run::Seen;
use super::{Destination, Job, Options, Target, encode, write_whole};
use crate::maps::{AttentionMap, MapName, Readout, Scale, ScaleLimits};
use crate::photo::{Geometry, Photo};
use crate::render::{PanelTile, TileContent, bar_chart, panel};
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
pub(super) fn widen(spans: &mut HashMap<MapName, ScaleLimits>, job: &Job, maps: &[MapName], seen: &Seen) -> Result<()> {
    let overlay = job.overlay.as_ref().and(maps.first()).cloned();
    let panel = job.panel.as_ref().map(|_| panel_maps(&seen.readout, maps)).unwrap_or_default();
    for name in overlay.into_iter().chain(panel).filter(|name| !matches!(name, MapName::Channel(_))) {
        let limits = Scale::Run.limits(&seen.readout.map(&name, &seen.geometry)?);
        spans.entry(name).and_modify(|span| *span = span.union(limits)).or_insert(limits);
    }
    Ok(())
}

/// Writes what the job asks for, and says what was seen. `photo` is needed only where something is drawn over it.
pub(super) fn finish(
    job: &Job,
    options: &Options,
    NetworkFacts { labels, maps, .. }: &NetworkFacts,
    photo: Option<&Photo>,
    seen: Seen,
    spans: &Spans,
) -> Result<PictureReport> {
    let start = Instant::now();
    let Seen { geometry, readout, mut timings } = seen;
    let top = report::top(&readout, labels);
    let mut outputs = Vec::new();
    for (name, path) in maps.iter().zip(&job.maps) {
        write_whole(path, &npy(&readout, name, &geometry, path)?)?;
        outputs.push(path.clone());
    }
    if let Some(photo) = photo {
        if let (Some(to), Some(name)) = (&job.overlay, maps.first()) {
            let picture = match name {
                MapName::Channel(stage) => bar_chart(readout.channel(stage)?, photo.size())?.into(),
                name => {
                    let map = readout.map(name, &geometry)?;
                    options.overlay.apply(photo, &map, spans.of(name, &map))?
                }
            };
            outputs.extend(write_picture(to, &picture, options.jpeg_quality)?);
        }
        if let Some(to) = &job.panel {
            let tiles = tiles(&readout, &geometry, maps, spans)?;
            let labels: Vec<_> = top.iter().map(|class| (class.label.clone(), class.probability)).collect();
            let picture = panel(photo, &tiles, &labels, &options.overlay)?.into();
            outputs.extend(write_picture(to, &picture, options.jpeg_quality)?);
        }
    }
    timings.draw_ms = milliseconds(start.elapsed());
    Ok(PictureReport {
        input: job.source.name().display().to_string(),
        size: geometry.picture,
        network_size: geometry.network,
        top,
        maps: report::statistics(&readout, &geometry, maps)?,
        channels: report::channels(&readout),
        outputs: outputs.iter().map(|path: &PathBuf| path.display().to_string()).collect(),
        timings,
    })
}

/// A map or a channel gate as a `.npy` file: float32, unscaled, on its own grid.
fn npy(readout: &Readout, name: &MapName, geometry: &Geometry, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let written = match name {
        MapName::Channel(stage) => readout.channel(stage)?.write_npy(&mut bytes),
        name => readout.map(name, geometry)?.values().write_npy(&mut bytes),
    };
    written.map_err(|error| Error::io(path)(std::io::Error::other(error)))?;
    Ok(bytes)
}

/// The maps of a panel: the one asked for, `fused`, every spatial gate, every head.
fn panel_maps(readout: &Readout, maps: &[MapName]) -> Vec<MapName> {
    let asked = maps.first().filter(|name| !matches!(name, MapName::Channel(_)));
    let shown =
        |name: &MapName| matches!(name, MapName::Fused | MapName::Spatial(_) | MapName::Patch { head: Some(_), .. });
    let held = readout.map_names().into_iter().filter(|name| shown(name) && Some(name) != asked);
    asked.into_iter().cloned().chain(held).collect()
}

fn tiles(readout: &Readout, geometry: &Geometry, maps: &[MapName], spans: &Spans) -> Result<Vec<PanelTile>> {
    let maps = panel_maps(readout, maps).into_iter().map(|name| {
        let map = readout.map(&name, geometry)?;
        let limits = spans.of(&name, &map);
        Ok(PanelTile { title: name.to_string(), content: TileContent::Map { map, limits } })
    });
    let gates = readout.gates.iter().map(|gate| {
        let title = MapName::Channel(gate.stage.clone()).to_string();
        Ok(PanelTile { title, content: TileContent::Channels(gate.channel.clone()) })
    });
    maps.chain(gates).collect()
}

/// Writes a picture; returns its path if it has one.
fn write_picture(to: &Destination, picture: &DynamicImage, jpeg_quality: u8) -> Result<Option<PathBuf>> {
    let path = match &to.target {
        Target::File(path) => path.as_path(),
        Target::Stdout => Path::new("-"),
    };
    let bytes = encode(picture, to.format, jpeg_quality)
        .map_err(|error| Error::photo(path, format!("cannot be written as {}: {error}", to.format)))?;
    match &to.target {
        Target::File(path) => write_whole(path, &bytes).map(|()| Some(path.clone())),
        Target::Stdout => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(&bytes).and_then(|()| stdout.flush()).map_err(Error::io("standard output"))?;
            Ok(None)
        }
    }
}
