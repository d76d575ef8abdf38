//! The page of a film: it plays, with the maps over it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use cbam_core::maps::{MapName, ScaleLimits};
use cbam_core::render::page::{FilmPageWriter, PageFilm, PageFilmMap, PageFrame, PageHead, PageSubject};
use cbam_core::text::printable_path;
use cbam_core::{Error, Result};

use super::draw::{Painter, draw};
use super::encode::Encoder;
use super::form::{Codec, Container, Form, Purpose, page_size};
use super::look::Study;
use super::steady::Spans;
use crate::common::page;

/// A page of more bytes than this is slow in browsers.
const LARGE: u64 = 300_000_000;

/// Writes the page; what is to be said of it.
pub(super) fn write(
    study: &mut Study<'_>,
    path: &Path,
    spans: &Spans,
    done: &[String],
    count: &dyn Fn(),
) -> Result<Vec<String>> {
    let film = study.film;
    let last = study.end.map(|end| end.saturating_sub(study.last));
    let form = Form {
        container: Container::Webm,
        codec: Codec::Vp9,
        size: film.size,
        words: "",
        purpose: Purpose::Page,
        last,
    };
    // The page holds it in the end.
    let folder = tempfile::tempdir().map_err(Error::io(std::env::temp_dir()))?;
    let (encoder, mut notes) = Encoder::create(film, &folder.path().join("film.webm"), &form)?;
    let painter = Painter::bare(study);
    let mut encoder = draw(study, encoder, &painter, spans, count)?;
    let video = encoder.end()?.ok_or_else(|| Error::internal("a film of a page without a file"))?;

    let extremes = extremes(study)?;
    let sound = film.others.iter().any(|stream| stream.kind == "audio");
    let mut writer =
        FilmPageWriter::create(path, head(study), subject(study), of(study, spans, &extremes, done, sound))?;
    for index in 0..study.frames {
        let record = study.record(index)?;
        let (time, cut, top) = (record.time, record.cut, record.top().to_vec());
        let maps = study.maps_of(&record.drawn())?;
        writer.frame(PageFrame { time, cut, top: &top, maps: &maps })?;
        if study.cancelled() {
            return Err(Error::Interrupted);
        }
    }
    writer.finish(&mut File::open(video.place()).map_err(Error::io(video.place()))?)?;
    let bytes = std::fs::metadata(path).map(|of| of.len()).unwrap_or_default(); // what is no file has none
    if bytes > LARGE {
        let place = printable_path(path);
        notes.push(format!(
            "{place}: {} MB are much for a browser: a part of the film makes a smaller page",
            bytes / 1_000_000
        ));
    }
    Ok(notes)
}

/// What the page says once.
fn head(study: &Study<'_>) -> PageHead {
    let (words, network) = (study.request.words.clone(), study.options.network.clone());
    let mut head = page::head("cbam-run", words, network.unwrap_or_default(), study.options.overlay.clone());
    if study.request.smooth != super::SMOOTH {
        head.command.extend(["--smooth".to_owned(), study.request.smooth.to_string()]);
    }
    if study.request.every > 1 {
        head.command.extend(["--every".to_owned(), study.request.every.to_string()]);
    }
    head
}

fn subject(study: &Study<'_>) -> Arc<PageSubject> {
    let asked = study.options.maps.len().max(1);
    Arc::new(PageSubject {
        maps: study.maps.iter().take(asked).cloned().collect(),
        labels: study.labels.clone(),
        outputs: study.outputs,
        class: study.class,
        scale: study.options.scale,
    })
}

fn of(study: &Study<'_>, spans: &Spans, extremes: &[ScaleLimits], done: &[String], sound: bool) -> PageFilm {
    let film = study.film;
    let of_class = study.maps.iter().any(MapName::needs_class);
    let geometry = study
        .forms
        .first()
        .map_or_else(|| cbam_core::photo::Geometry::whole(film.size, film.size), |form| form.geometry);
    let maps = study.maps.iter().zip(&study.forms).zip(extremes).enumerate();
    let map = |(index, ((name, form), values)): (usize, ((&MapName, &super::look::Form), &ScaleLimits))| PageFilmMap {
        name: name.clone(),
        range: form.range,
        grid: form.dim,
        cell: form.cell,
        values: *values,
        span: spans.all(index),
    };
    PageFilm {
        name: film.path.display().to_string(),
        geometry,
        maps: maps.map(map).collect(),
        kind: "video/webm",
        video_size: page_size(film.size),
        sound,
        class: study.class.filter(|_| of_class),
        likeliest: study.options.class.is_none(),
        damaged: study.broken.clone(),
        notes: film.notes.iter().chain(&study.notes).cloned().collect(),
        done: done.to_vec(),
    }
}

/// The least and the greatest value of each drawn map in all frames.
fn extremes(study: &mut Study<'_>) -> Result<Vec<ScaleLimits>> {
    let none = ScaleLimits { low: f32::INFINITY, high: f32::NEG_INFINITY };
    let mut extremes = vec![none; study.forms.len()];
    for index in 0..study.frames {
        let values = study.record(index)?.drawn();
        for (all, map) in extremes.iter_mut().zip(study.maps_of(&values)?) {
            let own = |values: ScaleLimits, value: &f32| ScaleLimits {
                low: values.low.min(*value),
                high: values.high.max(*value),
            };
            *all = all.union(map.values().iter().fold(none, own));
        }
    }
    Ok(extremes)
}
