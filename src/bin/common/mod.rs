//! What the programs share.

pub(crate) mod claims;
mod heap;
pub(crate) mod signals;
pub(crate) mod start;
pub(crate) mod terminal;

use anyhow::Context;
use clap::builder::StyledStr;
use clap::{Command, CommandFactory, Parser};

pub(crate) use signals::end_at_once;
pub(crate) use terminal::{end, failed, print, say, status};

/// The arguments; ends the program if they are wrong, or ask for help. From here on each request to end the program calls
/// `asked`.
pub(crate) fn arguments<A: Parser>(asked: fn()) -> A {
    if let Err(error) = signals::listen(asked).context("signals") {
        end(Err(error));
    }
    let parsed = command::<A>().try_get_matches().and_then(|matches| A::from_arg_matches(&matches));
    parsed.unwrap_or_else(|usage| terminal::leave(usage))
}

/// The command line, with the exit statuses at the end of every help.
pub(crate) fn command<A: CommandFactory>() -> Command {
    with_statuses(A::command())
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
