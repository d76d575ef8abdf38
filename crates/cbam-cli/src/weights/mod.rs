//! `cbam-weights`: looks into weights files, converts and compares them.

pub(crate) mod args;
mod graph;
mod inspect;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use cbam_core::Error;
use cbam_core::classes::read_labels;
use cbam_core::files::check_writable;
use cbam_core::graph::Graph;
use cbam_core::network::NetworkFile;
use cbam_core::text::{printable, printable_path};
use cbam_core::weights::{Checkpoint, Precision};

use crate::backend::Backend;
use crate::common::claims::Claims;
use crate::common::described::Described;
use crate::common::graphs::GraphFiles;
use crate::common::input::InputOptions;
use crate::common::opening::Opening;
use crate::common::{self, Called, print, say, status};

use args::{Cli, Command, Reading};

/// What `diff` exits with if the files differ; if it cannot compare them or print what differs, with
/// [`status::NOTHING_DONE`].
const DIFFERENT: u8 = 1;

/// Runs the program, and ends the process.
pub fn main(backend: &dyn Backend, called: &Called) -> ! {
    common::end(match common::arguments::<Cli>(backend, called, || common::end_at_once()).command {
        Command::Inspect { file, keep_prefixes, opening } => {
            if Graph::is_at(&file) {
                inspect_graph(file, keep_prefixes, &opening)
            } else {
                inspect(&Reading { part: opening.doubts.part.clone(), keep_prefixes }, &opening, file)
            }
        }
        Command::Convert { input, output, reading, half_matrices, temperature, metadata } => {
            let precision = if half_matrices { Precision::HalfMatrices } else { Precision::Keep };
            convert(&reading, input, output, precision, (temperature, metadata))
        }
        Command::Describe { graph, input, size, labels } => describe(&graph, &input, size, labels),
        Command::Diff { first, second, tolerance } => diff(first, second, tolerance),
    });
}

fn inspect(reading: &Reading, opening: &Opening, file: PathBuf) -> Result<u8> {
    let text = inspect::describe(&reading.open(file)?, opening)?;
    Ok(print(&text).map_or_else(common::failed, |()| status::DONE))
}

/// Of a network's graph, on which options about weights files have no effect.
fn inspect_graph(file: PathBuf, keep_prefixes: bool, opening: &Opening) -> Result<u8> {
    if keep_prefixes {
        return Err(
            Error::argument("--keep-prefixes", "has no effect on a network's graph, whose names are its own").into()
        );
    }
    let files = GraphFiles { graph: file, weights: None, options: opening.options() };
    let text = graph::describe(&files.open()?.0)?;
    Ok(print(&text).map_or_else(common::failed, |()| status::DONE))
}

/// Keeps what is said of a graph beside it.
fn describe(graph: &Path, input: &InputOptions, size: Option<u32>, labels: Option<PathBuf>) -> Result<u8> {
    if !Graph::is_at(graph) {
        let message = "is no network's graph; that is a .pt2 of torch.export, or a model of ONNX";
        return Err(Error::weights(graph, message).into());
    }
    let labels = labels.map(read_labels).transpose()?;
    let described = Described::of(input, size, labels);
    if described == Described::of(&InputOptions::default(), None, None) {
        let message =
            "what is to be kept? --scale-to, --channels, --mean, --std, --square, --size, --outputs, --labels";
        return Err(Error::argument("describe", message).into());
    }
    let path = described.write(graph)?;
    Ok(print(&format!("{}\n", printable_path(&path))).map_or_else(common::failed, |()| status::DONE))
}

fn convert(
    reading: &Reading,
    input: PathBuf,
    output: PathBuf,
    precision: Precision,
    (temperature, metadata): (Option<f64>, Vec<(String, String)>),
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
    if let Some(temperature) = temperature {
        NetworkFile::set_temperature(&mut checkpoint, temperature)?;
    }
    Ok(checkpoint.save(output, precision).map_or_else(common::failed, |()| status::DONE))
}

/// Prints the differences of two files, one a line; the exit status says whether there are any.
fn diff(first: PathBuf, second: PathBuf, tolerance: f64) -> Result<u8> {
    let open = |path| Checkpoint::open(path).map_err(|error| error.advised(&common::doubts::remedies));
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
