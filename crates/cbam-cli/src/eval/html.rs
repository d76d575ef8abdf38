//! The report as one HTML file that needs no network.

use cbam_core::text::printable;
use minijinja::{AutoEscape, Environment, Value, context, escape_formatter};

use crate::eval::gallery::Gallery;
use crate::eval::report::Report;
use crate::eval::{svg, tables};

const PAGE: &str = include_str!("report.html");

/// The page.
pub(crate) fn page(report: &Report, galleries: &[Gallery]) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    // What turns the direction of reading in a name would turn it on the page too.
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => escape_formatter(out, state, &Value::from(printable(text))),
        _ => escape_formatter(out, state, value),
    });
    environment.add_template("report", PAGE)?;
    let named = |curve: fn(&cbam_core::study::FaithFigures) -> &Vec<f64>| -> Vec<(String, Vec<f64>)> {
        report.faithfulness.iter().map(|figures| (figures.map.clone(), curve(figures).clone())).collect()
    };
    let legend: Vec<_> = report
        .faithfulness
        .iter()
        .enumerate()
        .map(|(index, figures)| {
            let (colour, dashes) = svg::style(index);
            context! { name => figures.map, colour, dashes }
        })
        .collect();
    let curves = (!report.faithfulness.is_empty()).then(|| {
        [
            svg::curves("insertion", "share of pixels made sharp", &named(|figures| &figures.insertion_curve)),
            svg::curves("deletion", "share of pixels made grey", &named(|figures| &figures.deletion_curve)),
        ]
    });
    let reliability = report.all.calibration.as_ref().map(|calibration| {
        let n = calibration.n.max(1) as f64;
        let bins = calibration.bins.iter().filter(|bin| bin.n > 0);
        let dot = |bin: &cbam_core::eval::Bin| {
            let count = bin.n as f64;
            (bin.confidence / count, bin.right as f64 / count, count / n)
        };
        svg::reliability(&bins.map(dot).collect::<Vec<_>>())
    });
    let [localisation, clutter, faithfulness, sanity, differences] = tables::tables(report);
    let page = environment.get_template("report")?.render(context! {
        report, localisation, clutter, faithfulness, sanity, differences, curves, legend, reliability, galleries,
    })?;
    Ok(page)
}
