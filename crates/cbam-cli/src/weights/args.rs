//! The command line.

use std::path::PathBuf;

use cbam_core::weights::{Checkpoint, ReadOptions};
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::common::doubts::remedies;
use crate::common::input::InputOptions;
use crate::common::opening::Opening;

/// Look into weights files and convert them.
///
/// Reads safetensors and what torch.save wrote, in any version of PyTorch, training scripts' dictionaries too (nothing
/// in the file is executed); writes safetensors.
#[derive(Debug, Parser)]
#[command(name = "cbam-weights", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print what a weights file is, which network it is of, and every tensor's name, dtype and shape; of a network's graph (.pt2, ONNX)
    /// its gates, attention and places too
    Inspect {
        /// The weights file
        #[arg(id = "weights", value_name = "FILE")]
        file: PathBuf,
        /// Leave the prefixes that wrappers such as `DataParallel` put before the tensors' names
        #[arg(long)]
        keep_prefixes: bool,
        #[command(flatten)]
        opening: Opening,
    },
    /// Write a weights file as safetensors, without BatchNorm's counters of batches
    Convert {
        /// The weights file
        input: PathBuf,
        /// The file to write, named *.safetensors; whole or not at all
        #[arg(value_parser = PathBufValueParser::new().try_map(safetensors_path))]
        output: PathBuf,
        #[command(flatten)]
        reading: Reading,
        /// Convolution and linear matrices in f16, the rest in f32
        #[arg(long)]
        half_matrices: bool,
        /// What the network's logits are divided by, of a file that cbam-train wrote; scripts/temperature.py fits it
        #[arg(long, value_name = "NUMBER")]
        temperature: Option<f64>,
        /// Add an entry to the file's metadata; may be given again
        #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
        metadata: Vec<(String, String)>,
    },
    /// Keep beside a network's graph what the graph does not say, in net.pt2.json: how it takes pictures, what its numbers are, its
    /// classes' names. cbam-run and cbam-eval take it from there; what their command line says goes first
    Describe {
        /// The graph: .pt2 of torch.export, or ONNX
        graph: PathBuf,
        #[command(flatten)]
        input: InputOptions,
        /// Short side of the pictures that the network sees, in pixels
        #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(32..=4096))]
        size: Option<u32>,
        /// The names of the network's classes, a text file with one a line
        #[arg(long, value_name = "FILE")]
        labels: Option<PathBuf>,
    },
    /// Compare two weights files, of any format, tensor by tensor. Exit status: 0 if they are the same, 1 if they differ,
    /// 2 if they cannot be compared
    Diff {
        /// The first weights file
        first: PathBuf,
        /// The second weights file
        second: PathBuf,
        /// Values that differ by no more than this are the same
        #[arg(long, value_name = "DIFFERENCE", default_value_t = 0.0, value_parser = tolerance)]
        tolerance: f64,
    },
}

/// How a file is read.
#[derive(Debug, Args)]
pub(crate) struct Reading {
    /// The entry of a training script's dictionary to read, such as ema or ema.module, or what stands before the names of the weights
    /// wanted, such as teacher; the usual entries are found without
    #[arg(long, value_name = "NAME")]
    pub(crate) part: Option<String>,
    /// Leave the prefixes that wrappers such as `DataParallel` put before the tensors' names
    #[arg(long)]
    pub(crate) keep_prefixes: bool,
}

impl Reading {
    /// Opens a file in this way.
    pub(crate) fn open(&self, path: PathBuf) -> cbam_core::Result<Checkpoint> {
        let mut options = ReadOptions::default();
        options.part.clone_from(&self.part);
        options.keep_prefixes = self.keep_prefixes;
        Checkpoint::open_with(path, &options).map_err(|error| error.advised(&remedies))
    }
}

fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.parse().map_err(|_| "not a number".to_owned())?;
    if number >= 0.0 { Ok(number) } else { Err("must be 0 or more".to_owned()) }
}

fn safetensors_path(path: PathBuf) -> Result<PathBuf, String> {
    match path.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("safetensors") => Ok(path),
        _ => Err("the name must end in .safetensors".to_owned()),
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[cfg(unix)]
    #[test]
    fn an_output_may_have_any_name_that_ends_right() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let parsed = |name: &[u8]| {
            let words = ["cbam-weights", "convert", "in.pth"].map(OsStr::new);
            Cli::try_parse_from(words.into_iter().chain([OsStr::from_bytes(name)]))
        };
        for name in [&b"a.safetensors"[..], b"A.SAFETENSORS", b"caf\xe9.safetensors"] {
            assert!(parsed(name).is_ok(), "{name:?}");
        }
        assert!(parsed(b"a.pth").unwrap_err().to_string().contains("must end in .safetensors"));
    }
}
