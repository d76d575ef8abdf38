//! The command line.

use clap::{Parser, Subcommand};

use crate::distill::Distill;

/// Train the attention of a network.
#[derive(Debug, Parser)]
#[command(version, about)]
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
    Distill(Distill),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
