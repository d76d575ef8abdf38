//! Looks into weights files and converts them.

mod args;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use cbam::weights::{Checkpoint, Precision, kind_name};
use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cbam-weights: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Inspect { file } => print(&describe(&Checkpoint::open(file)?)),
        Command::Convert { input, output, half_matrices, metadata } => {
            let mut checkpoint = Checkpoint::open(input)?;
            checkpoint.drop_counters();
            checkpoint.metadata.extend(metadata);
            checkpoint.save(output, if half_matrices { Precision::HalfMatrices } else { Precision::Keep })?;
            Ok(())
        }
    }
}

/// The format, the totals, the metadata, and one line per tensor.
fn describe(checkpoint: &Checkpoint) -> String {
    let format = checkpoint.format().map_or(String::new(), |format| format!("format      {format}\n"));
    let mut text = format!(
        "{format}tensors     {}\nparameters  {} (without BatchNorm's running statistics)\n",
        checkpoint.tensors.len(),
        checkpoint.parameters()
    );
    for (key, value) in &checkpoint.metadata {
        text += &format!("metadata    {key} = {value}\n");
    }
    let width = checkpoint.tensors.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, tensor) in &checkpoint.tensors {
        text += &format!("{name:width$}  {:5} {:?}\n", kind_name(tensor.kind()), tensor.size());
    }
    text
}

/// Prints to standard output; a reader that has seen enough, such as `head`, is no error.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output"),
    }
}
