//! `cbam-train`: trains a network, or its attention alone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod backbone;
mod distill;
mod interrupt;
mod progress;
mod run;
mod supervised;
#[path = "../common/torch.rs"]
mod torch;

use cbam_cli::common::{self, Called};

use args::{Cli, Command};

fn main() {
    let Cli { command } = common::arguments::<Cli>(&torch::Torch, &Called::by_its_name(), interrupt::asked);
    let (done, run) = match &command {
        Command::Distill(arguments) => (distill::run(arguments), &arguments.run),
        Command::Supervised(arguments) => (supervised::run(arguments), &arguments.run),
    };
    common::end(done.or_else(|error| match error.downcast_ref() {
        Some(cbam_core::Error::Interrupted) => Ok(interrupt::told(run.state().as_deref())),
        _ if interrupt::is_saved() => Ok(common::failed(error)),
        _ => Err(error),
    }));
}
