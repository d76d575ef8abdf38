//! `cbam-train`: trains a network, or its attention alone.

mod args;
#[path = "../common/mod.rs"]
mod common;
mod distill;
mod interrupt;
mod progress;
mod run;
mod supervised;

use args::{Cli, Command};

fn main() {
    let Cli { command } = common::arguments::<Cli>();
    let (done, run) = match &command {
        Command::Distill(arguments) => (distill::run(arguments), &arguments.run),
        Command::Supervised(arguments) => (supervised::run(arguments), &arguments.run),
    };
    cbam::sys::exit(match done {
        Ok(()) => 0,
        Err(error) if matches!(error.downcast_ref(), Some(cbam::Error::Interrupted)) => {
            eprintln!("cbam-train: {}", interrupt::message(&run.checkpoint()));
            interrupt::EXIT
        }
        Err(error) => {
            eprintln!("cbam-train: {error:#}");
            1
        }
    })
}
