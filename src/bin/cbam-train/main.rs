//! `cbam-train`: trains a network, or its attention alone.

mod args;
mod distill;
mod interrupt;
mod progress;
mod run;
mod supervised;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

/// libtorch takes and gives back large blocks with every layer, and glibc's heap hands each back to the system: page
/// faults then take more time than the training.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let (done, run) = match &command {
        Command::Distill(arguments) => (distill::run(arguments), &arguments.run),
        Command::Supervised(arguments) => (supervised::run(arguments), &arguments.run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if matches!(error.downcast_ref(), Some(cbam::Error::Interrupted)) => {
            eprintln!("cbam-train: {}", interrupt::message(&run.checkpoint()));
            interrupt::EXIT.into()
        }
        Err(error) => {
            eprintln!("cbam-train: {error:#}");
            ExitCode::FAILURE
        }
    }
}
