//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

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
    /// Print what a weights file is, and every tensor's name, dtype and shape
    Inspect {
        /// The weights file
        file: PathBuf,
    },
    /// Write a weights file as safetensors, without BatchNorm's counters of batches
    Convert {
        /// The weights file
        input: PathBuf,
        /// The file to write, named *.safetensors; whole or not at all
        #[arg(value_parser = safetensors_path)]
        output: PathBuf,
        /// Convolution and linear matrices in f16, the rest in f32
        #[arg(long)]
        half_matrices: bool,
        /// Add an entry to the file's metadata; may be given again
        #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
        metadata: Vec<(String, String)>,
    },
}

fn safetensors_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(extension) if extension == "safetensors" => Ok(path),
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

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
