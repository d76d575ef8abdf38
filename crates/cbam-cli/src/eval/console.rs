//! What the user sees while it runs: a bar, an estimate, and what goes wrong.

use std::io::Write;
use std::time::{Duration, Instant};

use cbam_core::eval::{RemarkKind, Remarks};
use cbam_core::study::Work;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::common::duration::duration;
use crate::common::say;

/// How much is done with a picture: nothing special, the subset's work, or the sanity check's too.
pub(crate) const KINDS: usize = Work::ALL.len();

/// Follows the pictures and foretells how long the rest takes.
pub(crate) struct Console {
    bar: ProgressBar,
    quiet: bool,
    begun: Instant,
    kinds: [Kind; KINDS],
    told: bool,
    /// Pictures that were measured now.
    fresh: u32,
}

/// From so many pictures, or so many seconds, the rest is foretold.
const BATCH: u32 = 8;
const SECONDS: f64 = 5.0;

#[derive(Clone, Copy, Default)]
struct Kind {
    left: u32,
    /// Pictures of which something was measured, and was not in the cache.
    timed: u32,
    seconds: f64,
    /// What the very first one took, which warms up: it counts only where it is alone.
    first: Option<f64>,
}

impl Console {
    pub(crate) fn new(left: [u32; KINDS], quiet: bool) -> Self {
        let count: u32 = left.iter().sum();
        let bar = ProgressBar::new(u64::from(count)); // on standard error, if that is a terminal
        if quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let kinds = left.map(|left| Kind { left, ..Kind::default() });
        Self { bar, quiet, begun: Instant::now(), kinds, told: false, fresh: 0 }
    }

    /// A picture is done; `fresh` if something of it was not in the cache.
    pub(crate) fn done(&mut self, kind: usize, took: Duration, fresh: bool) {
        self.bar.inc(1);
        let of = &mut self.kinds[kind];
        of.left = of.left.saturating_sub(1);
        if fresh && self.fresh == 0 {
            of.first = Some(took.as_secs_f64());
        } else if fresh {
            of.timed += 1;
            of.seconds += took.as_secs_f64();
        }
        self.fresh += u32::from(fresh);
        if let Some(left) = self.left() {
            self.bar.set_message(format!("{} left", duration(left)));
            let known = self.fresh >= BATCH || self.begun.elapsed().as_secs_f64() >= SECONDS;
            if !self.told && known && left > SECONDS && !self.quiet {
                self.told = true;
                let parts = self.kinds.iter().zip(["", " of the subset", " with the sanity check"]);
                let parts: Vec<_> = parts
                    .filter(|(kind, _)| kind.left > 0)
                    .map(|(kind, what)| format!("{} pictures{what} at {:.2} s", kind.left, kind.mean().unwrap_or(0.0)))
                    .collect();
                self.say(&format!("at most about {} more: {}", duration(left), parts.join(", ")));
            }
        }
    }

    /// Seconds that the rest takes, if nothing of it is in the cache; none until every kind of picture was timed.
    fn left(&self) -> Option<f64> {
        let known = self.kinds.iter().all(|kind| kind.left == 0 || kind.mean().is_some());
        known.then(|| self.kinds.iter().map(|kind| f64::from(kind.left) * kind.mean().unwrap_or(0.0)).sum())
    }

    /// Tells something above the bar.
    pub(crate) fn say(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }

    /// Tells something that is no fault.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    pub(crate) fn finish(&self) -> Duration {
        self.bar.finish_and_clear();
        self.begun.elapsed()
    }
}

/// A bar for pictures that are drawn for the report.
pub(crate) fn drawing(count: usize, quiet: bool) -> ProgressBar {
    let bar = ProgressBar::new(count as u64); // on standard error, if that is a terminal
    if quiet {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} drawn, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_finish(ProgressFinish::AndClear)
}

impl Kind {
    /// What a picture takes, if one was timed.
    fn mean(&self) -> Option<f64> {
        if self.timed > 0 { Some(self.seconds / f64::from(self.timed)) } else { self.first }
    }
}

/// Says what is to be said of the truth and the pictures; if `quiet`, only what is wrong with them.
pub(crate) fn tell(remarks: &Remarks, quiet: bool) {
    for remark in remarks.iter().filter(|remark| !quiet || remark.kind != RemarkKind::Assumed) {
        say(remark);
    }
}

/// Shows the tables on standard error, where they make room for what standard output is for.
pub(crate) fn show(tables: &str) {
    let _ = std::io::stderr().write_all(tables.as_bytes()); // if nobody reads any more, nobody is told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_foretold_once_every_kind_was_timed() {
        let mut console = Console::new([3, 2, 0], true);
        console.done(0, Duration::from_secs(20), true);
        assert_eq!(console.left(), None, "the subset was not timed");
        console.done(1, Duration::from_millis(1), false);
        assert_eq!(console.left(), None, "a kept picture tells nothing");
        console.done(1, Duration::from_secs(7), true);
        assert_eq!(console.left(), Some(40.0));
        console.done(0, Duration::from_secs(2), true);
        assert_eq!(console.left(), Some(2.0), "the first one warmed up, and is left out where there are others");
    }
}
