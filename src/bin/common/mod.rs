//! What the programs share.

pub(crate) mod claims;
mod heap;
pub(crate) mod signals;
pub(crate) mod streams;
pub(crate) mod terminal;

use anyhow::Context;
use clap::Parser;

pub(crate) use signals::end_at_once;
pub(crate) use terminal::{end, failed, print, say, status};

/// The arguments; ends the program if they are wrong, or ask for help. From here on each request to end the program calls
/// `asked`.
pub(crate) fn arguments<A: Parser>(asked: fn()) -> A {
    if let Err(error) = signals::listen(asked).context("signals") {
        end(Err(error));
    }
    A::try_parse().unwrap_or_else(|usage| terminal::leave(usage))
}
