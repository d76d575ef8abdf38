//! `cbam-train`: trains the attention of a network.

mod args;
mod progress;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result};
use cbam::network::Network;
use cbam::train::{DistillReport, distill};
use clap::Parser;

use args::{Cli, Command, Distill};
use progress::Progress;

fn main() -> ExitCode {
    let Cli { command: Command::Distill(arguments) } = Cli::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cbam-train: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Distill) -> Result<()> {
    arguments.set_threads()?;
    tch::manual_seed(arguments.seed as i64);
    let device = cbam::sys::resolve(arguments.device)?;
    let mut network = Network::untrained(arguments.backbone.as_deref(), device)?;
    let options = arguments.options();
    let notes = arguments.notes();
    // A file that cannot be written shows before the hours of work, not after.
    network.save(&arguments.out, &notes)?;
    let mut progress = Progress::new(&arguments.out, notes.clone(), arguments.quiet);
    let report = distill(&mut network, &options, &mut progress)?;
    progress.finish();
    let notes = notes.into_iter().chain([("report".to_owned(), serde_json::to_string(&report)?)]);
    network.save(&arguments.out, &notes.collect::<BTreeMap<_, _>>()).context("the trained network")?;
    print!("{}", table(&report));
    println!("{}", arguments.out.display());
    Ok(())
}

/// The validation figures, before and after.
fn table(report: &DistillReport) -> String {
    let [clean, cluttered, composites] = report.views;
    let (a, b) = (&report.before, &report.after);
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", 100.0 * share));
    let row = |name: &str, a: String, b: String| format!("{name:<46}{a:>9}{b:>9}\n");
    let nats = |value: f64| format!("{value:.4}");
    [
        format!("trained on {clean} pictures, {cluttered} cluttered views, {composites} composites\n"),
        row(
            &format!("held out: {} pictures, {} composites", a.pictures, a.composites),
            "before".into(),
            "after".into(),
        ),
        row("divergence from the teacher, clean (nats)", nats(a.clean), nats(b.clean)),
        row("divergence from the teacher, cluttered", nats(a.cluttered), nats(b.cluttered)),
        row("same class as the teacher, clean (%)", percent(Some(a.clean_agreement)), percent(Some(b.clean_agreement))),
        row(
            "same class as the teacher, cluttered",
            percent(Some(a.cluttered_agreement)),
            percent(Some(b.cluttered_agreement)),
        ),
        row("fused map peaks on the stamp (%)", percent(a.pointing), percent(b.pointing)),
        row("fused map's share on the stamp", percent(a.energy), percent(b.energy)),
    ]
    .concat()
}
