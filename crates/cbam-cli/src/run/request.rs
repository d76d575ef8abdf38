//! The command line resolved into a validated request. Nothing here touches a device, nor a file but to tell what `--weights` is.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use cbam_core::explain::ExplainOptions;
use cbam_core::files::{check_folder, check_writable};
use cbam_core::maps::Scale;
use cbam_core::photo::Limits;
use cbam_core::pipeline::{Destination, Options, Stream, Target};
use cbam_core::render::{Opacity, Overlay, PictureFormat};

use crate::common::network::{Model, ModelKind};
use crate::common::page::Words;
use crate::common::scan::Input;
use crate::run::args::{Args, usage};
use crate::run::film;
#[cfg(feature = "parquet")]
use crate::run::shards;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Print the names of the network's maps.
    ListMaps(Model),
    /// Compare the network with a reference, within a tolerance.
    Check { model: Model, reference: PathBuf, tolerance: f64, quiet: bool },
    /// Look at the pictures of shards.
    #[cfg(feature = "parquet")]
    Shards(Box<shards::Request>),
    /// Look at a film.
    Film(Box<film::Request>),
    /// Look at pictures.
    Run(Box<Request>),
}

/// A run.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Outputs,
    pub(crate) json: Option<Target>,
    pub(crate) options: Options,
    /// The names of the classes, one a line.
    pub(crate) labels: Option<PathBuf>,
    pub(crate) model: Model,
    /// The words of a command line that does so again.
    pub(crate) words: Words,
    pub(crate) quiet: bool,
}

/// Where results go.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    /// Of the only picture.
    pub(crate) overlay: Option<Destination>,
    /// Of the only picture.
    pub(crate) panel: Option<Destination>,
    pub(crate) out_dir: Option<PathBuf>,
    pub(crate) panel_dir: Option<PathBuf>,
    pub(crate) maps_dir: Option<PathBuf>,
    /// One page of all pictures.
    pub(crate) html: Option<PathBuf>,
    /// No output was named: an overlay beside each picture.
    pub(crate) beside: bool,
    /// Of pictures whose name is made up here.
    pub(crate) format: PictureFormat,
}

impl Request {
    /// The files that are read beside the pictures, by their options.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        files_of(&self.model, self.labels.as_deref())
    }

    /// What is written once in the run, or to standard output, by its option.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (&'static str, &Target)> {
        let streams = [("--overlay", &self.outputs.overlay), ("--panel", &self.outputs.panel)];
        let streams = streams.into_iter().filter_map(|(option, to)| match to {
            Some(Destination { target: target @ Target::Stream(_), .. }) => Some((option, target)),
            _ => None,
        });
        self.json.as_ref().map(|target| ("--json", target)).into_iter().chain(streams)
    }
}

impl Request {
    /// Makes sure that the outputs that are named can be written, before any work.
    pub(crate) fn check_outputs(&self) -> cbam_core::Result<()> {
        let Outputs { overlay, panel, out_dir, panel_dir, maps_dir, html, .. } = &self.outputs;
        for to in [overlay, panel].into_iter().flatten().map(|to| &to.target).chain(&self.json) {
            if let Target::File(path) = to {
                check_writable(path)?;
            }
        }
        html.iter().try_for_each(|path| check_writable(path))?;
        [out_dir, panel_dir, maps_dir].into_iter().flatten().try_for_each(|folder| check_folder(folder))
    }
}

/// The files of a network and of the names of its classes, by their options.
pub(crate) fn files_of<'a>(
    model: &'a Model,
    labels: Option<&'a Path>,
) -> impl Iterator<Item = (&'static str, &'a Path)> {
    let network = match &model.kind {
        ModelKind::Bundled => None,
        ModelKind::Weights { path, .. } => Some(("--weights", path)),
        ModelKind::Graph { path, .. } => Some(("--graph", path)),
        ModelKind::Script(script) => Some(("--torchscript", &script.path)),
    };
    let of_graph = match &model.kind {
        ModelKind::Graph { weights, .. } => weights.as_ref().map(|path| ("--weights", path)),
        _ => None,
    };
    let labels = labels.map(|path| ("--labels", path));
    network.into_iter().chain(of_graph).map(|(option, path)| (option, path.as_path())).chain(labels)
}

impl Args {
    /// Checks what clap cannot, and fills in the defaults.
    pub(crate) fn resolve(mut self) -> Result<Command, clap::Error> {
        self.check_effects()?;
        let shows_own = (self.map.is_empty() && self.compare.is_none()).then_some(&self.given);
        let mut model = self.network.model(&self.explained, shows_own).map_err(usage)?;
        model.how.deterministic = self.deterministic;
        let explain = self.explained.options().map_err(usage)?;
        let words = self.words();
        if self.list_maps {
            return Ok(Command::ListMaps(model));
        }
        if let Some(reference) = self.check {
            return Ok(Command::Check { model, reference, tolerance: self.tolerance, quiet: self.quiet });
        }
        if self.html.as_ref().is_some_and(|path| is_dash(path)) {
            return Err(usage("--html writes a file: name it"));
        }
        let options = self.options(&model, explain);
        if let Some(folder) = self.out_parquet.take() {
            return self.shards(folder, options, model);
        }
        if let Some(input) = self.film()? {
            return self.of_film(input, options, model, words);
        }
        let inputs: Vec<_> = self.inputs.into_iter().map(Input::from).collect();
        let stdin = inputs.iter().filter(|input| **input == Input::Stdin).count();
        if stdin > 1 {
            return Err(usage("standard input ('-') can be read only once"));
        }
        let to_stdout = [&self.overlay, &self.panel, &self.json].into_iter().flatten().filter(|path| is_dash(path));
        if to_stdout.count() > 1 {
            return Err(usage("only one of --overlay, --panel and --json can go to standard output ('-')"));
        }
        for (option, given) in [("--overlay", self.overlay.is_some()), ("--panel", self.panel.is_some())] {
            if given && inputs.len() > 1 {
                return Err(usage(only_one(option)));
            }
        }
        for (file, folder, names) in [
            (self.overlay.is_some(), self.out_dir.is_some(), "--overlay and --out-dir"),
            (self.panel.is_some(), self.panel_dir.is_some(), "--panel and --panel-dir"),
        ] {
            if file && folder {
                return Err(usage(format!("{names} are for one and for many pictures: use one of them")));
            }
        }
        if self.map.len() > 1 && self.overlay.as_ref().is_some_and(|path| is_dash(path)) {
            return Err(usage("several --map are several overlays, and standard output ('-') takes one"));
        }
        let format = self.format.unwrap_or_default();
        let outputs = Outputs {
            overlay: self.overlay.map(|path| destination("--overlay", path, self.format)).transpose()?,
            panel: self.panel.map(|path| destination("--panel", path, self.format)).transpose()?,
            out_dir: self.out_dir,
            panel_dir: self.panel_dir,
            maps_dir: self.maps_dir,
            html: self.html,
            beside: false,
            format,
        };
        let beside = !outputs.any() && self.json.is_none();
        let drawn = beside || outputs.overlay.is_some() || outputs.out_dir.is_some();
        if self.compare.is_some() && !drawn {
            return Err(usage("--compare draws a sheet: name a place for it with --overlay FILE or --out-dir DIR"));
        }
        if beside && stdin > 0 {
            return Err(usage("standard input has no place of its own: name an output, such as --overlay FILE"));
        }
        Ok(Command::Run(Box::new(Request {
            inputs,
            outputs: Outputs { beside, ..outputs },
            json: self.json.map(target),
            options,
            labels: self.network.labels,
            model,
            words,
            quiet: self.quiet,
        })))
    }
}

impl Args {
    /// How the run goes.
    fn options(&self, model: &Model, explain: ExplainOptions) -> Options {
        Options {
            compare: self.compare.is_some(),
            maps: self.compare.as_ref().map_or_else(|| self.map.clone(), |list| list.0.clone()),
            class: self.explained.class.clone(),
            explain,
            scale: self.scale,
            overlay: self.overlay_look(),
            network: Some(model.kind.name()),
            legend: self.legend,
            width: self.width.and_then(NonZeroU32::new),
            short_side: self.network.size,
            threads: model.how.threads,
            batch_size: self.batch_size,
            jpeg_quality: self.jpeg_quality,
            limits: Limits::of_pixels(self.max_pixels),
            memory: self.memory,
            ..Options::default()
        }
    }

    /// A run over shards.
    #[cfg(feature = "parquet")]
    #[allow(clippy::unnecessary_wraps, reason = "a build without Parquet refuses it")]
    fn shards(self, folder: PathBuf, options: Options, model: Model) -> Result<Command, clap::Error> {
        Ok(Command::Shards(Box::new(shards::Request {
            inputs: self.inputs,
            folder,
            share: self.shard,
            columns: shards::Columns { image: self.image_column, key: self.key_column },
            options,
            labels: self.network.labels,
            model,
            quiet: self.quiet,
        })))
    }

    /// A run over shards, which this build does not do.
    #[cfg(not(feature = "parquet"))]
    fn shards(self, _: PathBuf, _: Options, _: Model) -> Result<Command, clap::Error> {
        Err(usage(
            "--out-parquet: this build has no Parquet; one with the feature `parquet` has, which is on by default",
        ))
    }

    /// A run over a film.
    fn of_film(self, input: PathBuf, options: Options, model: Model, words: Words) -> Result<Command, clap::Error> {
        let picture = match (&self.panel, options.compare) {
            (Some(_), _) => film::Picture::Panel,
            (None, true) => film::Picture::Compare,
            (None, false) => film::Picture::Overlay,
        };
        let named = self.overlay.clone().or(self.panel);
        if self.stream && named.is_none() {
            return Err(usage("--stream: say where the film goes: --overlay FILE, or --overlay - for standard output"));
        }
        let beside = named.is_none() && self.maps_dir.is_none() && self.json.is_none() && self.html.is_none();
        let film = named.or_else(|| beside.then(|| film::beside(&input)));
        if self.stream && is_dash(&input) && std::io::stdin().is_terminal() {
            return Err(usage("-: standard input is a terminal, which gives no film"));
        }
        if film.is_some() && options.maps.len() > 1 && picture == film::Picture::Overlay {
            return Err(usage(
                "several --map are several films: name one of them, or put them side by side with --compare",
            ));
        }
        let film = film.map(|path| film::written_as(path, self.codec, self.stream)).transpose().map_err(usage)?;
        if self.codec.is_some() && film.is_none() {
            return Err(usage("--codec has no effect here: no film is written"));
        }
        let scale = if self.given.holds("scale") { options.scale } else { Scale::Run };
        Ok(Command::Film(Box::new(film::Request {
            input,
            film,
            picture,
            maps_dir: self.maps_dir,
            json: self.json.map(target),
            html: self.html,
            words,
            options: Options { scale, ..options },
            smooth: self.smooth.unwrap_or(film::SMOOTH),
            stream: self.stream,
            every: self.every.map_or(1, usize::from),
            labels: self.network.labels,
            model,
            quiet: self.quiet,
        })))
    }

    fn overlay_look(&self) -> Overlay {
        let usual = match self.opacity {
            Opacity::Attention => Overlay::default(),
            Opacity::Constant => Overlay::constant(),
        };
        Overlay {
            colormap: self.colormap,
            alpha: self.alpha.unwrap_or(usual.alpha),
            contour: self.contour,
            resample: self.resample,
            refine: self.refine,
            ..usual
        }
    }
}

impl Outputs {
    pub(crate) fn any(&self) -> bool {
        self.overlay.is_some()
            || self.panel.is_some()
            || self.out_dir.is_some()
            || self.panel_dir.is_some()
            || self.maps_dir.is_some()
            || self.html.is_some()
    }
}

/// The message about an option that is for one picture.
pub(crate) fn only_one(option: &str) -> String {
    let folder = if option == "--panel" { "--panel-dir" } else { "--out-dir" };
    format!("{option} is for one picture; use {folder} for several")
}

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn target(path: PathBuf) -> Target {
    if is_dash(&path) { Target::Stream(Stream::new("standard output", std::io::stdout())) } else { Target::File(path) }
}

/// A picture file and its format: that of the extension, or else of `--format`.
fn destination(option: &str, path: PathBuf, format: Option<PictureFormat>) -> Result<Destination, clap::Error> {
    let extension = path.extension().and_then(OsStr::to_str);
    let by_name = extension.map(str::parse::<PictureFormat>).transpose();
    let format = match (by_name, format) {
        _ if is_dash(&path) => format.unwrap_or_default(),
        (Ok(Some(named)), _) => named,
        (Ok(None) | Err(_), Some(given)) => given,
        (Ok(None), None) => {
            return Err(usage(format!("{option} {}: add an extension such as .png, or --format", path.display())));
        }
        (Err(error), None) => return Err(usage(format!("{option} {}: {error}", path.display()))),
    };
    Ok(Destination { target: target(path), format })
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
