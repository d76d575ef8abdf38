//! `cbam-eval`: how right a network is, how well its maps point, and whether its decision rests on what they name.

pub(crate) mod args;
mod chosen;
mod claims;
mod console;
mod effect;
mod files;
mod gallery;
mod html;
mod opened;
mod prepare;
mod report;
mod run;
mod summary;
mod svg;
mod tables;

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use cbam_core::classes::read_labels;
use cbam_core::files::write_whole;
use cbam_core::maps::Scale;
use cbam_core::render::Overlay;
use cbam_core::render::page::{PageReport, PageSubject, PageWriter};
use cbam_core::study::{Outcome, Set, Study, Subject};

use crate::backend::{Backend, How};
use crate::common::doubts::remedies;
use crate::common::{self, Called, json, page, status};

use args::{Cli, Measure};
use opened::Opened;
use report::Report;

/// Runs the program, and ends the process.
pub fn main(backend: &dyn Backend, called: &Called) -> ! {
    common::end(run(backend, &common::arguments::<Cli>(backend, called, || common::end_at_once())));
}

/// The exit status.
fn run(backend: &dyn Backend, cli: &Cli) -> Result<u8> {
    cli.check_effects()?;
    let mut claims = cli.claims()?;
    let how = How::on(cli.device, cli.threads);
    let device = backend.ready(&how).map_err(|error| error.advised(&remedies))?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(how.threads.get()).build_global();
    pool.map_err(|error| cbam_core::Error::argument("--threads", error))?;
    let source = cli.source()?;
    let (network, notes) = Opened::open(backend, cli, &how, device)?;
    notes.iter().for_each(common::say);
    let pictures = cli.pictures(source, &network.describe())?;
    cli.check_rows(&pictures)?;
    console::tell(&pictures.remarks, cli.quiet);
    let mut study = prepare::study(backend, cli, &how, &network, &pictures)?;
    let against = against(cli, &network, &study)?;
    pictures.check().map_err(prepare::by_option)?;
    claims::claim_maps(&mut claims, &study)?;
    let outcome = run::pictures(&mut study, cli.quiet)?;
    console::tell(study.remarks(), cli.quiet);
    let report = figures(cli, &network, &study, &outcome, against);
    Ok(report.and_then(|report| conclude(cli, &network, &study, &outcome, &report)).unwrap_or_else(common::failed))
}

/// Writes and prints all that was found, each whatever becomes of the others; the exit status.
fn conclude(cli: &Cli, network: &Opened, study: &Study<'_>, outcome: &Outcome, report: &Report) -> Result<u8> {
    let json = format!("{}\n", json::printable(serde_json::to_string_pretty(report)?));
    let aside = cli.json_to_stdout();
    let write = |path| if aside { common::print(&json) } else { write_whole(path, json.as_bytes()) };
    let written = cli.json.as_ref().map(|path| write(path).map_err(Into::into));
    let made =
        cli.report.as_ref().map(|folder| write_report(cli, folder, &json, report, network, study, &study.set(outcome)));
    let tables = report.to_string();
    let printed = if aside {
        console::show(&tables);
        Ok(())
    } else {
        common::print(&tables).map_err(Into::into)
    };
    let mut status = status::DONE;
    for done in [written, made, Some(printed)].into_iter().flatten() {
        if let Err(error) = done {
            status = common::failed(error);
        }
    }
    let lost = report.remarks.lost();
    let parts = [
        (report.missing.len() as u64, "pictures could not be scored"),
        (lost, "files or parts of the truth are lost, as said above"),
    ];
    for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
        common::say(format_args!("{count} {what}"));
        status = status::FAILED;
    }
    if let Some(reason) = &report.stopped {
        common::say(format_args!("not all pictures were looked at: {reason}"));
        status = status::FAILED;
    }
    Ok(status)
}

/// The files of the report.
fn write_report(
    cli: &Cli,
    folder: &Path,
    json: &str,
    report: &Report,
    network: &Opened,
    study: &Study<'_>,
    set: &Set<'_>,
) -> Result<()> {
    write_whole(&folder.join("report.json"), json.as_bytes())?;
    files::scores(&folder.join("scores.csv"), set, &report.all)?;
    files::summary(&folder.join("summary.csv"), report)?;
    let mut head =
        page::head("cbam-eval", cli.words(&study.pictures().source), report.arch.clone(), Overlay::default());
    let maps = gallery::maps(study);
    let html = html::fragment(report, &head.date, gallery::left_out(set).as_deref())?;
    head.report = Some(PageReport { html, maps: maps.clone(), measures: gallery::measures(set) });
    let about = network.describe();
    let labels = cli.labels.as_ref().map(read_labels).transpose()?;
    let subject = PageSubject {
        maps,
        labels: about.choose_labels(labels.as_deref())?,
        outputs: about.outputs,
        class: None,
        scale: Scale::Image,
    };
    let mut page = PageWriter::create(&folder.join("report.html"), head)?;
    gallery::pictures(study, set, &report.all, &Arc::new(subject), &mut page, cli.quiet)?;
    Ok(page.finish()?)
}

/// The place of the map that the others are compared with.
fn against(cli: &Cli, network: &Opened, study: &Study<'_>) -> Result<usize> {
    let Some(name) = &cli.against else {
        return Ok(study.subjects().iter().position(|subject| !subject.is_baseline()).unwrap_or(0));
    };
    let chosen = network.describe().choose_maps(std::slice::from_ref(name))?.pop().map(Subject::Map);
    let found = study.subjects().iter().position(|subject| Some(subject) == chosen.as_ref());
    found.ok_or_else(|| anyhow::anyhow!("--against: {name} is none of the maps that are measured; add it to --maps"))
}

/// From what was measured to the figures.
fn figures(cli: &Cli, network: &Opened, study: &Study<'_>, outcome: &Outcome, against: usize) -> Result<Report> {
    let (pictures, set) = (study.pictures(), study.set(outcome));
    let mut remarks = pictures.remarks.clone();
    remarks.merge(study.remarks().clone());
    let timed = cli.measures(Measure::Time);
    let compared = cli.report.is_some() || cli.against.is_some();
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        arch: network.name(),
        attention: network.has_attention(),
        weights: cli.weights_name(),
        short_side: study.preprocess().short_side,
        device: network.device.to_string(),
        images: cli.images.display().to_string(),
        truth: pictures.format.map(|format| format.to_string()),
        seed: cli.seed,
        n: set.measured.len(),
        all: set.all(),
        small: set.small(),
        groups: set.groups(|row| study.subset().contains(&row)),
        faithfulness: set.faithfulness(),
        sanity: set.sanity(),
        clutter: set.clutter(),
        time: if timed { study.clock(set.measured)? } else { Vec::new() },
        differences: if compared { set.differences(against, cli.seed)? } else { Vec::new() },
        notes: tables::notes(study, timed, cli.lacks_sanity()),
        remarks,
        missing: outcome.missing.clone(),
        stopped: outcome.stopped.as_ref().map(ToString::to_string),
    })
}
