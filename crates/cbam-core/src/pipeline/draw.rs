//! From what the network said about a picture to its files and its report.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Instant;

use image::{DynamicImage, ImageError};
use ndarray_npy::WriteNpyExt;

use super::report::{self, PictureReport, milliseconds};
use super::state::{NetworkFacts, Seen};
use super::{Destination, Job, Options, Target, TopClass, sheet};
use crate::files::{WholeFile, write_whole};
use crate::maps::{AttentionMap, MapName, Scale, ScaleLimits};
use crate::model::Look;
use crate::photo::{ImageSize, Photo, resize_as_it_is};
use crate::render::page::{Packing, PagePicture, PageSource};
use crate::render::{Painting, bar_chart, compare, panel, write_painting};
use crate::{Error, Result};

/// What a scale of all maps spans, in words.
const WHOLE: &str = "the run";

/// Which values span the colours of a map.
#[derive(Debug)]
pub(super) enum Spans {
    /// Each map's own.
    Each(Scale),
    /// Those of the whole run, by name.
    Run(HashMap<MapName, ScaleLimits>),
}

impl Spans {
    pub(super) fn of(&self, name: &MapName, map: &AttentionMap) -> ScaleLimits {
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
    let shown = if compare { maps.len() } else { job.overlays.len() };
    let overlay = maps.iter().take(if job.overlays.is_empty() { 0 } else { shown }).cloned();
    let panel = job.panel.as_ref().map(|_| sheet::panel_maps(&seen.look.readout, maps)).unwrap_or_default();
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
    NetworkFacts { labels, maps, subject, outputs: outputs_are, .. }: &NetworkFacts,
    photo: Option<Photo>,
    seen: Seen,
    spans: &Spans,
) -> Result<PictureReport> {
    let start = Instant::now();
    let Seen { look, mut timings, damage, mut notes } = seen;
    let Look { readout, geometry, .. } = &look;
    let top = report::top(readout, labels);
    let explained = report::explained(&look, labels);
    let mut outputs = Vec::new();
    for (name, path) in maps.iter().zip(&job.maps) {
        write_whole(path, &npy(&look, name, path)?)?;
        outputs.push(path.clone());
    }
    let kept = maps.iter().filter(|_| job.keep).map(|name| Ok((name.clone(), report::kept(&look, name)?)));
    let kept = kept.collect::<Result<_>>()?;
    let mut page = None;
    let footer = sheet::footer(job.source.name(), options.network.as_deref(), geometry.network);
    if let Some(photo) = photo {
        page = match job.page {
            Some(detail) => {
                let name = job.source.name().display().to_string();
                let (damaged, notes) = (damage.clone(), notes.clone());
                let (photo, look, measured, packing) = (&photo, &look, None, Packing::Small);
                let source = PageSource { name, photo, look, maps, detail, measured, packing, damaged, notes };
                Some(PagePicture::new(&source, subject.clone())?)
            }
            None => None,
        };
        let panel = match &job.panel {
            Some(to) => {
                let picture = panel_of(&photo, (&look, maps, job.source.name()), labels, options, spans)?;
                write_picture(to, picture.into(), options, true)?
            }
            None => None,
        };
        outputs.extend(overlays(job, options, maps, photo, &look, explained.as_ref(), spans)?);
        outputs.extend(panel);
    }
    let on_panel = top.iter().map(|class| &class.label).chain([&footer]).filter(|_| job.panel.is_some());
    let of_class =
        (options.compare || options.legend) && !job.overlays.is_empty() && maps.iter().any(MapName::needs_class);
    let below = explained.iter().map(|class| &class.label).filter(|_| of_class);
    notes.extend(sheet::unreadable(on_panel.chain(below)));
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
        page,
        kept,
    })
}

/// Draws and writes the overlays of the job; returns their paths.
fn overlays(
    job: &Job,
    options: &Options,
    maps: &[MapName],
    mut photo: Photo,
    look: &Look,
    explained: Option<&TopClass>,
    spans: &Spans,
) -> Result<Vec<PathBuf>> {
    let mut written = Vec::with_capacity(job.overlays.len());
    if let Some(to) = job.overlays.first().filter(|_| options.compare) {
        let tiles: Vec<_> = maps.iter().map(|name| sheet::tile(look, name, spans)).collect::<Result<_>>()?;
        let of_class = explained.filter(|_| maps.iter().any(MapName::needs_class));
        let legend = sheet::comparison_legend(of_class.map(sheet::heading), options.scale, WHOLE);
        let sheet = DynamicImage::from(compare(&photo, &tiles, &legend, &options.overlay)?);
        written.extend(write_picture(to, sheet.into(), options, true)?);
        return Ok(written);
    }
    if !job.overlays.is_empty()
        && let Some(scaled) = at_width(&photo, options)?
    {
        photo = scaled;
    }
    let last = job.overlays.len().saturating_sub(1);
    for (index, (to, name)) in job.overlays.iter().zip(maps).enumerate() {
        let image = if index == last { std::mem::take(&mut photo.image) } else { photo.image.clone() };
        let picture = over(name, image, look, options, explained, spans)?;
        written.extend(write_picture(to, picture, options, !matches!(name, MapName::Channel(_)))?);
    }
    Ok(written)
}

/// A map over its picture, or the bars of a channel gate in its place.
pub(super) fn over(
    name: &MapName,
    image: DynamicImage,
    look: &Look,
    options: &Options,
    explained: Option<&TopClass>,
    spans: &Spans,
) -> Result<Painting> {
    if let MapName::Channel(stage) = name {
        let size = ImageSize::new(image.width(), image.height());
        return Ok(DynamicImage::from(bar_chart(look.readout.channel(stage)?, size)?).into());
    }
    let map = look.map(name)?;
    let limits = spans.of(name, &map);
    let painting = options.overlay.painting(image, &map, limits)?;
    if !options.legend {
        return Ok(painting);
    }
    let note = explained.filter(|_| name.needs_class()).map(sheet::with_probability);
    let legend = sheet::map_legend(name, note, limits, (options.scale, WHOLE));
    Ok(legend.under(painting.into_image(), &options.overlay).into())
}

/// A panel of a picture.
pub(super) fn panel_of(
    photo: &Photo,
    (look, maps, name): (&Look, &[MapName], &Path),
    labels: &[String],
    options: &Options,
    spans: &Spans,
) -> Result<DynamicImage> {
    let (top, explained) = (report::top(&look.readout, labels), report::explained(look, labels));
    let tiles = sheet::tiles(look, maps, explained.as_ref(), spans)?;
    let likeliest = top.iter().filter_map(|class| Some((class.label.clone(), class.probability?)));
    let likeliest: Vec<_> = likeliest.collect();
    let footer = sheet::footer(name, options.network.as_deref(), look.geometry.network);
    Ok(panel(photo, &tiles, &likeliest, &footer, &options.overlay)?.into())
}

/// A picture at the [`width`](Options::width) that is asked for, if one is.
///
/// # Errors
/// [`Error::Argument`] if that would be over the [`limits`](Options::limits).
pub fn at_width(photo: &Photo, options: &Options) -> Result<Option<Photo>> {
    let Some(width) = options.width else { return Ok(None) };
    Ok(Some(Photo::from(resize_as_it_is(&photo.image, of_width(photo.size(), width, options)?)?)))
}

/// The bytes that drawing takes beside a picture: copies of it, and maps of its size.
///
/// # Errors
/// [`Error::Argument`] if the picture would be too large at the width that is asked for.
pub(super) fn needs(photo: &Photo, job: &Job, options: &Options) -> Result<u64> {
    let page = if job.page.is_some() { PagePicture::takes(photo.size()) } else { 0 };
    if job.overlays.is_empty() || options.compare {
        return Ok(page); // sheets are small
    }
    let size = options.width.map_or(Ok(photo.size()), |width| of_width(photo.size(), width, options))?;
    let copy = size.pixels() * u64::from(photo.image.color().bytes_per_pixel());
    let copies = [options.width.is_some(), job.overlays.len() > 1, options.legend].map(u64::from).iter().sum::<u64>();
    let map = if options.overlay.refine || options.overlay.contour.is_some() { size.pixels() * 4 } else { 0 };
    Ok(copies * copy + map + page)
}

/// The size of a picture at another width.
fn of_width(size: ImageSize, width: NonZeroU32, options: &Options) -> Result<ImageSize> {
    let width = width.get();
    let height = (f64::from(size.height) * f64::from(width) / f64::from(size.width)).round().max(1.0);
    if height * f64::from(width) > options.limits.max_pixels as f64 {
        let most = options.limits.max_pixels;
        return Err(Error::argument("width", format!("{width}x{height} pixels would be over the limit of {most}")));
    }
    Ok(ImageSize::new(width, height as u32))
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

/// What a picture's file says of maps that are not drawn as the network's grid has them.
const REFINED: &str =
    "Attention maps drawn along the picture's edges by a guided filter (cbam, refine): finer than the network sees.";

/// Writes a picture, which may be of maps; returns its path if it has one.
pub(super) fn write_picture(
    to: &Destination,
    picture: Painting,
    options: &Options,
    of_maps: bool,
) -> Result<Option<PathBuf>> {
    let words = (options.overlay.refine && of_maps).then_some(REFINED);
    let refused = |path: &Path, error| match error {
        ImageError::IoError(error) => Error::io(path)(error),
        error => Error::photo(path, format!("cannot be written as {}: {error}", to.format)),
    };
    match &to.target {
        Target::File(path) => {
            let mut file = WholeFile::create(path)?;
            write_painting(picture, to.format, options.jpeg_quality, words, &mut file)
                .map_err(|error| refused(path, error))?;
            file.commit().map(|()| Some(path.clone()))
        }
        Target::Stream(stream) => {
            let mut bytes = Vec::new();
            let written = write_painting(picture, to.format, options.jpeg_quality, words, &mut bytes);
            written.map_err(|error| refused(stream.name(), error))?;
            stream.write(&bytes).map(|()| None)
        }
    }
}
