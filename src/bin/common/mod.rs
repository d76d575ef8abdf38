//! What the programs share.

pub(crate) mod claims;
mod exit;
mod heap;
mod manual;
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
    leave_decoders_to_their_errors();
    if let Err(error) = signals::listen(asked).context("signals") {
        end(Err(error));
    }
    parse::<A>().unwrap_or_else(|usage| terminal::leave(usage))
}

fn parse<A: Parser>() -> Result<A, clap::Error> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let command = command::<A>();
    if let Some(text) = manual::printed(&command, &arguments)? {
        exit::exit(printed(&text));
    }
    A::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// The command line, with the exit statuses at the end of every help.
pub(crate) fn command<A: CommandFactory>() -> Command {
    manual::with_manual(with_statuses(A::command()))
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
        if !cbam::photo::is_decoding() {
            usual(panic);
        }
    }));
}

/// Prints what was asked for and nothing else; the exit status.
pub(crate) fn printed(text: &str) -> u8 {
    print(text).map_or_else(failed, |()| status::DONE)
}
