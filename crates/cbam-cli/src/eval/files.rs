//! The tables as CSV: one row for each picture and map, and one for each figure of the set.

use std::path::Path;

use cbam_core::Result;
use cbam_core::eval::thresholds;
use cbam_core::files::write_whole;
use cbam_core::study::{Faithful, Figures, Located, Measured, Seen, Set};
use cbam_core::text::printable;

use crate::eval::report::Report;

/// A field that is empty where there is nothing.
fn field<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// Text in a cell: what controls a terminal is escaped, and a spreadsheet takes nothing for a formula.
fn cell(text: &str) -> String {
    let text = printable(text);
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.into_owned() }
}

/// A picture as it was looked at: clean, or in clutter.
struct View<'a> {
    name: &'a str,
    seen: &'a Seen,
    /// For each subject.
    located: Vec<Option<&'a Located>>,
}

fn views(measured: &Measured) -> impl Iterator<Item = View<'_>> {
    let located = measured.maps.iter().map(|map| map.located.as_ref()).collect();
    let clean = View { name: "clean", seen: &measured.seen, located };
    let cluttered = measured.clutter.iter().map(|view| {
        let located = view.located.iter().map(Option::as_ref).collect();
        View { name: &view.kind, seen: &view.seen, located }
    });
    std::iter::once(clean).chain(cluttered)
}

/// Writes what was measured on each picture; IoU stands at the best threshold of the set.
pub(crate) fn scores(path: &Path, set: &Set<'_>, all: &Figures) -> Result<()> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| cbam_core::Error::io(path)(error.into());
    let header = [
        "image",
        "view",
        "map",
        "class",
        "confidence",
        "true_class_rank",
        "object_share",
        "pointing",
        "energy",
        "iou",
        "box_iou",
        "insertion",
        "deletion",
        "drop",
        "increase",
        "road",
        "seconds",
    ];
    csv.write_record(header).map_err(failed)?;
    let steps = thresholds();
    let place = |t: f64| steps.iter().position(|step| *step == t).unwrap_or(0);
    for measured in set.measured {
        let image = &set.rows[measured.row].image;
        for View { name: view, seen, located } in views(measured) {
            for (i, subject) in set.subjects.iter().enumerate() {
                let clean = view == "clean";
                let (located, map) = (located[i], &measured.maps[i]);
                let faithful = map.faithful.as_ref().filter(|_| clean);
                if located.is_none() && faithful.is_none() {
                    continue;
                }
                let best = all
                    .maps
                    .get(i)
                    .map_or((0, 0), |(_, map)| (place(map.summary.threshold), place(map.boxes[1].threshold)));
                csv.write_record([
                    cell(image),
                    cell(view),
                    cell(&subject.to_string()),
                    seen.class.to_string(),
                    seen.confidence.to_string(),
                    field(seen.truth.map(|(rank, _)| rank)),
                    field(seen.share),
                    field(located.map(|l| u8::from(l.pointing))),
                    field(located.map(|l| l.energy)),
                    field(located.and_then(|l| l.iou.get(best.0))),
                    field(located.and_then(|l| l.boxes.get(best.1))),
                    field(faithful.map(Faithful::insertion_auc)),
                    field(faithful.map(Faithful::deletion_auc)),
                    field(faithful.map(|f| f.drop)),
                    field(faithful.map(|f| u8::from(f.increase))),
                    field(faithful.map(|f| f.road)),
                    field(map.seconds.filter(|_| clean)),
                ])
                .map_err(failed)?;
            }
        }
    }
    write_whole(path, &csv.into_inner().map_err(|error| failed(error.into_error().into()))?)
}

/// Writes the figures of the set, one a row.
pub(crate) fn summary(path: &Path, report: &Report) -> Result<()> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| cbam_core::Error::io(path)(error.into());
    csv.write_record(["set", "map", "figure", "n", "value", "standard_error", "low", "high"]).map_err(failed)?;
    let mut row =
        |set: &str, map: &str, figure: &str, n: usize, value: f64, error: Option<f64>, ends: Option<[f64; 2]>| {
            let [low, high] = ends.map_or([None; 2], |ends| ends.map(Some));
            let fields = [field(Some(n)), field(Some(value)), field(error), field(low), field(high)];
            let texts = [set, map, figure].map(cell);
            csv.write_record(texts.iter().chain(&fields)).map_err(failed)
        };
    for group in [&report.all, &report.small].into_iter().chain(&report.groups).chain(&report.clutter) {
        let accuracy = &group.accuracy;
        if accuracy.n > 0 {
            for (name, share) in [("top-1", accuracy.top1), ("top-5", accuracy.top5)] {
                row(&group.name, "", name, accuracy.n as usize, share.value, None, Some([share.low, share.high]))?;
            }
        }
        if let Some(calibration) = &group.calibration {
            row(&group.name, "", "ECE", calibration.n as usize, calibration.ece, None, None)?;
            row(&group.name, "", "NLL", calibration.n as usize, calibration.nll, None, None)?;
        }
        for (map, figures) in group.maps.iter().filter(|(_, figures)| figures.summary.n > 0) {
            let summary = &figures.summary;
            let point = map == "centre point";
            let estimates = [("pointing", summary.pointing), ("energy", summary.energy), ("IoU", summary.iou)];
            for (figure, estimate) in estimates.into_iter().take(if point { 1 } else { 3 }) {
                row(&group.name, map, figure, summary.n as usize, estimate.value, Some(estimate.standard_error), None)?;
            }
            for boxes in figures.boxes.iter().filter(|_| !point) {
                let (name, share) = (format!("MaxBoxAcc {}", boxes.iou), boxes.share);
                row(&group.name, map, &name, boxes.n as usize, share.value, None, Some([share.low, share.high]))?;
            }
        }
    }
    for figures in &report.faithfulness {
        let estimates = [
            ("insertion", figures.insertion),
            ("deletion", figures.deletion),
            ("average drop", figures.average_drop),
            ("increase", figures.increase),
            ("ROAD", figures.road),
        ];
        for (figure, estimate) in estimates {
            row("subset", &figures.map, figure, figures.n, estimate.value, Some(estimate.standard_error), None)?;
        }
    }
    for figures in &report.sanity {
        for (level, estimate) in cbam_core::network::RandomLevel::ALL.iter().zip(&figures.correlation) {
            let name = format!("rank correlation, randomised: {level}");
            row("sanity", &figures.map, &name, figures.n, estimate.value, Some(estimate.standard_error), None)?;
        }
    }
    for time in &report.time {
        row("time", &time.map, "median seconds", time.n, time.median_seconds, None, None)?;
    }
    for found in &report.differences {
        let (name, difference) = (format!("{} minus {}", found.figure, found.against), &found.difference);
        row(
            "difference",
            &found.map,
            &name,
            difference.n,
            difference.mean,
            None,
            Some([difference.low, difference.high]),
        )?;
    }
    write_whole(path, &csv.into_inner().map_err(|error| failed(error.into_error().into()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_controls_a_terminal() {
        for (text, expected) in [
            ("a/b-c.jpg", "a/b-c.jpg"),
            ("=1+1.jpg", "'=1+1.jpg"),
            ("+a", "'+a"),
            ("-a", "'-a"),
            ("@a", "'@a"),
            ("\ta", "\\ta"),
            ("\r=a", "\\r=a"),
            ("\u{1b}[31m\u{202e}", "\\u{1b}[31m\\u{202e}"),
        ] {
            assert_eq!(cell(text), expected);
        }
    }
}
