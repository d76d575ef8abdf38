//! The maps over their frames.

use std::num::NonZeroU32;
use std::sync::mpsc::sync_channel;

use cbam_core::maps::{AttentionMap, MapName, MapRange, Scale};
use cbam_core::photo::{ImageSize, Photo};
use cbam_core::pipeline::{Options, at_width, comparison_legend, map_legend};
use cbam_core::render::{PanelTile, TileContent, compare, panel};
use cbam_core::text::printable;
use cbam_core::{Error, Result};
use image::{DynamicImage, RgbImage};
use ndarray::Array2;
use rayon::prelude::*;

use super::Picture;
use super::decode::{Frame, Frames};
use super::encode::Encoder;
use super::look::Study;
use super::steady::Spans;

/// A frame, its maps and its likeliest classes.
pub(super) type Job = (Frame, Vec<AttentionMap>, Vec<(usize, f32)>);

/// How many frames of that size there may be at a time: 64 MB.
pub(super) fn together(size: ImageSize) -> usize {
    const BYTES: u64 = 64 << 20;
    (BYTES / (size.pixels() * 3).max(1)).max(1) as usize
}

/// How frames are drawn: a map over each, several side by side, or all on a panel; or not at all.
pub(super) struct Painter<'a> {
    picture: Option<Picture>,
    options: &'a Options,
    maps: Vec<MapName>,
    /// The names of all classes.
    labels: Vec<String>,
    /// How many of them are shown.
    shown: usize,
    /// What the colours span, in words.
    whole: String,
    footer: String,
    /// The class that maps of a class are of, if all frames have one.
    class: Option<String>,
}

impl<'a> Painter<'a> {
    /// `whole` is what the colours span, in words: "the film".
    pub(super) fn new(study: &Study<'a>, whole: &str) -> Self {
        let options = study.options;
        let of_class = study.drawn().iter().any(MapName::needs_class);
        let class = study.class.filter(|_| of_class).map(|class| study.label(class));
        let name = study.film.path.file_name().unwrap_or_default().to_string_lossy();
        let network = options.network.as_deref().unwrap_or("a network");
        Self {
            picture: Some(study.request.picture),
            options,
            maps: study.drawn().to_vec(),
            labels: study.labels.clone(),
            shown: study.shown,
            whole: whole.to_owned(),
            footer: format!("{}  ·  {network}  ·  cbam {}", printable(&name), env!("CARGO_PKG_VERSION")),
            class,
        }
    }

    /// Leaves frames as they are.
    pub(super) fn bare(study: &Study<'a>) -> Self {
        Self { picture: None, ..Self::new(study, "the film") }
    }

    /// The size of drawn frames.
    pub(super) fn size(&self, film: ImageSize) -> Result<ImageSize> {
        let width = self.options.width.map(NonZeroU32::get);
        let as_it_is = width.is_none() && !self.options.legend && self.picture == Some(Picture::Overlay);
        if self.picture.is_none() || as_it_is {
            return Ok(film);
        }
        // A frame of it is drawn: how sheets are laid out is theirs to say.
        let pixels = RgbImage::new(film.width, film.height);
        let map = AttentionMap::new(Array2::zeros((1, 1)), MapRange::Unit)?;
        let top: Vec<_> = (0..self.shown).map(|class| (class, 0.0)).collect();
        let maps = vec![map; self.maps.len()];
        let spans = Spans::new(Scale::Fixed(0.0, 1.0));
        let (_, drawn) = self.paint(Frame { time: 0, pixels }, &maps, &top, &spans)?;
        Ok(ImageSize::new(drawn.width(), drawn.height()))
    }

    /// A frame, what the network saw in it, and what is drawn of both.
    pub(super) fn paint(
        &self,
        frame: Frame,
        maps: &[AttentionMap],
        top: &[(usize, f32)],
        spans: &Spans,
    ) -> Result<(u64, RgbImage)> {
        let Frame { time, pixels } = frame;
        let Some(picture) = self.picture else { return Ok((time, pixels)) };
        let photo = Photo::from(DynamicImage::from(pixels));
        let overlay = &self.options.overlay;
        let drawn = match picture {
            Picture::Overlay => {
                let map = maps.first().ok_or_else(|| Error::internal("a film without a map"))?;
                let image = match at_width(&photo, self.options)? {
                    Some(scaled) => scaled.image,
                    None => photo.image,
                };
                let limits = spans.of(0, map);
                let drawn = overlay.paint(image, map, limits)?;
                match self.maps.first().filter(|_| self.options.legend) {
                    Some(name) => {
                        let note = self.class.clone().filter(|_| name.needs_class());
                        let legend = map_legend(name, note, limits, (self.options.scale, &self.whole));
                        legend.under(drawn, overlay).into_rgb8()
                    }
                    None => drawn.into_rgb8(),
                }
            }
            Picture::Compare => {
                // How likely the class is changes from frame to frame.
                let heading = self.class.as_ref().map(|class| format!("class: {class}"));
                let legend = comparison_legend(heading, self.options.scale, &self.whole);
                compare(&photo, &self.tiles(maps, spans, None), &legend, overlay)?
            }
            Picture::Panel => {
                let name = |class: usize| self.labels.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
                let top: Vec<_> = top.iter().map(|(class, probability)| (name(*class), *probability)).collect();
                let tiles = self.tiles(maps, spans, self.class.as_deref());
                panel(&photo, &tiles, &top, &self.footer, overlay)?
            }
        };
        Ok((time, drawn))
    }

    /// Several frames at once.
    pub(super) fn paint_all(&self, jobs: Vec<Job>, spans: &Spans) -> Vec<Result<(u64, RgbImage)>> {
        jobs.into_par_iter().map(|(frame, maps, top)| self.paint(frame, &maps, &top, spans)).collect()
    }

    /// Maps with their titles; the first of a class says of which.
    fn tiles(&self, maps: &[AttentionMap], spans: &Spans, class: Option<&str>) -> Vec<PanelTile> {
        let of_class = self.maps.iter().position(MapName::needs_class);
        let tile = |(index, (name, map)): (usize, (&MapName, &AttentionMap))| PanelTile {
            title: match class {
                Some(class) if of_class == Some(index) => format!("{name} for {class}"),
                _ => name.to_string(),
            },
            content: TileContent::Map { map: map.clone(), limits: spans.of(index, map) },
        };
        self.maps.iter().zip(maps).enumerate().map(tile).collect()
    }
}

/// Decodes the film again, draws and writes it, all but its end.
pub(super) fn draw(
    study: &mut Study<'_>,
    encoder: Encoder,
    painter: &Painter<'_>,
    spans: &Spans,
    done: &dyn Fn(),
) -> Result<Encoder> {
    let (film, frames) = (study.film, study.frames);
    let pictures = together(film.size).min(2 * rayon::current_num_threads());
    std::thread::scope(|threads| {
        let (send_frame, decoded) = sync_channel(pictures);
        let reader = threads.spawn(move || {
            let mut source = Frames::open(film)?;
            for _ in 0..frames {
                let Some(frame) = source.next()? else { break };
                if send_frame.send(frame).is_err() {
                    break; // nobody wants more
                }
            }
            Ok(())
        });
        let (send_drawn, drawn) = sync_channel::<(u64, RgbImage)>(pictures);
        let writer = threads.spawn(move || encoder.write_all(&drawn));
        let mut index = 0;
        let mut drawing = || -> Result<()> {
            loop {
                let together: Vec<Frame> = decoded.iter().take(pictures).collect();
                if together.is_empty() {
                    return Ok(());
                }
                let mut jobs = Vec::with_capacity(together.len());
                for frame in together {
                    let record = study.record(index)?;
                    let top = record.top().to_vec();
                    jobs.push((frame, study.maps_of(&record.drawn())?, top));
                    index += 1;
                }
                for painted in painter.paint_all(jobs, spans) {
                    if send_drawn.send(painted?).is_err() {
                        return Ok(()); // it says why
                    }
                    done();
                }
                if study.cancelled() {
                    return Err(Error::Interrupted);
                }
            }
        };
        let outcome = drawing();
        drop(send_drawn);
        drop(decoded);
        let panicked = || Error::internal("a thread of a film panicked");
        let read = reader.join().unwrap_or_else(|_| Err(panicked()));
        let written = writer.join().unwrap_or_else(|_| Err(panicked()));
        outcome?;
        let encoder = written?;
        read?;
        if index < frames {
            return Err(Error::photo(
                study.name(),
                format!("gave {frames} frames first, and {index} then: it changed"),
            ));
        }
        Ok(encoder)
    })
}
