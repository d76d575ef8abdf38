//! What the user sees: errors, a progress bar on a terminal, a line about a single picture, the exit status.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cbam_core::Error;
use cbam_core::maps::MapName;
use cbam_core::pipeline::{Event, Job, PictureReport};
use cbam_core::render::page::{PageHead, PagePicture, PageWriter};
use cbam_core::text::{printable, printable_path};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::common::doubts::remedies;
use crate::common::duration::duration;
use crate::common::{failed, page, print, say, status};
use crate::run::json::Report;
use crate::run::request::Request;
use crate::run::told::{self, Count};

/// How many pictures with flat maps are named.
const FLAT_NAMED: usize = 10;

/// The line on standard output about what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// None: nobody wants it, or standard output is for something else.
    Nothing,
    /// About the only picture.
    Picture,
    /// About the run.
    Run,
}

/// Follows a run.
pub(crate) struct Console<'a> {
    bars: MultiProgress,
    bar: ProgressBar,
    /// How far a costly explanation is.
    steps: ProgressBar,
    report: Option<Report>,
    /// A report or a page that cannot be written ends the run.
    broken_report: Option<Error>,
    page: Option<PageWriter>,
    cancel: &'a AtomicBool,
    count: Count,
    /// Pictures one of whose maps is flat.
    flat: usize,
    drawing: bool,
    quiet: bool,
    line: Line,
    /// Where outputs go.
    places: Vec<String>,
    /// The page's file.
    html: Option<PathBuf>,
    begun: Instant,
}

impl<'a> Console<'a> {
    /// Begins the report, if one is asked for: a folder that cannot be written shows before the work, not after.
    pub(crate) fn new(request: &Request, pictures: usize, cancel: &'a AtomicBool) -> cbam_core::Result<Self> {
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
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {pace} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("pace", pace));
        let alone = !request.outputs.any() && !request.outputs.beside;
        let report = request.json.as_ref().map(|target| Report::create(target, alone)).transpose()?;
        let page =
            request.outputs.html.as_ref().map(|path| PageWriter::create(path, page_head(request))).transpose()?;
        let line = match pictures {
            _ if request.quiet || request.writes_stdout() => Line::Nothing,
            1 => Line::Picture,
            _ => Line::Run,
        };
        let console = Self {
            bars,
            bar,
            steps,
            report,
            broken_report: None,
            page,
            cancel,
            count: Count::default(),
            flat: 0,
            drawing: false,
            quiet: request.quiet,
            line,
            places: told::places(request),
            html: request.outputs.html.clone(),
            begun: Instant::now(),
        };
        Ok(console)
    }

    /// Says something that is worth knowing, unless nobody wants to know; from any thread.
    pub(crate) fn notes(&self) -> impl Fn(&str) + Send + Sync + use<> {
        let (bars, quiet) = (self.bars.clone(), self.quiet);
        move |note| {
            if !quiet {
                bars.suspend(|| say(note));
            }
        }
    }

    /// An input that gave no picture.
    pub(crate) fn problem(&mut self, error: &Error) {
        self.count.failed += 1;
        self.bars.suspend(|| say(error));
        let path = match error {
            Error::Io { path, .. } | Error::Photo { path, .. } => path.as_path(),
            _ => Path::new(""),
        };
        self.record(|report| report.failure(path, error));
        self.page.iter_mut().for_each(|page| page.failure(path, error));
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
                    Ok(mut picture) => {
                        self.bars.suspend(|| remark(&picture, self.quiet));
                        self.count.done += 1;
                        self.tell_flat(&picture);
                        if self.line == Line::Picture {
                            self.say_summary(&told::picture(&picture, self.html.as_deref()));
                        }
                        self.record(|report| report.picture(&picture));
                        self.put_on_page(picture.page.take());
                    }
                    Err(error) => {
                        let error = error.advised(&remedies);
                        self.count.failed += 1;
                        self.bars.suspend(|| say(&error));
                        self.record(|report| report.failure(job.source.name(), &error));
                        self.page.iter_mut().for_each(|page| page.failure(job.source.name(), &error));
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

    /// Ends the report, says what was done, and chooses the exit status.
    pub(crate) fn finish(mut self, cancelled: bool) -> u8 {
        self.steps.finish_and_clear();
        self.bar.finish_and_clear();
        if let Some(error) = self.broken_report {
            return failed(error);
        }
        if cancelled && !self.report.as_ref().is_some_and(Report::is_unread) {
            return failed(Error::Interrupted);
        }
        if let Some(Err(error)) = self.report.take().map(Report::commit) {
            return failed(error);
        }
        if let Some(Err(error)) = self.page.take().map(PageWriter::finish) {
            return failed(error);
        }
        if self.flat > FLAT_NAMED && !self.quiet {
            let more = self.flat - FLAT_NAMED;
            say(format_args!("and {more} more pictures with flat maps (\"flat\" in the report, --json)"));
        }
        if self.line == Line::Run && self.count.done + self.count.failed > 0 {
            let line = told::run(self.count, &self.places, self.begun.elapsed());
            self.say_summary(&line);
        }
        if self.count.failed > 0 { status::FAILED } else { status::DONE }
    }

    /// Says which maps tell no place from another, of the first pictures that have such.
    fn tell_flat(&mut self, picture: &PictureReport) {
        if picture.flat.is_empty() || self.quiet {
            return;
        }
        self.flat += 1;
        if self.flat <= FLAT_NAMED {
            self.bars.suspend(|| told::flat(picture).iter().for_each(say));
        }
    }

    /// Tells what was done, on standard output; if that cannot be written, the run has failed.
    fn say_summary(&mut self, summary: &str) {
        if let Err(error) = print(&format!("{}\n", printable(summary))) {
            self.count.failed += 1;
            say(&error);
        }
    }

    fn put_on_page(&mut self, picture: Option<PagePicture>) {
        let (Some(page), Some(picture)) = (&mut self.page, picture) else { return };
        if let Err(error) = page.picture(picture) {
            self.page = None;
            self.broken_report = Some(error);
            self.cancel.store(true, Ordering::Relaxed);
        }
    }

    fn record(&mut self, entry: impl FnOnce(&mut Report) -> cbam_core::Result<()>) {
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

/// What the page of a run says that is known before the run.
fn page_head(request: &Request) -> PageHead {
    let network = request.options.network.clone().unwrap_or_default();
    page::head("cbam-run", request.words.clone(), network, request.options.overlay.clone())
}

/// What is wrong with a picture that was done all the same, and what was assumed about it.
fn remark(picture: &PictureReport, quiet: bool) {
    if let Some(damage) = &picture.damaged {
        say(format_args!("{}: damaged: {damage}", picture.input));
    }
    if !quiet {
        picture.notes.iter().for_each(|note| say(format_args!("{}: {note}", picture.input)));
    }
}

/// How fast pictures are done, and how long the rest will take; nothing before it can be told.
fn pace(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let (done, seconds) = (state.pos(), state.elapsed().as_secs_f64());
    if done == 0 || seconds < 1.0 {
        return;
    }
    let left = state.len().unwrap_or(done).saturating_sub(done) as f64;
    let (rate, rest) = (told::rate(done as f64 / seconds), duration(left * seconds / done as f64));
    let _ = write!(out, "{rate}, {rest} left"); // into the bar's own line
}
