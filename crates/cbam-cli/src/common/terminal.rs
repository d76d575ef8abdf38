//! What the programs say to a terminal, and how they end.
//!
//! Standard error is for people: if it cannot be written to, nobody is told. What goes to standard output is asked for: if
//! it cannot be written, that is an error, unless its reader has gone away, who has seen enough.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

use anyhow::Result;
use cbam_core::Error;
use cbam_core::text::printable;
use clap::error::{ContextKind, ContextValue};

use super::start::stdout_is_open;

/// The exit statuses of all programs.
pub mod status {
    /// Everything is done.
    pub const DONE: u8 = 0;
    /// Some picture or file failed.
    pub const FAILED: u8 = 1;
    /// Nothing was done: wrong use, or the network, the truth or the output cannot be opened.
    pub const NOTHING_DONE: u8 = 2;
    /// The work was interrupted: 128 + SIGINT.
    pub const INTERRUPTED: u8 = 130;
    /// All of them, for the help.
    pub const HELP: &str = "\
Exit status:
  0    everything is done; pictures that are damaged are named
  1    some picture or file failed, and is named; the others are done
  2    nothing was done: wrong use, or the network, the truth or the output cannot be opened
  130  interrupted: finished files are whole, others are not there";
}

/// What is said begins with this name.
static PROGRAM: OnceLock<String> = OnceLock::new();

/// From now on everything that is said begins with the name of this program.
pub(super) fn begin(program: &str) {
    let _ = PROGRAM.set(program.to_owned()); // the first one stays
}

/// Says something on standard error, on one line that begins with the program's name; what would control a terminal is
/// escaped.
pub fn say(text: impl Display) {
    let text = text.to_string();
    let line = format!("{}: {}\n", PROGRAM.get().map_or("cbam", String::as_str), printable(&text));
    let _ = io::stderr().write_all(line.as_bytes()); // if nobody reads any more, nobody is told
}

/// Prints text of our own making to standard output: names in it are [`printable`] already.
///
/// # Errors
/// [`Error::Io`] if it cannot be written; that its reader has gone away is no error.
pub fn print(text: &str) -> cbam_core::Result<()> {
    if !stdout_is_open() {
        return Ok(()); // nobody wants to read it
    }
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::io("standard output")),
    }
}

/// Ends the program: with the status of what was done, or saying the error that left nothing done.
pub fn end(done: Result<u8>) -> ! {
    let code = done.unwrap_or_else(|error| match error.downcast::<clap::Error>() {
        Ok(usage) => leave(usage),
        Err(error) => told(&error, status::NOTHING_DONE),
    });
    super::exit::exit(code)
}

/// Says the error that spoilt some of the work; the status that follows from it.
pub fn failed(error: impl Into<anyhow::Error>) -> u8 {
    told(&error.into(), status::FAILED)
}

fn told(error: &anyhow::Error, code: u8) -> u8 {
    say(format_args!("{error:#}"));
    match error.downcast_ref() {
        Some(Error::Interrupted) => status::INTERRUPTED,
        _ => code,
    }
}

/// Prints what is wrong with the arguments, or the help that they ask for, and ends the program.
pub(crate) fn leave(mut usage: clap::Error) -> ! {
    let raw: Vec<_> = usage.context().filter_map(|(kind, value)| Some((kind, escaped(value)?))).collect();
    if !raw.is_empty() {
        // Tips repeat the argument, styled, which cannot be escaped.
        usage.remove(ContextKind::Suggested);
    }
    for (kind, value) in raw {
        usage.insert(kind, value);
    }
    let printed = usage.print();
    let help = usage.exit_code() == 0;
    super::exit::exit(match printed {
        Err(error) if help && error.kind() != ErrorKind::BrokenPipe => failed(Error::io("standard output")(error)),
        _ if help => status::DONE,
        _ => status::NOTHING_DONE,
    })
}

/// Arguments as they may go to a terminal; none if they may already.
fn escaped(value: &ContextValue) -> Option<ContextValue> {
    let hidden = |text: &String| matches!(printable(text), std::borrow::Cow::Owned(_));
    match value {
        ContextValue::String(text) if hidden(text) => Some(ContextValue::String(printable(text).into_owned())),
        ContextValue::Strings(texts) if texts.iter().any(hidden) => {
            Some(ContextValue::Strings(texts.iter().map(|text| printable(text).into_owned()).collect()))
        }
        _ => None,
    }
}
