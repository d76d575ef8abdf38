//! The command line.

use clap::{Parser, Subcommand};

use crate::distill::Distill;
use crate::supervised::Supervised;

/// Train a network, or its attention alone.
#[derive(Debug, Parser)]
#[command(name = "cbam-train", version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train CBAM and patch self-attention on a frozen backbone, without labels.
    ///
    /// The plain network's answer on a clean picture teaches the attentive one, which sees the picture pasted into
    /// clutter; cut-out objects on backgrounds show where to look.
    #[command(after_help = "Example:\n  cbam-train distill --images photos/ more.tar --backgrounds wallpapers/ \
                            --stamps cutouts/ --out attention.safetensors\n  cbam-run photo.jpg --weights \
                            attention.safetensors")]
    Distill(Box<Distill>),
    /// Train a classifier on folders of pictures, one for each class.
    ///
    /// From the bundled backbone, a file's, or from scratch; all of it or the new parts alone; with attention or without.
    #[command(
        after_help = "Examples:\n  cbam-train supervised --images flowers/ --out flowers.safetensors\n  cbam-train \
                            supervised --images flowers.tar --train all --learning-rate 2e-4 --ema 0.999 --out \
                            flowers.safetensors --log-dir logs/\n  cbam-run photo.jpg --weights flowers.safetensors",
        mut_arg("out", |out| out.required(false).required_unless_present("loader_only"))
    )]
    Supervised(Box<Supervised>),
}

/// A number.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| "must be a number, such as 0.001 or 1e-3".to_owned())
}

/// A whole number, 0 or more.
pub(crate) fn whole<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| "must be a whole number of at least 0".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn only_what_trains_needs_a_place_for_weights() {
        let parses = |more: &[&str]| Cli::try_parse_from(["cbam-train"].iter().chain(more)).is_ok();
        let supervised = ["supervised", "--images", "a"];
        assert!(!parses(&supervised));
        assert!(parses(&[&supervised[..], &["--out", "b"]].concat()));
        assert!(parses(&[&supervised[..], &["--loader-only"]].concat()));
        let distill = ["distill", "--images", "a", "--backgrounds", "b", "--stamps", "c"];
        assert!(!parses(&distill));
        assert!(parses(&[&distill[..], &["--out", "b"]].concat()));
    }
}
