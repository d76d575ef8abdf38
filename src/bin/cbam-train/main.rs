//! `cbam-train`: trains a network, or its attention alone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod backbone;
#[path = "../common/mod.rs"]
mod common;
mod distill;
#[path = "../common/doubts.rs"]
mod doubts;
#[path = "../common/given.rs"]
mod given;
mod interrupt;
mod progress;
mod run;
mod supervised;
#[path = "../common/values.rs"]
mod values;

use args::{Cli, Command};

fn main() {
    let Cli { command } = common::arguments::<Cli>(interrupt::asked);
    let (done, run) = match &command {
        Command::Distill(arguments) => (distill::run(arguments), &arguments.run),
        Command::Supervised(arguments) => (supervised::run(arguments), &arguments.run),
    };
    common::end(done.or_else(|error| match error.downcast_ref() {
        Some(cbam::Error::Interrupted) => Ok(interrupt::told(run.state().as_deref())),
        _ if interrupt::is_saved() => Ok(common::failed(error)),
        _ => Err(error),
    }));
}
