//! The report's sections above its pictures, as HTML.

use cbam_core::eval::{Bin, CalibrationSummary};
use cbam_core::study::FaithFigures;
use cbam_core::text::printable;
use minijinja::{AutoEscape, Environment, Value, context, escape_formatter};
use serde::Serialize;

use crate::eval::report::Report;
use crate::eval::summary::Summary;
use crate::eval::{svg, tables};

const SECTIONS: &str = include_str!("report.html");

/// A chart whose values can be read off.
#[derive(Debug, Serialize)]
struct Chart {
    svg: String,
    /// The curves as JSON, for the page's program.
    data: String,
    /// Charts whose curves are hidden together; empty for none.
    group: &'static str,
    title: &'static str,
    caption: String,
}

/// The values of a chart's curves.
#[derive(Debug, Serialize)]
struct Plotted<'a> {
    /// What each place across stands for.
    x: Vec<String>,
    /// Where it is, as a part of the width, if they are not equally far apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Vec<f64>>,
    /// The highest value that is shown.
    top: f64,
    curves: Vec<Curve<'a>>,
}

#[derive(Debug, Serialize)]
struct Curve<'a> {
    name: &'a str,
    values: &'a [f64],
}

/// The sections; `date` is when it is written, `left_out` says which pictures are not below them.
pub(crate) fn fragment(report: &Report, date: &str, left_out: Option<&str>) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    // What turns the direction of reading in a name would turn it on the page too.
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => escape_formatter(out, state, &Value::from(printable(text))),
        _ => escape_formatter(out, state, value),
    });
    environment.add_template("report", SECTIONS)?;
    let entry = |(index, figures): (usize, &FaithFigures)| context! { name => figures.map, class => svg::style(index) };
    let legend: Vec<_> = report.faithfulness.iter().enumerate().map(entry).collect();
    let charts = if report.faithfulness.is_empty() { Vec::new() } else { charts(report)? };
    let reliability = report.all.calibration.as_ref().map(reliability).transpose()?;
    let [localisation, clutter, faithfulness, sanity, differences] = tables::tables(report);
    let notes: Vec<_> = report.notes.iter().map(String::as_str).chain(left_out).collect();
    let sections = environment.get_template("report")?.render(context! {
        summary => Summary::new(report, date), localisation, clutter, faithfulness, sanity, differences, charts, legend,
        reliability, notes, stopped => report.stopped, n => report.n, errors => report.missing.len(),
    })?;
    Ok(sections)
}

/// One of the curves of a map.
type CurveOf = fn(&FaithFigures) -> &Vec<f64>;

/// The curves of faithfulness.
fn charts(report: &Report) -> anyhow::Result<Vec<Chart>> {
    let n = report.faithfulness.first().map_or(0, |figures| figures.n);
    let parts: [(&str, &str, &str, CurveOf); 2] = [
        ("Insertion", "share of pixels made sharp", "high", |figures| &figures.insertion_curve),
        ("Deletion", "share of pixels made grey", "low", |figures| &figures.deletion_curve),
    ];
    let chart = |(title, across, good, values): (&'static str, &str, &str, CurveOf)| {
        let curves: Vec<_> =
            report.faithfulness.iter().map(|figures| (figures.map.clone(), values(figures).clone())).collect();
        let steps = curves.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let share = |step: usize| format!("{:.0} %", 100.0 * step as f64 / steps.saturating_sub(1).max(1) as f64);
        let named = curves.iter().map(|(name, values)| Curve { name, values });
        let data =
            Plotted { x: (0..steps).map(share).collect(), at: None, top: svg::top(&curves), curves: named.collect() };
        let (svg, data) = (svg::curves(title, across, &curves), serde_json::to_string(&data)?);
        let caption = format!("{good} is good; mean over n = {n} pictures");
        Ok(Chart { svg, data, group: "faithfulness", title, caption })
    };
    parts.into_iter().map(chart).collect()
}

/// How far confidence can be believed.
fn reliability(calibration: &CalibrationSummary) -> anyhow::Result<Chart> {
    let n = calibration.n.max(1) as f64;
    let dot = |bin: &Bin| {
        let count = bin.n as f64;
        (bin.confidence / count, bin.right as f64 / count, count / n)
    };
    let dots: Vec<_> = calibration.bins.iter().filter(|bin| bin.n > 0).map(dot).collect();
    let (at, accuracy): (Vec<_>, Vec<_>) =
        dots.iter().map(|(confidence, accuracy, _)| (*confidence, *accuracy)).unzip();
    let x = dots.iter().map(|(confidence, _, share)| format!("{confidence:.2} ({:.0} % of all)", 100.0 * share));
    let curves = vec![Curve { name: "accuracy", values: &accuracy }];
    let data = serde_json::to_string(&Plotted { x: x.collect(), at: Some(at), top: 1.0, curves })?;
    let caption = format!("over confidence, n = {}", calibration.n);
    Ok(Chart { svg: svg::reliability(&dots), data, group: "", title: "Accuracy", caption })
}
