//! Looks into weights files, converts and compares them.

mod args;
#[path = "../common/mod.rs"]
mod common;
mod inspect;

use std::fmt::Write as _;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use cbam::weights::{Checkpoint, Precision};

use args::{Cli, Command};

/// What `diff` exits with if it cannot compare; 1 means that the files differ.
const TROUBLE: u8 = 2;

fn main() {
    let (result, trouble) = match common::arguments::<Cli>().command {
        Command::Diff { first, second, tolerance } => (diff(first, second, tolerance), TROUBLE),
        other => (run(other).map(|()| 0), 1),
    };
    cbam::sys::exit(result.unwrap_or_else(|error| {
        eprintln!("cbam-weights: {}", inspect::plain(&format!("{error:#}")));
        trouble
    }))
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Inspect { file, reading } => print(&inspect::describe(&reading.open(file)?)),
        Command::Convert { input, output, reading, half_matrices, metadata } => {
            let mut checkpoint = reading.open(input)?;
            let wrapping = checkpoint.wrapping().to_string();
            if !wrapping.is_empty() {
                eprintln!("cbam-weights: {}", inspect::plain(&wrapping));
            }
            checkpoint.drop_counters();
            checkpoint.metadata.extend(metadata);
            checkpoint.save(output, if half_matrices { Precision::HalfMatrices } else { Precision::Keep })?;
            Ok(())
        }
        Command::Diff { first, second, tolerance } => diff(first, second, tolerance).map(|_| ()),
    }
}

/// Prints the differences of two files, one a line; the exit status says whether there are any.
fn diff(first: PathBuf, second: PathBuf, tolerance: f64) -> Result<u8> {
    let (first, second) = (Checkpoint::open(first)?, Checkpoint::open(second)?);
    let differences = first.differences(&second, tolerance)?;
    let mut text = String::new();
    for difference in &differences {
        writeln!(text, "{}", inspect::plain(&difference.to_string()))?;
    }
    let all: std::collections::BTreeSet<_> = first.tensors.keys().chain(second.tensors.keys()).collect();
    writeln!(text, "{} tensors the same, {} differ", all.len() - differences.len(), differences.len())?;
    print(&text)?;
    Ok(u8::from(!differences.is_empty()))
}

/// Prints to standard output; a reader that has seen enough, such as `head`, is no error.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output"),
    }
}
