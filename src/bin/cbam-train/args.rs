//! The command line.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use cbam::sys::DeviceSpec;
use cbam::train::DistillOptions;
use clap::{Args, Parser, Subcommand};

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

#[derive(Debug, Args)]
pub(crate) struct Distill {
    /// Folders and tar archives of pictures
    #[arg(long, required = true, num_args = 1.., value_name = "DIR|TAR")]
    images: Vec<PathBuf>,
    /// Folders and tar archives of backgrounds
    #[arg(long, required = true, num_args = 1.., value_name = "DIR|TAR")]
    backgrounds: Vec<PathBuf>,
    /// Folders and tar archives of cut-out objects (pictures with an alpha channel)
    #[arg(long, required = true, num_args = 1.., value_name = "DIR|TAR")]
    stamps: Vec<PathBuf>,
    /// Where to write the trained attention (safetensors)
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Weights of the backbone; the bundled EfficientNet-Lite0 by default
    #[arg(long, value_name = "FILE")]
    pub(crate) backbone: Option<PathBuf>,
    /// Use only so many pictures, chosen by the seed
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Cluttered views of each picture
    #[arg(long, default_value_t = DistillOptions::default().views, value_name = "N")]
    views: usize,
    /// Composites of a cut-out object on a background
    #[arg(long, default_value_t = DistillOptions::default().composites, value_name = "N")]
    composites: usize,
    /// Steps of 32 views
    #[arg(long, default_value_t = DistillOptions::default().steps, value_name = "N")]
    steps: usize,
    /// The highest learning rate
    #[arg(long, default_value_t = DistillOptions::default().learning_rate, value_name = "RATE")]
    learning_rate: f64,
    /// What the divergence on a clean picture counts, beside that on a view
    #[arg(long, default_value_t = DistillOptions::default().clean_weight, value_name = "WEIGHT")]
    clean_weight: f64,
    /// The weight of looking in the right place, beside that of the right answer
    #[arg(long, default_value_t = DistillOptions::default().focus_weight, value_name = "WEIGHT")]
    focus_weight: f64,
    /// At most so many held-out pictures, and as many composites, to validate on
    #[arg(long, default_value_t = DistillOptions::default().validation, value_name = "N")]
    validation: usize,
    /// The seed of everything random
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    pub(crate) seed: u64,
    /// Save the network after so many steps
    #[arg(long, default_value_t = DistillOptions::default().checkpoint_every, value_name = "N")]
    checkpoint_every: usize,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value_t, value_name = "DEVICE")]
    pub(crate) device: DeviceSpec,
    /// Threads; all cores by default
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// No progress bar
    #[arg(long)]
    pub(crate) quiet: bool,
}

impl Distill {
    pub(crate) fn options(&self) -> DistillOptions {
        DistillOptions {
            images: self.images.clone(),
            backgrounds: self.backgrounds.clone(),
            stamps: self.stamps.clone(),
            limit: self.limit,
            views: self.views,
            composites: self.composites,
            steps: self.steps,
            learning_rate: self.learning_rate,
            clean_weight: self.clean_weight,
            focus_weight: self.focus_weight,
            validation: self.validation,
            seed: self.seed,
            checkpoint_every: self.checkpoint_every,
        }
    }

    /// What the weights file says of its making.
    pub(crate) fn notes(&self) -> BTreeMap<String, String> {
        let made_by = format!(
            "cbam-train {} distill --views {} --composites {} --steps {} --learning-rate {} --clean-weight {} --focus-weight {} --seed {}{}",
            env!("CARGO_PKG_VERSION"),
            self.views,
            self.composites,
            self.steps,
            self.learning_rate,
            self.clean_weight,
            self.focus_weight,
            self.seed,
            self.limit.map_or_else(String::new, |limit| format!(" --limit {limit}")),
        );
        BTreeMap::from([("made_by".to_owned(), made_by)])
    }
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
