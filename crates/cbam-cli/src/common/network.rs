//! The network of a program: the options that name it, and how it is opened.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cbam_core::device::{DeviceSpec, ForwardPrecision};
use cbam_core::eval::ScoreCache;
use cbam_core::graph::{Graph, Score};
use cbam_core::maps::{MapName, Method};
use cbam_core::network::{BUNDLED_NAME, NetworkFile, OpenOptions};
use cbam_core::photo::ImageSize;
use cbam_core::text::printable_path;
use cbam_core::{Error, Result};
use clap::{Args, ValueHint};
use ndarray::Array4;

use crate::backend::{Backend, GraphTaken, How, Script, Taken};
use crate::common::described::Described;
use crate::common::doubts::remedies;
use crate::common::duration::duration;
use crate::common::explained::Explained;
use crate::common::foreign::{Foreign, OF_WEIGHTS};
use crate::common::given::{Effect, Given};
use crate::common::graphs::GraphFiles;
use crate::common::opening::{Opening, open_weights};
use crate::common::values::listed;

/// The heading of options about the network and the machine.
pub(crate) const RUN: &str = "Network and machine";

/// The network, and what it runs on.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = RUN)]
pub(crate) struct NetworkArgs {
    /// Short side of the picture that the network sees, in pixels [default: what the weights were measured best at, of a graph what it was exported with]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(32..=4096))]
    pub(crate) size: Option<u32>,
    /// A weights file (safetensors or PyTorch), or a network's graph (.pt2 of torch.export, or ONNX), instead of the built-in network
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) weights: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) opening: Opening,
    #[command(flatten)]
    pub(crate) foreign: Foreign,
    /// The names of the network's classes, a text file with one a line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) labels: Option<PathBuf>,
    /// auto (a GPU if there is one), cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = listed::<DeviceSpec>(["auto", "cpu", "cuda"]), hide_possible_values = true)]
    pub(crate) device: DeviceSpec,
    /// What the network computes in: f32; or f16, for GPUs, its maps nearly the same; or bf16: on CPUs with AMX the fastest, its maps
    /// nearly the same (those with AVX512-BF16 alone take it too, and may be slower than in f32); on GPUs for networks whose features
    /// f16 cannot hold, less exact. A CPU is many times slower in f16
    #[arg(long, value_name = "KIND", default_value = "f32", value_parser = listed::<ForwardPrecision>(["f32", "f16", "bf16"]), hide_possible_values = true)]
    pub(crate) precision: ForwardPrecision,
    /// Threads for pixels, and threads for the network on a CPU [default: all cores]
    #[arg(long, value_name = "N", value_parser = crate::common::amount::threads)]
    pub(crate) threads: Option<NonZeroUsize>,
}

impl NetworkArgs {
    /// The network as it is to be opened; `shows_own` says that no map is named, so that it shows its own first.
    ///
    /// # Errors
    /// What is wrong with the options.
    pub(crate) fn model(&self, explained: &Explained, shows_own: Option<&Given>) -> Result<Model, String> {
        let kind = self.kind();
        if matches!(kind, ModelKind::Script(_)) && self.precision != ForwardPrecision::F32 {
            return Err("--precision does not go with --torchscript: such a file has its own".to_owned());
        }
        Ok(Model {
            kind,
            how: How { precision: self.precision, ..How::on(self.device, self.threads) },
            taken: Taken { input: self.foreign.input.change(), outputs: self.foreign.input.outputs },
            short_side: self.size,
            score: explained.score(),
            by_default: shows_own.map(Explained::of_one_method),
            masks: explained.masks,
        })
    }

    fn kind(&self) -> ModelKind {
        match (self.foreign.script(self.size), &self.foreign.graph, &self.weights) {
            (Some(script), ..) => ModelKind::Script(script),
            (None, Some(graph), weights) => {
                ModelKind::Graph { path: graph.clone(), weights: weights.clone(), options: self.opening.options() }
            }
            (None, None, Some(path)) => ModelKind::Weights { path: path.clone(), options: self.opening.options() },
            (None, None, None) => ModelKind::Bundled,
        }
    }

    /// Whether it is known by its graph.
    pub(crate) fn is_graph(&self) -> bool {
        self.foreign.graph.is_some() || self.weights.as_ref().is_some_and(Graph::is_at)
    }

    /// Whether it is somebody else's: scripted, or known by its graph.
    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign.torchscript.is_some() || self.is_graph()
    }

    /// The options that change something for some networks alone.
    pub(crate) fn effects(&self) -> [Effect<'static>; 4] {
        let (weights, script) = (self.weights.is_some(), self.foreign.torchscript.is_some());
        let named = weights || script || self.foreign.graph.is_some();
        [
            (
                &["torchscript_outputs", "torchscript_classes"],
                script,
                "it names outputs of the network of --torchscript",
            ),
            (&["score"], self.is_graph(), "it names a number of a network's graph"),
            (OF_WEIGHTS, weights, "it is for a file of --weights"),
            (&["outputs"], named, "it says what a network of --weights, --graph or --torchscript gives out"),
        ]
    }
}

/// The network and what it runs on, checked.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) kind: ModelKind,
    pub(crate) how: How,
    /// How it is taken, where that is not its own way.
    pub(crate) taken: Taken,
    /// The short side of pictures, if it is said.
    pub(crate) short_side: Option<u32>,
    /// What explanations are of instead of a class.
    pub(crate) score: Option<Score>,
    /// If no map is named: options that are for the map of one method alone.
    pub(crate) by_default: Option<Vec<(&'static str, Method)>>,
    /// How many masks [`Method::Rise`] draws.
    pub(crate) masks: u32,
}

/// Where the network comes from.
#[derive(Debug)]
pub(crate) enum ModelKind {
    /// Built in.
    Bundled,
    /// A weights file, and what it does not say itself.
    Weights { path: PathBuf, options: OpenOptions },
    /// A network by its graph, and a file of other weights for it.
    Graph { path: PathBuf, weights: Option<PathBuf>, options: OpenOptions },
    /// A scripted network.
    Script(Script),
}

impl ModelKind {
    /// What pictures and pages call it.
    pub(crate) fn name(&self) -> String {
        let path = match self {
            Self::Bundled => return BUNDLED_NAME.to_owned(),
            Self::Graph { weights: Some(path), .. } | Self::Weights { path, .. } | Self::Graph { path, .. } => path,
            Self::Script(script) => &script.path,
        };
        printable_path(path.file_name().map_or(path.as_path(), Path::new)).to_string()
    }
}

/// Opens the network on the device that is asked for, in the form in which it runs. `note` is told what was assumed about it.
pub(crate) fn open(
    backend: &dyn Backend,
    model: &Model,
    note: &dyn Fn(&str),
) -> Result<Box<dyn cbam_core::model::Model>> {
    open_with(backend, model, note, None)
}

/// The same, and a hash (SHA-256) of its weights, as text.
#[cfg(feature = "parquet")]
pub(crate) fn open_known(
    backend: &dyn Backend,
    model: &Model,
    note: &dyn Fn(&str),
) -> Result<(Box<dyn cbam_core::model::Model>, String)> {
    let mut hash = String::new();
    Ok((open_with(backend, model, note, Some(&mut hash))?, hash))
}

fn open_with(
    backend: &dyn Backend,
    model: &Model,
    note: &dyn Fn(&str),
    hash: Option<&mut String>,
) -> Result<Box<dyn cbam_core::model::Model>> {
    backend.ready(&model.how).map_err(|error| error.advised(&remedies))?;
    if let ModelKind::Script(script) = &model.kind {
        let (network, notes) = backend.script(script, &model.how)?;
        if let Some(hash) = hash {
            let bytes = std::fs::read(&script.path).map_err(Error::io(&script.path))?;
            *hash = ScoreCache::key(&[&bytes]);
        }
        tell(&notes, note);
        check_default(model, &*network, note)?;
        return Ok(network);
    }
    if let Some(files) = graph_files(&model.kind) {
        let (graph, taken) = (graph(&files, note)?, graph_taken(&files, model, note)?);
        if let Some(hash) = hash {
            *hash = hex(&graph.fingerprint());
        }
        let (network, notes) = backend.graph(graph, &model.how, &taken)?;
        tell(&notes, note);
        check_default(model, &*network, note)?;
        return Ok(network);
    }
    let file = file(&model.kind, note)?;
    if let Some(hash) = hash {
        *hash = hex(&file.fingerprint()?);
    }
    backend.network(file, &model.how, &model.taken).map_err(|error| error.advised(&remedies))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Tells every line.
pub(crate) fn tell(lines: &[String], note: &dyn Fn(&str)) {
    for line in lines {
        note(line);
    }
}

/// The files of a network that is known by its graph; `None` if it is another.
pub(crate) fn graph_files(kind: &ModelKind) -> Option<GraphFiles> {
    match kind {
        ModelKind::Weights { path, options } => GraphFiles::of(None, Some(path), options.clone()),
        ModelKind::Graph { path, weights, options } => GraphFiles::of(Some(path), weights.as_deref(), options.clone()),
        _ => None,
    }
}

/// The graph of these files; `note` is told what a user should know of them.
pub(crate) fn graph(files: &GraphFiles, note: &dyn Fn(&str)) -> Result<Graph> {
    let (graph, notes) = files.open()?;
    tell(&notes, note);
    Ok(graph)
}

/// How a network by its graph is taken; `note` is told what says so.
pub(crate) fn graph_taken(files: &GraphFiles, model: &Model, note: &dyn Fn(&str)) -> Result<GraphTaken> {
    let Model { short_side, score, taken, .. } = model;
    let given = GraphTaken { short_side: *short_side, taken: taken.clone(), score: score.clone(), labels: None };
    let (taken, said) = Described::completed(&files.graph, given)?;
    tell(said.as_slice(), note);
    Ok(taken)
}

/// The network as its file has it; not a scripted one, nor one by its graph.
pub(crate) fn file(kind: &ModelKind, note: &dyn Fn(&str)) -> Result<NetworkFile> {
    let ModelKind::Weights { path, options } = kind else { return NetworkFile::pretrained() };
    let (file, notes) = open_weights(path, options, "--check")?;
    tell(&notes, note);
    Ok(file)
}

/// What follows from the map that a scripted network shows by itself: options that are for another are refused, and what
/// takes long is told before.
fn check_default(model: &Model, network: &dyn cbam_core::model::Model, note: &dyn Fn(&str)) -> Result<()> {
    let (Some(options), Some(first)) = (&model.by_default, network.describe().maps.into_iter().next()) else {
        return Ok(());
    };
    let idle = options.iter().find(|(_, method)| first != MapName::explain(*method));
    if let Some((option, method)) = idle {
        let message = format!("has no effect here: it is for --map {method}, and this network shows {first} by itself");
        return Err(Error::argument(format!("--{option}"), message));
    }
    if first == MapName::explain(Method::Rise) {
        let seconds = pace(network)?.as_secs_f64() * f64::from(model.masks);
        let cost = format!("the network runs {} times for each picture, about {}", model.masks, duration(seconds));
        let shorter = "--masks N makes it shorter, --map occlusion too";
        note(&format!("it gives out its classes alone, so the map is rise: {cost}; {shorter}"));
    }
    Ok(())
}

/// How long a network takes for one picture: the best of three, as TorchScript makes code faster at first.
fn pace(network: &dyn cbam_core::model::Model) -> Result<Duration> {
    let Some(features) = network.features() else { return Ok(Duration::ZERO) };
    let size = network.describe().preprocess.network_size(ImageSize::new(1, 1));
    let grey = Array4::zeros((1, 3, size.height as usize, size.width as usize));
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        features.logits(grey.view())?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}
