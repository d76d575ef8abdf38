//! What the user sees: errors, a progress bar on a terminal, a line about a single picture, the exit status.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cbam::Error;
use cbam::maps::MapName;
use cbam::pipeline::{Event, Job, PictureReport, Target};
use cbam::text::{printable, printable_path};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::common::{failed, print, say, status};
use crate::json::Report;
use crate::request::Request;

/// Follows a run.
pub(crate) struct Console<'a> {
    bars: MultiProgress,
    bar: ProgressBar,
    /// How far a costly explanation is.
    steps: ProgressBar,
    report: Option<Report>,
    /// A report that cannot be written ends the run.
    broken_report: Option<Error>,
    cancel: &'a AtomicBool,
    failed: usize,
    drawing: bool,
    /// Tell what was seen, in a line on standard output.
    talks: bool,
}

impl<'a> Console<'a> {
    /// Begins the report, if one is asked for: a folder that cannot be written shows before the work, not after.
    pub(crate) fn new(request: &Request, pictures: usize, cancel: &'a AtomicBool) -> cbam::Result<Self> {
        let bars = MultiProgress::new(); // on standard error, if that is a terminal
        if request.quiet {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        let bar = ProgressBar::new(pictures as u64);
        let bar = if pictures < 2 { bar } else { bars.add(bar) };
        if pictures < 2 {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let steps = ProgressBar::no_length();
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} {msg}");
        steps.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        steps.set_draw_target(ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let alone = !request.outputs.any() && !request.outputs.beside;
        let report = request.json.as_ref().map(|target| Report::create(target, alone)).transpose()?;
        let talks = !request.quiet && pictures == 1 && !request.writes_stdout();
        Ok(Self { bars, bar, steps, report, broken_report: None, cancel, failed: 0, drawing: false, talks })
    }

    /// An input that gave no picture.
    pub(crate) fn problem(&mut self, error: &Error) {
        self.failed += 1;
        self.bars.suspend(|| say(error));
        let path = match error {
            Error::Io { path, .. } | Error::Photo { path, .. } => path.as_path(),
            _ => Path::new(""),
        };
        self.record(|report| report.failure(path, error));
    }

    pub(crate) fn tell(&mut self, event: Event<'_>) {
        match event {
            Event::Looked => {
                self.bar.set_message("looking");
                self.bar.inc(1);
            }
            Event::Explaining { job, map, done, total } => self.step(job, map, done as u64, total as u64),
            Event::Done { job, outcome } => {
                if !self.drawing {
                    // In two passes, the bar has gone to its end once.
                    self.drawing = true;
                    self.bar.reset();
                    self.bar.set_message("");
                }
                self.bar.inc(1);
                match outcome {
                    Ok(picture) => {
                        if self.talks {
                            self.say_summary(&picture);
                        }
                        self.record(|report| report.picture(&picture));
                    }
                    Err(error) => {
                        self.failed += 1;
                        self.bars.suspend(|| say(&error));
                        self.record(|report| report.failure(job.source.name(), &error));
                    }
                }
            }
        }
    }

    /// Moves the bar of costly explanations, which is there as long as one goes on.
    fn step(&mut self, job: &Job, map: &MapName, done: u64, total: u64) {
        if done == 0 {
            self.steps.reset();
            self.steps.set_length(total);
            self.steps.set_message(format!("{map} of {}", printable_path(job.source.name())));
            self.steps = self.bars.add(self.steps.clone());
        }
        self.steps.set_position(done);
        if done == total {
            self.bars.remove(&self.steps);
        }
    }

    /// Ends the report and chooses the exit status.
    pub(crate) fn finish(self, cancelled: bool) -> u8 {
        self.steps.finish_and_clear();
        self.bar.finish_and_clear();
        if let Some(error) = self.broken_report {
            return failed(error);
        }
        if cancelled && !self.report.as_ref().is_some_and(Report::is_unread) {
            return failed(Error::Interrupted);
        }
        if let Some(Err(error)) = self.report.map(Report::commit) {
            return failed(error);
        }
        if self.failed > 0 { status::FAILED } else { status::DONE }
    }

    /// Tells what was seen, on standard output; if that cannot be written, the run has failed.
    fn say_summary(&mut self, picture: &PictureReport) {
        if let Err(error) = print(&format!("{}\n", printable(&summary(picture)))) {
            self.failed += 1;
            say(&error);
        }
    }

    fn record(&mut self, entry: impl FnOnce(&mut Report) -> cbam::Result<()>) {
        let Some(report) = &mut self.report else { return };
        if let Err(error) = entry(report) {
            self.report = None;
            self.broken_report = Some(error);
            self.cancel.store(true, Ordering::Relaxed);
        } else if report.is_unread() {
            self.cancel.store(true, Ordering::Relaxed);
        }
    }
}

impl Request {
    fn writes_stdout(&self) -> bool {
        let pictures = [&self.outputs.overlay, &self.outputs.panel].into_iter().flatten().map(|to| &to.target);
        pictures.chain(&self.json).any(|target| *target == Target::Stdout)
    }
}

/// `coffee.jpg: espresso 92.1 % -> coffee-overlay.png`
fn summary(picture: &PictureReport) -> String {
    let top = picture.top.first().map(|top| format!(": {} {:.1} %", top.label, 100.0 * top.probability));
    let outputs = &picture.outputs;
    let arrow = if outputs.is_empty() { "" } else { " -> " };
    format!("{}{}{arrow}{}", picture.input, top.unwrap_or_default(), outputs.join(", "))
}
