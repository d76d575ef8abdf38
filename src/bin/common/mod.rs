//! What the programs share.

mod heap;

use clap::Parser;

/// The arguments; ends the program if they are wrong, or ask for help.
pub(crate) fn arguments<A: Parser>() -> A {
    A::try_parse().unwrap_or_else(|usage| leave(&usage))
}

/// Prints what is wrong with the arguments, or the help that they ask for, and ends the program.
pub(crate) fn leave(usage: &clap::Error) -> ! {
    let _ = usage.print(); // if nobody reads any more, nobody is told
    cbam::sys::exit(usage.exit_code() as u8)
}
