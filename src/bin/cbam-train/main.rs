//! `cbam-train`: trains the attention of a network.

mod args;
mod progress;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result};
use cbam::network::Network;
use cbam::pipeline::WholeFile;
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
    let device = cbam::sys::resolve(arguments.device)?;
    cbam::sys::set_all_threads(arguments.threads)?;
    tch::manual_seed(arguments.seed as i64);
    let mut network = Network::untrained(arguments.backbone.as_deref(), device)?;
    let options = arguments.options();
    let notes = arguments.notes();
    // A place that cannot be written to shows before the hours of work, not after.
    drop(WholeFile::create(&arguments.out)?);
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
    let row = |name: &str, a: f64, b: f64| format!("{name:<44}{a:>10.4}{b:>10.4}\n");
    let mut table = format!(
        "trained on {clean} pictures, {cluttered} cluttered views, {composites} composites\n{:<44}{:>10}{:>10}\n",
        format!("held out: {} pictures, {} composites", a.pictures, a.composites),
        "before",
        "after"
    );
    table += &row("divergence from the teacher, clean (nats)", a.clean, b.clean);
    table += &row("divergence from the teacher, cluttered", a.cluttered, b.cluttered);
    table += &row("same class as the teacher, clean", a.clean_agreement, b.clean_agreement);
    table += &row("same class as the teacher, cluttered", a.cluttered_agreement, b.cluttered_agreement);
    for (a, b) in a.maps.iter().zip(&b.maps) {
        table += &row(&format!("{}: peaks on the stamp", a.map), a.pointing, b.pointing);
        table += &row(&format!("{}: share on the stamp", a.map), a.energy, b.energy);
    }
    table
}
