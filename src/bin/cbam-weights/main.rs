//! Looks into weights files, converts and compares them.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/doubts.rs"]
mod doubts;
mod inspect;
#[path = "../common/opening.rs"]
mod opening;
#[path = "../common/values.rs"]
mod values;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use cbam::Error;
use cbam::files::check_writable;
use cbam::text::printable;
use cbam::weights::{Checkpoint, Precision};

use args::{Cli, Command, Reading};
use common::claims::Claims;
use common::{print, say, status};
use opening::Opening;

/// What `diff` exits with if the files differ; if it cannot compare them or print what differs, with
/// [`status::NOTHING_DONE`].
const DIFFERENT: u8 = 1;

fn main() {
    common::end(match common::arguments::<Cli>(|| common::end_at_once()).command {
        Command::Inspect { file, keep_prefixes, opening } => {
            inspect(&Reading { part: opening.doubts.part.clone(), keep_prefixes }, &opening, file)
        }
        Command::Convert { input, output, reading, half_matrices, metadata } => {
            let precision = if half_matrices { Precision::HalfMatrices } else { Precision::Keep };
            convert(&reading, input, output, precision, metadata)
        }
        Command::Diff { first, second, tolerance } => diff(first, second, tolerance),
    });
}

fn inspect(reading: &Reading, opening: &Opening, file: PathBuf) -> Result<u8> {
    let text = inspect::describe(&reading.open(file)?, opening)?;
    Ok(print(&text).map_or_else(common::failed, |()| status::DONE))
}

fn convert(
    reading: &Reading,
    input: PathBuf,
    output: PathBuf,
    precision: Precision,
    metadata: Vec<(String, String)>,
) -> Result<u8> {
    let mut claims = Claims::default();
    claims.read("the input", &input);
    claims.write("output", &output).map_err(|message| Error::argument("output", message))?;
    check_writable(&output)?;
    let mut checkpoint = reading.open(input)?;
    let wrapping = checkpoint.wrapping().to_string();
    if !wrapping.is_empty() {
        say(wrapping);
    }
    checkpoint.drop_counters();
    checkpoint.metadata.extend(metadata);
    Ok(checkpoint.save(output, precision).map_or_else(common::failed, |()| status::DONE))
}

/// Prints the differences of two files, one a line; the exit status says whether there are any.
fn diff(first: PathBuf, second: PathBuf, tolerance: f64) -> Result<u8> {
    let open = |path| Checkpoint::open(path).map_err(|error| error.advised(&doubts::remedies));
    let (first, second) = (open(first)?, open(second)?);
    let differences = first.differences(&second, tolerance);
    let mut text = String::new();
    for difference in &differences {
        writeln!(text, "{}", printable(&difference.to_string()))?;
    }
    let all: std::collections::BTreeSet<_> = first.tensors.keys().chain(second.tensors.keys()).collect();
    writeln!(text, "{} tensors the same, {} differ", all.len() - differences.len(), differences.len())?;
    print(&text)?;
    Ok(if differences.is_empty() { status::DONE } else { DIFFERENT })
}
