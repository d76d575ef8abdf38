//! What the programs share.

mod given;
mod heap;
mod manual;
mod values;

use clap::Parser;

pub(crate) use given::{Effect, Given};
pub(crate) use values::listed;

/// The arguments; ends the program if they are wrong, or ask for help.
pub(crate) fn arguments<A: Parser>() -> A {
    parse::<A>().unwrap_or_else(|usage| leave(&usage))
}

fn parse<A: Parser>() -> Result<A, clap::Error> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let command = manual::with_manual(A::command());
    if let Some(text) = manual::printed(&command, &arguments)? {
        let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()); // if nobody reads any more, it was enough
        cbam::sys::exit(0)
    }
    A::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// Prints what is wrong with the arguments, or the help that they ask for, and ends the program.
pub(crate) fn leave(usage: &clap::Error) -> ! {
    let _ = usage.print(); // if nobody reads any more, nobody is told
    cbam::sys::exit(usage.exit_code() as u8)
}
