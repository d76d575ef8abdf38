//! What opens networks for the programs.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use cbam_core::Result;
use cbam_core::classes::Outputs;
use cbam_core::device::{DeviceSpec, ForwardPrecision};
use cbam_core::graph::{Graph, Score};
use cbam_core::model::Model;
use cbam_core::network::{Agreement, NetworkConfig, NetworkFile, Reference};
use cbam_core::photo::{Channels, Preprocess};

/// What opens networks, and runs them.
pub trait Backend: Sync {
    /// What this build lacks, for `--version`; none if it has all.
    fn lacks(&self) -> Option<&'static str>;

    /// What scores depend on beside this program's own code: the version of libtorch, say.
    fn libraries(&self) -> String;

    /// Makes ready what networks are to run on, before anything is read; what it is in the end.
    ///
    /// # Errors
    /// [`Error::Device`](cbam_core::Error::Device) if the device is not there; [`Error::Argument`](cbam_core::Error::Argument) for
    /// what this build has not, or options that do not go together.
    fn ready(&self, how: &How) -> Result<DeviceSpec>;

    /// The network of a weights file, ready to look.
    ///
    /// # Errors
    /// [`Error::Weights`](cbam_core::Error::Weights) if its tensors do not fit.
    fn network(&self, file: NetworkFile, how: &How, taken: &Taken) -> Result<Box<dyn Model>>;

    /// A scripted network, and what was assumed about it, a line each.
    ///
    /// # Errors
    /// [`Error::Weights`](cbam_core::Error::Weights) if the file is none, or it fails.
    fn script(&self, script: &Script, how: &How) -> Result<(Box<dyn Model>, Vec<String>)>;

    /// A network by its graph, and what was assumed about it, a line each.
    ///
    /// # Errors
    /// [`Error::Weights`](cbam_core::Error::Weights) if it cannot be run; [`Error::Argument`](cbam_core::Error::Argument) for options
    /// that do not go with it.
    fn graph(&self, graph: Graph, how: &How, taken: &GraphTaken) -> Result<(Box<dyn Model>, Vec<String>)>;

    /// The network of a weights file against a reference, in each form that this build has.
    ///
    /// # Errors
    /// As [`network`](Self::network); those of [`Reference::compare`].
    fn compare(&self, file: NetworkFile, how: &How, taken: &Taken, reference: &Reference) -> Result<Vec<Compared>>;

    /// The logits of a scripted network against a reference; and what was assumed about it.
    ///
    /// # Errors
    /// As [`script`](Self::script); those of [`Reference::compare`].
    fn compare_script(&self, script: &Script, how: &How, reference: &Reference)
    -> Result<(Vec<Compared>, Vec<String>)>;

    /// The logits of a network by its graph against a reference; and what was assumed about it.
    ///
    /// # Errors
    /// As [`graph`](Self::graph); those of [`Reference::compare`].
    fn compare_graph(
        &self,
        graph: Graph,
        how: &How,
        taken: &GraphTaken,
        reference: &Reference,
    ) -> Result<(Vec<Compared>, Vec<String>)>;
}

/// One form of a network, and how far its results are from a reference.
pub type Compared = (&'static str, Vec<Agreement>);

/// What a network runs on.
#[derive(Debug, Clone)]
pub struct How {
    /// The device.
    pub device: DeviceSpec,
    /// What it computes with.
    pub precision: ForwardPrecision,
    /// How many threads.
    pub threads: NonZeroUsize,
    /// Every picture goes through by itself.
    pub deterministic: bool,
}

impl How {
    /// On that device in f32, with as many threads or as many as there are cores.
    pub fn on(device: DeviceSpec, threads: Option<NonZeroUsize>) -> Self {
        let threads = threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        Self { device, precision: ForwardPrecision::F32, threads, deterministic: false }
    }
}

/// How the network of a weights file is taken, where that is not its own way.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// How it takes pictures.
    pub input: InputChange,
    /// What its numbers for the classes are.
    pub outputs: Option<Outputs>,
}

impl Taken {
    /// How a network takes pictures in the end.
    pub fn preprocess(&self, config: &NetworkConfig) -> Preprocess {
        self.input.apply(config.preprocess())
    }
}

/// How a network by its graph is taken, where that is not its own way.
#[derive(Debug, Clone, Default)]
pub struct GraphTaken {
    /// The short side of pictures, in pixels, if it is said.
    pub short_side: Option<u32>,
    /// How it takes pictures, and what its numbers for the classes are.
    pub taken: Taken,
    /// What explanations are of instead of a class.
    pub score: Option<Score>,
    /// The names of its classes, if they are said, and the file that says them.
    pub labels: Option<(Vec<String>, PathBuf)>,
}

/// What of a network's input is not as the network has it by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputChange {
    /// In pixels of 0 to 255.
    pub mean: Option<[f32; 3]>,
    /// Likewise.
    pub std: Option<[f32; 3]>,
    /// What stands for a pixel.
    pub channels: Option<Channels>,
    /// Squares, whatever the picture.
    pub square: bool,
}

/// A scripted network, how it sees pictures, and what is said of its outputs.
#[derive(Debug)]
pub struct Script {
    /// Its file.
    pub path: PathBuf,
    /// How it takes pictures.
    pub preprocess: Preprocess,
    /// Its outputs that are maps, counted from 0; none stands for all that have the shape.
    pub maps: Option<Vec<usize>>,
    /// The one that is of the classes; none stands for the first that has the shape.
    pub classes: Option<usize>,
    /// What the numbers for the classes are, if that is said.
    pub outputs: Option<Outputs>,
}

impl InputChange {
    /// A network's own way, changed.
    pub fn apply(&self, own: Preprocess) -> Preprocess {
        Preprocess {
            mean: self.mean.unwrap_or(own.mean),
            std: self.std.unwrap_or(own.std),
            channels: self.channels.unwrap_or(own.channels),
            max_ratio: if self.square { 1 } else { own.max_ratio },
            ..own
        }
    }
}
