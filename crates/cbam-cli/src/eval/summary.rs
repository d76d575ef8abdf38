//! What stands on top of a report: the main figures, and what they are of.

use cbam_core::eval::{Estimate, Proportion};
use serde::Serialize;

use crate::common::words::quoted;
use crate::eval::report::Report;

/// The top of a report.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    figures: Vec<Figure>,
    facts: Vec<Fact>,
    /// The words of the command line that measured, as a shell reads them.
    command: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Figure {
    words: &'static str,
    value: String,
    /// How sure it is.
    error: String,
    /// What it is of.
    note: String,
}

#[derive(Debug, Serialize)]
struct Fact {
    name: &'static str,
    value: String,
}

impl Summary {
    pub(crate) fn new(report: &Report, date: &str) -> Self {
        let words: Vec<String> = std::env::args().collect();
        let program = words.first().map(|path| path.rsplit(['/', '\\']).next().unwrap_or(path));
        let command = program.into_iter().chain(words.iter().skip(1).map(String::as_str)).map(quoted);
        Self { figures: figures(report), facts: facts(report, date), command: command.collect() }
    }
}

/// How right the network is, and how well its first map does.
fn figures(report: &Report) -> Vec<Figure> {
    let accuracy = &report.all.accuracy;
    let right = (accuracy.n > 0).then(|| Figure {
        words: "top-1",
        value: percent(accuracy.top1.value),
        error: interval(&accuracy.top1),
        note: format!("n = {}", accuracy.n),
    });
    let first = report.all.maps.iter().find(|(name, map)| !name.starts_with("centre ") && map.summary.n > 0);
    let located = first.into_iter().flat_map(|(name, map)| {
        let summary = &map.summary;
        let note = format!("{name}, n = {}", summary.n);
        let parts = [("pointing", &summary.pointing), ("energy", &summary.energy), ("IoU", &summary.iou)];
        parts.map(|(words, estimate)| of_map(words, estimate, note.clone()))
    });
    let faithful = report.faithfulness.iter().find(|figures| !figures.map.starts_with("centre "));
    let faithful = faithful.into_iter().flat_map(|figures| {
        let note = format!("{}, n = {}", figures.map, figures.n);
        let parts = [("insertion", &figures.insertion), ("deletion", &figures.deletion)];
        parts.map(|(words, estimate)| of_map(words, estimate, note.clone()))
    });
    right.into_iter().chain(located).chain(faithful).collect()
}

fn of_map(words: &'static str, estimate: &Estimate, note: String) -> Figure {
    let Estimate { value, standard_error, .. } = *estimate;
    Figure { words, value: percent(value), error: format!("± {}", percent(standard_error)), note }
}

/// What is measured, on what, with what.
fn facts(report: &Report, date: &str) -> Vec<Fact> {
    let attention = match report.attention {
        Some(true) => ", with attention",
        Some(false) => ", without attention",
        None => "",
    };
    let measured = match report.missing.len() {
        0 => format!("{} of {}", report.n, report.images),
        missing => format!("{} of {}; {missing} could not be measured", report.n, report.images),
    };
    let facts = [
        ("network", format!("{}{attention}", report.arch)),
        ("weights", report.weights.clone()),
        ("pictures", measured),
        ("truth", report.truth.clone().unwrap_or_else(|| "none".to_owned())),
        ("short side", format!("{} pixels", report.short_side)),
        ("seed", report.seed.to_string()),
        ("device", report.device.clone()),
        ("version", format!("cbam-eval {}", report.version)),
        ("date", date.replace('T', " ").replace('Z', " UTC")),
    ];
    facts.into_iter().map(|(name, value)| Fact { name, value }).collect()
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

fn interval(share: &Proportion) -> String {
    format!("[{}, {}]", percent(share.low), percent(share.high))
}
