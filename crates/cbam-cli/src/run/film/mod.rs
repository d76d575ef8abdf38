//! Films: where a network looks while things move.
//!
//! ```text
//! file ─▶ ffmpeg ─▶ frames ─▶ network ─▶ spool            (class and scale of the whole film)
//! file ─▶ ffmpeg ─▶ frames, spool ─▶ smooth ─▶ draw ─▶ ffmpeg ─▶ file
//! ```
//!
//! A film whose class and scale are given, and whose maps are not smoothed, is drawn while it is looked at ([`once`]). What cannot be read
//! twice ([`stream`]) is looked at and drawn frame by frame, without a spool.
//!
//! Frames are never all in memory: a few of them are under way at a time, and what the network saw lies in a file in between.

mod animation;
mod comment;
mod decode;
mod draw;
mod encode;
mod form;
mod live;
mod look;
mod matroska;
mod once;
mod page;
mod probe;
mod report;
mod steady;
mod stream;
mod taken;
mod tools;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use cbam_core::Error;
use cbam_core::classes::read_labels;
use cbam_core::files::{check_folder, check_writable};
use cbam_core::maps::{MapName, Scale};
use cbam_core::pipeline::{Options, Target};
use cbam_core::text::{percent, printable, printable_path};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::backend::Backend;
use crate::common::claims::Claims;
use crate::common::duration::duration;
use crate::common::network::{Model, open};
use crate::common::page::Words;
use crate::common::{failed, print, say, status};
use crate::run::args::usage;
use crate::run::interrupt;
use crate::run::plan::{map_files, standard_output};
use crate::run::request::files_of;

use draw::Painter;
use encode::Encoder;
use form::{Form, Purpose};
use live::Live;
use look::Study;
use probe::Film;
use steady::Spans;

pub(crate) use animation::may_move;
pub(crate) use form::{Codec, Container};
pub(crate) use stream::MOST_PAST;

/// How much a neighbouring frame counts, unless it is said.
pub(crate) const SMOOTH: f32 = 0.5;

/// What films that are read are called.
const READ: [&str; 21] = [
    "3g2", "3gp", "asf", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "ogv", "qt",
    "ts", "vob", "webm", "wmv", "y4m",
];

/// What those are called that are written.
pub(crate) const WRITTEN: &str = ".mp4, .m4v, .mov, .mkv, .webm, .gif or .apng";

/// Whether a file's name is that of a film.
pub(crate) fn is_film(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| READ.contains(&&*extension))
}

/// Where the overlay of a film goes, beside it.
pub(crate) fn beside(film: &Path) -> PathBuf {
    let stem = film.file_stem().unwrap_or_default().to_string_lossy();
    let extension = film.extension().filter(|_| Container::of(film).is_some());
    let extension = extension.map_or("mp4".into(), |extension| extension.to_string_lossy());
    film.with_file_name(format!("{stem}-overlay.{extension}"))
}

/// A film to be written, and how; or why not.
pub(crate) fn written_as(
    path: PathBuf,
    codec: Option<Codec>,
    stream: bool,
) -> Result<(PathBuf, Container, Codec), String> {
    if stream && path.as_os_str() == "-" {
        let container = Container::Matroska; // takes what standard output takes
        return Ok((path, container, codec.unwrap_or(container.usual())));
    }
    let container = Container::of(&path).ok_or_else(|| format!("a film is written as {WRITTEN}"))?;
    let codec = codec.unwrap_or(container.usual());
    if container.takes(codec) {
        Ok((path, container, codec))
    } else {
        Err(format!("--codec {codec}: {} does not take it; {} does", path.display(), codec.container()))
    }
}

/// The stack of a thread: a main thread's usual size, as networks run on it.
const STACK: usize = 8 << 20;

/// What is drawn of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Picture {
    /// A map over it.
    Overlay,
    /// It and several maps, side by side.
    Compare,
    /// It, its maps and the likeliest classes.
    Panel,
}

/// A run over a film.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) input: PathBuf,
    /// The film that is drawn, and what its frames are.
    pub(crate) film: Option<(PathBuf, Container, Codec)>,
    pub(crate) picture: Picture,
    pub(crate) maps_dir: Option<PathBuf>,
    pub(crate) json: Option<Target>,
    /// The page that plays it.
    pub(crate) html: Option<PathBuf>,
    /// Its scale is the film's own, unless one is given.
    pub(crate) options: Options,
    /// How much a neighbouring frame counts in a drawn map, 0 to 0.9.
    pub(crate) smooth: f32,
    /// The network looks at every so manieth frame.
    pub(crate) every: usize,
    /// Whether it is looked at and drawn as it comes.
    pub(crate) stream: bool,
    /// The names of the classes, one a line.
    pub(crate) labels: Option<PathBuf>,
    pub(crate) model: Model,
    /// The words of a command line that does so again.
    pub(crate) words: Words,
    pub(crate) quiet: bool,
}

impl Request {
    /// Whether maps are drawn over its frames.
    fn is_drawn(&self) -> bool {
        self.film.is_some() || self.html.is_some()
    }

    /// `DIR/STEM.npy`, or `DIR/STEM.MAP.npy` for each of several maps.
    fn map_files(&self) -> Vec<PathBuf> {
        let stem = self.input.file_stem().unwrap_or_default();
        let base = self.maps_dir.as_ref().map(|folder| folder.join(stem));
        base.map(|base| map_files(&base, &self.options.maps)).unwrap_or_default()
    }

    /// Makes sure that nothing is written over what is read, or twice.
    fn claim(&self) -> Result<(), clap::Error> {
        let mut claims = Claims::default();
        claims.read("the film", &self.input);
        for (option, path) in files_of(&self.model, self.labels.as_deref()) {
            claims.read(option, path);
        }
        let maps = self.map_files();
        let json = self.json.as_ref().map(|target| match target {
            Target::File(path) => Ok(path.as_path()),
            Target::Stream(_) => standard_output("--json"),
        });
        let option = if self.picture == Picture::Panel { "--panel" } else { "--overlay" };
        let film = self.film.as_ref().map(|(path, ..)| match path.as_path() {
            path if path.as_os_str() == "-" => standard_output(option),
            path => Ok(path),
        });
        let written = [(option, film.transpose()?), ("--json", json.transpose()?), ("--html", self.html.as_deref())];
        let written = written.into_iter().filter_map(|(option, path)| Some((option, path?)));
        for (option, path) in written.chain(maps.iter().map(|path| ("--maps-dir", path.as_path()))) {
            claims.write(option, path).map_err(usage)?;
        }
        Ok(())
    }

    fn check_outputs(&self) -> cbam_core::Result<()> {
        let json = self.json.iter().filter_map(|target| match target {
            Target::File(path) => Some(path),
            Target::Stream(_) => None,
        });
        let film = self.film.iter().map(|(path, ..)| path).filter(|path| path.as_os_str() != "-");
        film.chain(json).chain(&self.html).try_for_each(|path| check_writable(path))?;
        self.maps_dir.iter().try_for_each(|folder| check_folder(folder))
    }
}

pub(crate) fn run(backend: &dyn Backend, request: &Request) -> Result<u8> {
    request.claim()?;
    request.check_outputs()?;
    tools::check_version()?;
    let limits = &request.options.limits;
    let live = if request.stream { Some(Live::open(&request.input, limits)?) } else { None };
    let film = live.as_ref().map_or_else(|| Film::open(&request.input, limits), |live| Ok(live.film()))?;
    let labels = request.labels.as_ref().map(read_labels).transpose()?;
    let options = Options { labels, ..request.options.clone() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads.get()).stack_size(STACK).build();
    let pool = pool.map_err(|error| Error::argument("threads", error))?;
    // The network stays on one of the pool's threads; its kernels and what is drawn share them all.
    pool.install(|| match live {
        Some(live) => stream::work(backend, request, &options, &film, live),
        None => work(backend, request, &options, &film),
    })
}

fn work(backend: &dyn Backend, request: &Request, options: &Options, film: &Film) -> Result<u8> {
    let begun = Instant::now();
    let bar = bar(film, request);
    let note = |line: &str| {
        if !request.quiet {
            bar.suspend(|| say(line));
        }
    };
    film.notes.iter().for_each(|line| note(line));
    let network = open(backend, &request.model, &note)?;
    let mut study = Study::new(film, &network, request, options, interrupt::flag())?;
    study.notes.iter().for_each(|line| note(line));
    let at_once = once::is_possible(&study);
    let (mut spans, mut outputs) = (Spans::new(options.scale), Vec::new());
    if at_once {
        film.frames.iter().for_each(|frames| bar.set_length(*frames));
    } else {
        study.look(&|| bar.inc(1))?;
        study.check_frames()?;
        for (index, path) in request.map_files().into_iter().enumerate() {
            report::write_maps(&mut study, index, &path)?;
            outputs.push(path);
        }
        if request.is_drawn() {
            study.smooth()?;
            spans = study.spans()?;
        }
    }
    if let Some((path, container, codec)) = &request.film {
        let words = words(&study, request, &spans);
        let painter = Painter::new(&study, "the film");
        let size = painter.size(film.size)?;
        let last = study.end.map(|end| end.saturating_sub(study.last));
        let form = Form { container: *container, codec: *codec, size, words: &words, purpose: Purpose::File, last };
        let (encoder, left_out) = Encoder::create(film, path, &form)?;
        for line in &left_out {
            note(line);
        }
        let draw = if at_once { once::draw } else { draw::draw };
        let encoder = draw(&mut study, encoder, &painter, &spans, &|| bar.inc(1))?;
        study.check_frames()?;
        if let Some(line) = encoder.finish()? {
            note(&line);
        }
        outputs.push(path.clone());
    }
    if let Some(path) = &request.html {
        let done: Vec<_> = std::iter::once(smoothed(request)).chain(looked_at(request)).collect();
        page::write(&mut study, path, &spans, &done, &|| bar.inc(1))?.iter().for_each(|line| note(line));
        outputs.push(path.clone());
    }
    bar.finish_and_clear();
    if let Some(target) = &request.json {
        report::write(&mut study, target, request.is_drawn().then_some(&spans), &outputs)?;
    }
    if let Some(why) = &study.broken {
        let after = duration(study.last as f64 / 1e9);
        say(Error::photo(&film.path, format!("broken after {after}; what comes before is looked at: {why}")));
    }
    if !request.quiet && !matches!(request.json, Some(Target::Stream(_))) {
        let line = told(&study, &outputs, begun.elapsed().as_secs_f64());
        if let Err(error) = print(&format!("{}\n", printable(&line))) {
            return Ok(failed(error));
        }
    }
    Ok(if study.broken.is_some() { status::FAILED } else { status::DONE })
}

/// What the file says was done to its frames.
fn words(study: &Study<'_>, request: &Request, spans: &Spans) -> String {
    let class = study.named().filter(|_| study.drawn().iter().any(MapName::needs_class));
    let class = class.map(|class| format!(" of {:?}", class.label)).unwrap_or_default();
    let scale = match request.options.scale {
        Scale::Fixed(low, high) => format!("{low} to {high}, as was asked for"),
        Scale::Run => {
            let all: Vec<_> = (0..study.drawn().len()).filter_map(|index| spans.all(index)).collect();
            let all: Vec<_> = all.iter().map(|span| format!("{} to {}", span.low, span.high)).collect();
            format!("{}, that of the whole film", all.join(" and "))
        }
        scale => format!("of each frame by itself ({scale})"),
    };
    made(study, request, &class, &scale, &smoothed(request))
}

/// What was done to maps over time.
fn smoothed(request: &Request) -> String {
    match request.smooth {
        past if past > 0.0 => format!("smoothed over time (a frame n away counts {past}^n)"),
        _ => "not smoothed".to_owned(),
    }
}

/// Which frames were looked at, if not all.
fn looked_at(request: &Request) -> Option<String> {
    (request.every > 1).then(|| format!("one frame of {} looked at", request.every))
}

/// What a file says was done to its frames: a map of a class, on a scale, smoothed or not.
fn made(study: &Study<'_>, request: &Request, class: &str, scale: &str, smooth: &str) -> String {
    let refined = if request.options.overlay.refine { "; along edges by a guided filter" } else { "" };
    let maps: Vec<_> = study.drawn().iter().map(MapName::to_string).collect();
    let every = looked_at(request).map(|words| format!("; {words}")).unwrap_or_default();
    format!(
        "cbam {}: where {} looks: {}{class}; scale {scale}; {smooth}{every}{refined}",
        env!("CARGO_PKG_VERSION"),
        request.options.network.as_deref().unwrap_or("a network"),
        maps.join(", ")
    )
}

/// `clip.mp4: 250 frames, Egyptian cat 62 % -> out.mp4 (12 s, 21 frames/s)`
fn told(study: &Study<'_>, outputs: &[PathBuf], seconds: f64) -> String {
    let frames = if study.frames == 1 { "frame" } else { "frames" };
    let class = study.named().map(|class| match class.probability {
        Some(share) => format!(", {} {}", class.label, percent(share)),
        None => format!(", {}", class.label),
    });
    let places: Vec<_> = outputs.iter().map(|path| printable_path(path).to_string()).collect();
    let arrow = if places.is_empty() { String::new() } else { format!(" -> {}", places.join(", ")) };
    format!(
        "{}: {} {frames}{}{arrow} ({}, {:.0} frames/s)",
        printable_path(&study.film.path),
        study.frames,
        class.unwrap_or_default(),
        duration(seconds),
        study.frames as f64 / seconds.max(1e-3)
    )
}

fn bar(film: &Film, request: &Request) -> ProgressBar {
    let passes = 1 + u64::from(request.film.is_some() && !request.stream) + u64::from(request.html.is_some());
    let bar = film.frames.map_or_else(ProgressBar::no_length, |frames| ProgressBar::new(frames * passes));
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    if request.quiet {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}
