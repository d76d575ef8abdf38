//! The progress bar, and the checkpoints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cbam::network::Network;
use cbam::train::{Losses, Observer};
use cbam::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(crate) struct Progress {
    bar: ProgressBar,
    training: bool,
    quiet: bool,
    last: String,
    out: PathBuf,
    notes: BTreeMap<String, String>,
}

impl Progress {
    pub(crate) fn new(out: &Path, notes: BTreeMap<String, String>, quiet: bool) -> Self {
        let bar = ProgressBar::new(0);
        if quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let template = "{prefix:10} {bar:30} {pos}/{len} {per_sec} {eta} {msg}";
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, training: false, quiet, last: String::new(), out: out.to_owned(), notes }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish();
    }
}

impl Observer for Progress {
    fn prepared(&mut self, count: usize, total: usize) {
        self.bar.set_prefix("views");
        self.bar.set_length(total as u64);
        self.bar.inc(count as u64);
        let (before, done) = (self.bar.position() - count as u64, self.bar.position());
        if !self.quiet && self.bar.is_hidden() && before / 1000 < done / 1000 {
            eprintln!("{done} of {total} views drawn");
        }
    }

    fn skipped(&mut self, error: &Error) {
        self.bar.suspend(|| eprintln!("cbam-train: left out: {error}"));
    }

    fn stepped(&mut self, step: usize, steps: usize, views: usize, losses: &Losses) {
        if !self.training {
            self.training = true;
            self.bar.finish();
            self.bar.reset();
            self.bar.set_prefix("training");
            self.bar.set_length((steps * views) as u64);
        }
        self.bar.set_position((step * views) as u64);
        let Losses { total, clean, cluttered, composite, focus } = losses;
        let parts = format!("clean {clean:.3}, cluttered {cluttered:.3}, composite {composite:.3}, focus {focus:.3}");
        self.last = format!("loss {total:.3} ({parts})");
        self.bar.set_message(self.last.clone());
    }

    fn checkpoint(&mut self, network: &Network, step: usize) -> Result<()> {
        if !self.quiet && self.bar.is_hidden() {
            eprintln!("step {step}: {}", self.last);
        }
        let step = ("step".to_owned(), step.to_string());
        network.save(&self.out, &self.notes.clone().into_iter().chain([step]).collect())
    }
}
