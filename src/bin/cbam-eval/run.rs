//! The pictures, one after the other; then the clock.

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use cbam::eval::{FaithfulnessOptions, PictureSource};
use cbam::explain::Method;
use cbam::maps::MapName;
use cbam::photo::{Preprocess, decode};
use cbam::{Error, Result};

use crate::args::Row;
use crate::console::{Console, KINDS};
use crate::record::Measured;
use crate::report::{Missing, TimeFigures};
use crate::study::{Fault, Study};
use crate::subject::{Look, Subject, classify, explanation};

/// Pictures that the time of a map is taken from.
pub(crate) const TIMED: usize = 20;

/// What came of the pictures.
#[derive(Default)]
pub(crate) struct Outcome {
    /// In the order of the rows.
    pub(crate) measured: Vec<Measured>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) missing_rows: Vec<usize>,
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
    let runs = expected_runs(study, left);
    if runs > 500.0 {
        let seconds = one_run(study)?;
        let about = crate::console::duration(runs * seconds);
        console.note(&format!(
            "roughly {about}, if nothing is in the cache: {runs:.0} runs of the network at {:.0} ms",
            1000.0 * seconds
        ));
    }
    // One of each kind first, so that it is soon known how long all takes.
    let first: HashSet<usize> = (0..KINDS).filter_map(|kind| kinds.iter().position(|of| *of == kind)).collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row| (!first.contains(row), *row));
    let names: Vec<&str> = order.iter().map(|row| rows[*row].image.as_str()).collect();
    let mut outcome = Outcome::default();
    source.visit(&names, study.limits.max_bytes, |place, bytes| {
        let index = order[place];
        let (start, fresh) = (Instant::now(), study.fresh);
        let measured = bytes.map_err(Fault::Picture).and_then(|bytes| study.measure(index, &rows[index], &bytes));
        match measured {
            Ok(measured) => outcome.measured.push(measured),
            Err(Fault::Run(error)) => return Err(error),
            Err(Fault::Picture(error)) => {
                let name = &rows[index].image;
                let text = error.to_string();
                let text = if text.contains(name.as_str()) { text } else { format!("{name}: {text}") };
                console.say(&text);
                outcome.missing.push(Missing { image: name.clone(), reason: text });
                outcome.missing_rows.push(index);
            }
        }
        console.done(kinds[index], start.elapsed(), study.fresh > fresh);
        Ok(())
    })?;
    let took = console.finish();
    console.note(&format!("measured in {}", crate::console::duration(took.as_secs_f64())));
    outcome.measured.sort_by_key(|measured| measured.row);
    Ok(outcome)
}

/// About how many times the network runs on a picture.
fn expected_runs(study: &Study<'_>, left: [u32; KINDS]) -> f64 {
    let stage = |stage: Option<&str>| {
        let stages = study.network.backbone().stages();
        let channels = stages.iter().find(|of| Some(of.name.as_str()) == stage).map(|of| of.channels);
        channels.unwrap_or_else(|| study.network.backbone().head_channels()) as f64
    };
    let side = f64::from(study.preprocess.short_side);
    let costs = study.subjects.iter().map(|subject| match subject {
        Subject::Map(MapName::Explain { method, stage: of }) => match method {
            Method::ScoreCam => stage(of.as_deref()),
            Method::AblationCam => 0.2 * stage(of.as_deref()), // from the stage on
            Method::Occlusion => 1.4 * (side / study.explain.stride as f64).powi(2),
            Method::Rise => study.explain.masks as f64,
            _ => 2.0,
        },
        _ => 0.1,
    });
    let (cheap, costly): (Vec<f64>, Vec<f64>) = costs.partition(|cost| *cost < 3.0);
    let views = if study.clutter.is_some() { 3.0 } else { 1.0 };
    let every = views * (1.0 + cheap.iter().sum::<f64>());
    let curves = study.faithfulness.as_ref().map_or(0, FaithfulnessOptions::pictures) as f64;
    let subset = costly.iter().sum::<f64>() + curves * (study.subjects.len() - 1) as f64;
    let sane = study.randomised.len() as f64 * (1.0 + cheap.iter().sum::<f64>());
    let [plain, special, checked] = left.map(f64::from);
    (plain + special + checked) * every + (special + checked) * subset + checked * sane
}

/// The seconds of one run of the network, of several at a time.
fn one_run(study: &Study<'_>) -> Result<f64> {
    let side = study.preprocess.short_side.div_ceil(32) as usize * 32;
    let batch = ndarray::Array4::zeros((4, 3, side, side * 4 / 3 / 32 * 32));
    let mut seconds = f64::INFINITY;
    for _ in 0..2 {
        let start = Instant::now();
        classify(study.network, &batch.view())?;
        seconds = seconds.min(start.elapsed().as_secs_f64() / 4.0);
    }
    Ok(seconds)
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
        let photo = decode(Path::new(names[place]), &bytes?, &study.limits)?;
        let class = subset[place].seen.class;
        for turn in 0..if warm { 1 } else { 2 } {
            for (i, subject) in study.subjects.iter().enumerate() {
                if subject.is_costly() || subject.is_baseline() {
                    continue;
                }
                let took = time(study, &study.preprocess, &photo, subject, class)?;
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

fn time(
    study: &Study<'_>,
    preprocess: &Preprocess,
    photo: &cbam::photo::Photo,
    subject: &Subject,
    class: usize,
) -> Result<f64> {
    let prepared = preprocess.apply(photo)?;
    let start = Instant::now();
    match subject {
        Subject::Map(MapName::Explain { method, stage }) => {
            let pixels = prepared.pixels.view();
            explanation(study.network, pixels, *method, stage.as_deref(), class, &study.explain)?;
        }
        Subject::Map(_) => {
            Look::at(study.network, prepared)?.map(study.network, subject, class, &study.explain)?;
        }
        _ => return Err(Error::argument(subject, "takes no time")),
    }
    Ok(start.elapsed().as_secs_f64())
}
