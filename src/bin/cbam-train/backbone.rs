//! The trained network whose backbone a training starts from.

use std::path::PathBuf;

use cbam::network::Network;
use cbam::text::printable_path;
use cbam_core::{Error, Result};
use clap::Args;

use cbam_cli::common::doubts::{Doubts, options_for, remedies};
use cbam_cli::common::say;

#[derive(Debug, Args)]
pub(crate) struct Backbone {
    /// Weights of the backbone; the bundled EfficientNet-Lite0 by default
    #[arg(long = "backbone", id = "weights", value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    #[command(flatten)]
    doubts: Doubts,
}

impl Backbone {
    /// The network of the file, if one is given. Says what was taken for granted.
    ///
    /// # Errors
    /// As [`Network::open_with`].
    pub(crate) fn open(&self, device: tch::Device) -> Result<Option<Network>> {
        let Some(path) = &self.weights else { return Ok(None) };
        let opened = Network::open_with(path, &self.doubts.options(), device);
        let opened = opened.map_err(|error| Error::from(error).advised(&remedies))?;
        let mut notes = opened.notes_with(&options_for("cbam-run --check compares"));
        if !opened.network.config().attention.is_empty() && !opened.network.leans_on_attention() {
            notes.push("its attention is left out: new attention takes its place".to_owned());
        }
        for note in notes {
            say(format_args!("{}: {note}", printable_path(path)));
        }
        Ok(Some(opened.network))
    }
}
