//! What the user sees: errors, a progress bar on a terminal, a line about a single picture, the exit status.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cbam::Error;
use cbam::maps::MapName;
use cbam::pipeline::{Event, Job, PictureReport, Target};
use cbam::text::printable;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::interrupt;
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
    quiet: bool,
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
        let report = request.json.as_ref().map(Report::create).transpose()?;
        let talks = !request.quiet && pictures == 1 && !request.writes_stdout();
        Ok(Self {
            bars,
            bar,
            steps,
            report,
            broken_report: None,
            cancel,
            failed: 0,
            drawing: false,
            talks,
            quiet: request.quiet,
        })
    }

    /// An input that gave no picture.
    pub(crate) fn problem(&mut self, error: &Error) {
        self.failed += 1;
        self.bars.suspend(|| complain(error));
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
                        self.bars.suspend(|| remark(&picture, self.quiet));
                        if self.talks {
                            let _ = writeln!(io::stdout(), "{}", summary(&picture));
                        }
                        self.record(|report| report.picture(&picture));
                    }
                    Err(error) => {
                        self.failed += 1;
                        self.bars.suspend(|| complain(&error));
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
            self.steps.set_message(format!("{map} of {}", job.source.name().display()));
            self.steps = self.bars.add(self.steps.clone());
        }
        self.steps.set_position(done);
        if done == total {
            self.bars.remove(&self.steps);
        }
    }

    /// Ends the report and chooses the exit status.
    pub(crate) fn finish(self, cancelled: bool) -> anyhow::Result<u8> {
        self.steps.finish_and_clear();
        self.bar.finish_and_clear();
        if let Some(error) = self.broken_report {
            return Err(error.into());
        }
        if cancelled {
            let _ = writeln!(io::stderr(), "cbam-run: interrupted");
            return Ok(interrupt::EXIT);
        }
        if let Some(report) = self.report {
            report.commit()?;
        }
        Ok(u8::from(self.failed > 0))
    }

    fn record(&mut self, entry: impl FnOnce(&mut Report) -> cbam::Result<()>) {
        let Some(report) = &mut self.report else { return };
        if let Err(error) = entry(report) {
            self.report = None;
            self.broken_report = Some(error);
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

/// What is wrong with a picture that was done all the same, and what was assumed about it.
fn remark(picture: &PictureReport, quiet: bool) {
    let say = |what: &str| drop(writeln!(io::stderr(), "cbam-run: {}: {}", printable(&picture.input), printable(what)));
    if let Some(damage) = &picture.damaged {
        say(&format!("damaged: {damage}"));
    }
    if !quiet {
        picture.notes.iter().for_each(|note| say(note));
    }
}

/// An error on its own line; standard error may be closed.
fn complain(error: &Error) {
    let _ = writeln!(io::stderr(), "cbam-run: {error}");
}

/// Tells the error that ended the run. An argument that only the network could refuse is a usage error all the same.
pub(crate) fn fail(error: &anyhow::Error) -> u8 {
    let _ = writeln!(io::stderr(), "cbam-run: {error:#}");
    match error.downcast_ref() {
        Some(Error::Argument { .. }) => 2,
        _ => 1,
    }
}

/// Prints to standard output; a reader that has gone away has seen enough.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
