//! The pictures, one after the other; then the clock.

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use cbam_core::eval::PictureSource;
use cbam_core::explain::explain;
use cbam_core::maps::MapName;
use cbam_core::model::Question;
use cbam_core::photo::{Photo, decode};
use cbam_core::text::printable;
use cbam_core::{Error, Result};

use crate::common::doubts::remedies;
use crate::common::duration::duration;
use crate::eval::chosen::Row;
use crate::eval::console::{Console, KINDS};
use crate::eval::record::Measured;
use crate::eval::report::{Missing, TimeFigures};
use crate::eval::study::Study;
use crate::eval::subject::Subject;

/// Pictures that the time of a map is taken from.
pub(crate) const TIMED: usize = 20;

/// What came of the pictures.
#[derive(Default)]
pub(crate) struct Outcome {
    /// In the order of the rows.
    pub(crate) measured: Vec<Measured>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) missing_rows: Vec<usize>,
    /// Why not all pictures were looked at.
    pub(crate) stopped: Option<Error>,
}

/// Measures every picture; those that cannot be measured are named and counted.
pub(crate) fn pictures(study: &mut Study<'_>, source: &PictureSource, rows: &[Row], quiet: bool) -> Result<Outcome> {
    let special = study.faithfulness.is_some() || study.subjects.iter().any(Subject::is_costly);
    let kinds: Vec<usize> = (0..rows.len())
        .map(|row| match (study.sane.contains(&row), special && study.subset.contains(&row)) {
            (true, _) => 2,
            (false, true) => 1,
            (false, false) => 0,
        })
        .collect();
    let mut left = [0; KINDS];
    for kind in &kinds {
        left[*kind] += 1;
    }
    let mut console = Console::new(left, quiet);
    if study.cache.broken() > 0 {
        console.say(&format!("{} broken lines of the cache are left out and measured anew", study.cache.broken()));
    }
    if !study.cache.is_empty() {
        console.note(&format!("{} scores are in the cache", study.cache.len()));
    }
    // One of each kind first, so that it is soon known how long all takes.
    let first: HashSet<usize> = (0..KINDS).filter_map(|kind| kinds.iter().position(|of| *of == kind)).collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row| (!first.contains(row), *row));
    let names: Vec<&str> = order.iter().map(|row| rows[*row].image.as_str()).collect();
    let mut outcome = Outcome::default();
    let visited = source.visit(&names, study.limits.max_bytes, |place, bytes| {
        let index = order[place];
        let (start, fresh) = (Instant::now(), study.fresh);
        match bytes.and_then(|bytes| study.measure(index, &rows[index], &bytes)) {
            Ok(measured) => outcome.measured.push(measured),
            Err(error) => {
                let name = &rows[index].image;
                let text = error.advised(&remedies).to_string();
                let text = if text.contains(&*printable(name)) { text } else { format!("{name}: {text}") };
                console.say(&text);
                outcome.missing.push(Missing { image: name.clone(), reason: text });
                outcome.missing_rows.push(index);
            }
        }
        console.done(kinds[index], start.elapsed(), study.fresh > fresh);
        Ok(())
    });
    let took = console.finish();
    match visited {
        Err(error) if outcome.measured.is_empty() && outcome.missing.is_empty() => return Err(error),
        visited => outcome.stopped = visited.err(),
    }
    console.note(&format!("measured in {}", duration(took.as_secs_f64())));
    outcome.measured.sort_by_key(|measured| measured.row);
    Ok(outcome)
}

/// How long each map takes, from a prepared picture to the map: the median over up to 20 pictures of the subset, one at a
/// time, each map's first run left out. The costly maps were timed when they were made.
pub(crate) fn clock(
    study: &Study<'_>,
    source: &PictureSource,
    rows: &[Row],
    measured: &[Measured],
) -> Result<Vec<TimeFigures>> {
    let subset: Vec<&Measured> = measured.iter().filter(|m| study.subset.contains(&m.row)).take(TIMED).collect();
    let names: Vec<&str> = subset.iter().map(|m| rows[m.row].image.as_str()).collect();
    let mut seconds: Vec<Vec<f64>> = study
        .subjects
        .iter()
        .enumerate()
        .map(|(i, _)| measured.iter().filter_map(|m| m.seconds[i]).take(TIMED).collect())
        .collect();
    let mut warm = false;
    source.visit(&names, study.limits.max_bytes, |place, bytes| {
        // What was measured before and cannot be read any more is not timed.
        let photo = bytes.and_then(|bytes| decode(Path::new(names[place]), &bytes, &study.limits));
        let Ok(photo) = photo else { return Ok(()) };
        let class = subset[place].seen.class;
        for turn in 0..if warm { 1 } else { 2 } {
            for (i, subject) in study.subjects.iter().enumerate() {
                if subject.is_costly() || subject.is_baseline() {
                    continue;
                }
                let took = time(study, &photo, subject, class)?;
                if warm || turn == 1 {
                    seconds[i].push(took);
                }
            }
        }
        warm = true;
        Ok(())
    })?;
    let figures = study.subjects.iter().zip(seconds).filter(|(_, seconds)| !seconds.is_empty());
    let figures = figures.map(|(subject, mut seconds)| {
        seconds.sort_unstable_by(f64::total_cmp);
        let (low, high) = (seconds[(seconds.len() - 1) / 2], seconds[seconds.len() / 2]);
        TimeFigures { map: subject.to_string(), n: seconds.len(), median_seconds: f64::midpoint(low, high) }
    });
    Ok(figures.collect())
}

fn time(study: &Study<'_>, photo: &Photo, subject: &Subject, class: usize) -> Result<f64> {
    let picture = study.preprocess.resample(photo)?;
    let start = Instant::now();
    match subject {
        Subject::Map(MapName::Explain { method, stage }) => {
            let pixels = study.preprocess.normalised(&picture)?;
            let (network, stage) = (study.network.features()?, stage.as_deref());
            explain(network, pixels.view(), *method, stage, class, &study.explain, &mut |_, _| true)?;
        }
        Subject::Map(name) => {
            let looks = study.network.model().look(&[&picture], &Question::about(std::slice::from_ref(name)))?;
            looks.first().map(|look| look.map(name)).transpose()?;
        }
        _ => return Err(Error::argument(subject, "takes no time")),
    }
    Ok(start.elapsed().as_secs_f64())
}
