//! The progress bar, and what is said on the way.

use std::path::Path;

use cbam::Error;
use cbam::eval::AccuracySummary;
use cbam::train::{Observer, StepReport};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::interrupt;
use cbam_cli::common::{say, status};

pub(crate) struct Progress {
    bar: ProgressBar,
    training: bool,
    quiet: bool,
    last: String,
    /// Pictures that could not be used.
    skipped: usize,
    /// Whether something was prepared or learned.
    begun: bool,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = ProgressBar::new(0);
        if quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let template = "{prefix:10} {bar:30} {pos}/{len} {eta} {msg}";
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, training: false, quiet, last: String::new(), skipped: 0, begun: false }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish();
    }

    /// Says how many pictures could not be used, if there are such; the exit status of work that is done.
    pub(crate) fn status(&self) -> u8 {
        if self.skipped == 0 {
            return status::DONE;
        }
        say(format_args!("pictures that could not be read, and are left out: {}", self.skipped));
        status::FAILED
    }

    /// Whether some of the work was done.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Says something where there is no bar to see.
    fn say(&self, text: impl FnOnce() -> String) {
        if !self.quiet && self.bar.is_hidden() {
            say(text());
        }
    }
}

impl Observer for Progress {
    fn prepared(&mut self, count: usize, total: usize) {
        self.begun = true;
        self.bar.set_prefix("preparing");
        self.bar.set_length(total as u64);
        self.bar.inc(count as u64);
        let (before, done) = (self.bar.position() - count as u64, self.bar.position());
        if before / 1000 < done / 1000 {
            self.say(|| format!("{done} of {total} prepared"));
        }
    }

    fn skipped(&mut self, error: &Error) {
        self.skipped += 1;
        self.bar.suspend(|| say(format_args!("left out: {error}")));
    }

    fn damaged(&mut self, path: &Path, damage: &str) {
        self.bar.suspend(|| say(format_args!("{}: damaged: {damage}", path.display())));
    }

    fn noted(&mut self, text: &str) {
        self.bar.suspend(|| say(text));
    }

    fn trouble(&mut self, error: &Error) {
        self.bar.suspend(|| say(format_args!("going on without it: {error}")));
    }

    fn stepped(&mut self, report: &StepReport<'_>) {
        self.begun = true;
        if !self.training {
            self.training = true;
            self.bar.finish();
            self.bar.reset();
            self.bar.set_prefix("training");
            self.bar.set_length(report.steps as u64);
        }
        self.bar.set_position(report.step as u64);
        self.last = message(report);
        self.bar.set_message(self.last.clone());
    }

    fn saved(&mut self, _: &Path, step: usize) {
        interrupt::saved();
        if step > 0 {
            self.say(|| format!("step {step}: {}", self.last));
        }
    }

    fn evaluated(&mut self, epoch: usize, epochs: usize, accuracy: &AccuracySummary) {
        if !self.quiet {
            self.bar.suspend(|| say(format_args!("epoch {epoch} of {epochs}: held-out {}", top1(accuracy))));
        }
    }

    fn cancelled(&self) -> bool {
        interrupt::is_asked()
    }
}

/// `top-1 71.2 % (n = 812, 95 % interval 68.0 to 74.2)`
pub(crate) fn top1(accuracy: &AccuracySummary) -> String {
    if accuracy.n == 0 {
        return "top-1 unknown: not one held-out picture could be read".to_owned();
    }
    let [value, low, high] = [accuracy.top1.value, accuracy.top1.low, accuracy.top1.high].map(|share| 100.0 * share);
    format!("top-1 {value:.1} % (n = {}, 95 % interval {low:.1} to {high:.1})", accuracy.n)
}

/// `loss 1.234 (clean 0.020, focus 1.100) 31 images/s`
fn message(report: &StepReport<'_>) -> String {
    let figure = |(name, value): &(&str, f64)| format!("{name} {value:.3}");
    let mut parts: Vec<String> = report.figures.first().map(figure).into_iter().collect();
    if let [_, terms @ ..] = report.figures
        && !terms.is_empty()
    {
        parts.push(format!("({})", terms.iter().map(figure).collect::<Vec<_>>().join(", ")));
    }
    if report.images_per_second.is_finite() {
        parts.push(format!("{:.0} images/s", report.images_per_second));
    }
    parts.join(" ")
}
