//! `cbam-eval`: how right a network is, how well its maps point, and whether its decision rests on what they name.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
#[path = "../common/mod.rs"]
mod common;
mod console;
mod files;
mod gallery;
mod html;
mod prepare;
mod randomise;
mod record;
mod report;
mod run;
mod study;
mod subject;
mod summary;
mod svg;
mod tables;

use anyhow::Result;
use cbam::eval::PictureSource;
use cbam::pipeline::write_whole;

use common::status;

use args::{Cli, Measure, Rows};
use report::Report;
use run::Outcome;
use study::Study;
use subject::Subject;
use summary::Set;

fn main() {
    common::end(run(&common::arguments::<Cli>(|| common::end_at_once())));
}

/// The exit status.
fn run(cli: &Cli) -> Result<u8> {
    cli.claims()?;
    let device = cbam::sys::resolve(cli.device)?;
    cbam::sys::set_all_threads(cli.threads)?;
    let source = cli.source()?;
    let network = cli.network(device)?.for_inference();
    let rows = cli.rows(&source, &network)?;
    let mut study = prepare::study(cli, &network, &source, &rows.rows)?;
    let against = against(cli, &study)?;
    let outcome = run::pictures(&mut study, &source, &rows.rows, cli.quiet).map_err(anyhow::Error::from);
    let report = outcome.and_then(|outcome| conclude(cli, &study, &source, &rows, outcome, against));
    Ok(tell(cli, report).unwrap_or_else(common::failed))
}

/// Writes the JSON, whether or not anybody reads what is printed then; the exit status.
fn tell(cli: &Cli, report: Result<Report>) -> Result<u8> {
    let report = report?;
    if let Some(path) = &cli.json {
        write_whole(path, format!("{}\n", serde_json::to_string_pretty(&report)?).as_bytes())?;
    }
    common::print(&report.to_string())?;
    if report.missing.is_empty() {
        return Ok(status::DONE);
    }
    common::say(format_args!("{} pictures could not be scored", report.missing.len()));
    Ok(status::FAILED)
}

/// The place of the map that the others are compared with.
fn against(cli: &Cli, study: &Study<'_>) -> Result<usize> {
    let Some(name) = &cli.against else {
        return Ok(study.subjects.iter().position(|subject| !subject.is_baseline()).unwrap_or(0));
    };
    let found = study.subjects.iter().position(|subject| *subject == Subject::Map(name.clone()));
    found.ok_or_else(|| anyhow::anyhow!("--against: {name} is none of the maps that are measured; add it to --maps"))
}

/// From what was measured to the figures, and to the files of the report.
fn conclude(
    cli: &Cli,
    study: &Study<'_>,
    source: &PictureSource,
    rows: &Rows,
    outcome: Outcome,
    against: usize,
) -> Result<Report> {
    let Outcome { measured, missing, missing_rows } = outcome;
    let config = study.network.config();
    let set = Set { rows: &rows.rows, subjects: &study.subjects, measured: &measured, missing: &missing_rows };
    let time = if cli.measures(Measure::Time) { run::clock(study, source, &rows.rows, &measured)? } else { Vec::new() };
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        arch: config.arch,
        attention: !config.attention.is_empty(),
        weights: match &cli.weights {
            Some(path) => path.display().to_string(),
            None if cli.plain => "the bundled backbone alone".to_owned(),
            None => "bundled".to_owned(),
        },
        short_side: study.preprocess.short_side,
        device: format!("{:?}", study.network.device()),
        images: cli.images.display().to_string(),
        truth: rows.format.clone(),
        seed: cli.seed,
        n: measured.len(),
        all: set.all(),
        small: set.small(),
        groups: set.groups(|row| study.subset.contains(&row)),
        faithfulness: set.faithfulness(),
        sanity: set.sanity(),
        clutter: set.clutter(),
        time,
        differences: if cli.report.is_some() || cli.against.is_some() {
            set.differences(against, cli.seed)?
        } else {
            Vec::new()
        },
        notes: tables::notes(study, rows),
        missing,
    };
    if let Some(folder) = &cli.report {
        let json = format!("{}\n", serde_json::to_string_pretty(&report)?);
        write_whole(&folder.join("report.json"), json.as_bytes())?;
        files::scores(&folder.join("scores.csv"), &set, &report.all)?;
        files::summary(&folder.join("summary.csv"), &report)?;
        let galleries = gallery::galleries(study, source, &set, &report.all)?;
        write_whole(&folder.join("report.html"), html::page(&report, &galleries)?.as_bytes())?;
    }
    Ok(report)
}
