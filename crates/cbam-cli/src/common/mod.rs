//! What the programs share.

pub mod amount;
pub mod claims;
pub(crate) mod described;
pub mod doubts;
pub mod duration;
pub mod exit;
pub(crate) mod explained;
pub mod foreign;
pub mod given;
pub mod graphs;
#[cfg(feature = "process")]
mod heap;
pub mod input;
pub mod json;
pub(crate) mod manual;
pub(crate) mod network;
pub mod opening;
pub(crate) mod page;
#[cfg(unix)]
mod process;
pub(crate) mod scan;
pub mod signals;
pub(crate) mod start;
pub mod terminal;
pub mod values;
pub(crate) mod words;

use std::ffi::OsString;

use anyhow::Context;
use clap::builder::StyledStr;
use clap::error::ErrorKind;
use clap::{Command, CommandFactory, Parser};

use crate::backend::Backend;

pub use signals::end_at_once;
pub(crate) use terminal::leave;
pub use terminal::{end, failed, print, say, status};

/// How a program was called.
#[derive(Debug, Clone)]
pub struct Called {
    /// By what name, if that is not its own: `cbam run`.
    pub name: Option<String>,
    /// The command line, the program's path before it.
    pub arguments: Vec<OsString>,
}

impl Called {
    /// As a program of its own.
    pub fn by_its_name() -> Self {
        Self { name: None, arguments: std::env::args_os().collect() }
    }
}

/// The arguments; ends the program if they are wrong, or ask for help. From here on each request to end the program calls
/// `asked`.
pub fn arguments<A: Parser>(backend: &dyn Backend, called: &Called, asked: fn()) -> A {
    leave_decoders_to_their_errors();
    if let Err(error) = signals::listen(asked).context("signals") {
        end(Err(error));
    }
    parse::<A>(backend, called).unwrap_or_else(|usage| leave(usage))
}

fn parse<A: Parser>(backend: &dyn Backend, called: &Called) -> Result<A, clap::Error> {
    let mut command = command::<A>(backend);
    terminal::begin(command.get_name());
    if let Some(name) = &called.name {
        command = command.bin_name(name);
    }
    if let Some(text) = manual::printed(&command, &called.arguments)? {
        exit::exit(printed(&text));
    }
    A::from_arg_matches(&command.try_get_matches_from(&called.arguments)?)
}

/// The command line, with what the build lacks beside the version, and the exit statuses at the end of every help.
pub fn command<A: CommandFactory>(backend: &dyn Backend) -> Command {
    let command = manual::with_manual(with_statuses(A::command()));
    match backend.lacks() {
        Some(lacks) => command.version(format!("{} ({lacks})", env!("CARGO_PKG_VERSION"))),
        None => command,
    }
}

fn with_statuses(command: Command) -> Command {
    let after = |help: &StyledStr| format!("{help}\n\n{}", status::HELP);
    let short = command.get_after_help().map_or_else(|| status::HELP.to_owned(), after);
    let long = command.get_after_long_help().map(after);
    let command = command.after_help(short).mut_subcommands(with_statuses);
    match long {
        Some(long) => command.after_long_help(long),
        None => command,
    }
}

/// A panic inside of a picture's decoder becomes an error that names the picture; it is not printed besides.
fn leave_decoders_to_their_errors() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !cbam_core::photo::is_decoding() {
            usual(panic);
        }
    }));
}

/// A usage error of the program `C`, as clap prints it: exit status 2.
pub(crate) fn usage<C: CommandFactory>(message: impl std::fmt::Display) -> clap::Error {
    C::command().error(ErrorKind::ArgumentConflict, cbam_core::text::printable(&message.to_string()))
}

/// Prints what was asked for and nothing else; the exit status.
pub fn printed(text: &str) -> u8 {
    print(text).map_or_else(failed, |()| status::DONE)
}
