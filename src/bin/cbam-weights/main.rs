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
    let mut lines: Vec<String> =
        checkpoint.format().map(|format| format!("format      {format}")).into_iter().collect();
    lines.push(format!("tensors     {}", checkpoint.tensors.len()));
    lines.push(format!("parameters  {} (without BatchNorm's running statistics)", checkpoint.parameters()));
    lines.extend(
        checkpoint.metadata.iter().map(|(key, value)| format!("metadata    {} = {}", plain(key), plain(value))),
    );

    let names: Vec<String> = checkpoint.tensors.keys().map(|name| plain(name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, tensor) in names.iter().zip(checkpoint.tensors.values()) {
        lines.push(format!("{name:width$}  {:5} {:?}", kind_name(tensor.kind()), tensor.size()));
    }
    lines.join("\n") + "\n"
}

/// Text from a file, whose control characters must not reach the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// Prints to standard output; a reader that has seen enough, such as `head`, is no error.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output"),
    }
}
