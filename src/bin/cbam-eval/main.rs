//! `cbam-eval`: how right a network is, and how well its maps point at what the truth boxes in.

mod args;
mod evaluate;
mod report;

use std::process::ExitCode;

use anyhow::Result;
use cbam::pipeline::write_whole;
use clap::Parser;

use args::Cli;
use evaluate::Evaluation;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missing) => {
            eprintln!("cbam-eval: {missing} pictures could not be scored");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("cbam-eval: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The number of pictures that could not be scored.
fn run(cli: &Cli) -> Result<usize> {
    let device = cbam::sys::resolve(cli.device)?;
    cbam::sys::set_all_threads(cli.threads)?;
    let rows = cli.rows()?;
    let source = cli.source()?;
    let network = cli.network(device)?;
    let mut evaluation = Evaluation::new(cli, &network, &rows)?;
    evaluation.run(&source)?;
    let report = evaluation.report();
    print!("{report}");
    if let Some(path) = &cli.json {
        write_whole(path, format!("{}\n", serde_json::to_string_pretty(&report)?).as_bytes())?;
    }
    Ok(report.missing.len())
}
