//! The light build: the core alone, which needs no libtorch; all its programs in one file.

use std::ffi::OsString;
use std::path::Path;

use cbam_core::device::{DeviceSpec, ForwardPrecision};
use cbam_core::graph::Graph;
use cbam_core::model::Model;
use cbam_core::network::{InferenceNetwork, NetworkFile, Reference};
use cbam_core::{Error, Result};
use clap::Command;

use crate::backend::{Backend, Compared, GraphTaken, How, Script, Taken};
use crate::common::{Called, command, end, leave, manual, printed};

/// Where what this build lacks is to be had.
const FULL: &str = "the full build has that (make install)";

/// The core's networks: CPUs, f32 and bf16.
#[derive(Debug)]
pub struct Light;

impl Light {
    fn open(file: &NetworkFile, how: &How, taken: &Taken) -> Result<InferenceNetwork> {
        let mut network = file.for_inference()?.with_preprocess(taken.preprocess(&file.config))?;
        if let Some(outputs) = taken.outputs {
            network = network.with_outputs(outputs)?;
        }
        let network = network.in_precision(how.precision)?;
        Ok(if how.deterministic { network.one_by_one() } else { network })
    }
}

impl Backend for Light {
    fn lacks(&self) -> Option<&'static str> {
        Some("light build: networks run on the CPU, without libtorch")
    }

    fn libraries(&self) -> String {
        String::new()
    }

    fn ready(&self, how: &How) -> Result<DeviceSpec> {
        if let DeviceSpec::Cuda(_) = how.device {
            let message = format!("this is the light build, which runs networks on the CPU alone; {FULL}");
            return Err(Error::Device { device: how.device.to_string(), message, remedy: None });
        }
        if how.precision == ForwardPrecision::F16 {
            let message = format!("f16 needs libtorch, and this is the light build; {FULL}");
            return Err(Error::argument("--precision", message));
        }
        Ok(DeviceSpec::Cpu)
    }

    fn network(&self, file: NetworkFile, how: &How, taken: &Taken) -> Result<Box<dyn Model>> {
        Ok(Box::new(Self::open(&file, how, taken)?))
    }

    fn script(&self, script: &Script, _: &How) -> Result<(Box<dyn Model>, Vec<String>)> {
        Err(no_script(script))
    }

    fn graph(&self, graph: Graph, _: &How, _: &GraphTaken) -> Result<(Box<dyn Model>, Vec<String>)> {
        Err(no_graph(&graph))
    }

    fn compare(&self, file: NetworkFile, how: &How, taken: &Taken, reference: &Reference) -> Result<Vec<Compared>> {
        Ok(vec![("as it runs", reference.compare_inference(&Self::open(&file, how, taken)?)?)])
    }

    fn compare_script(&self, script: &Script, _: &How, _: &Reference) -> Result<(Vec<Compared>, Vec<String>)> {
        Err(no_script(script))
    }

    fn compare_graph(
        &self,
        graph: Graph,
        _: &How,
        _: &GraphTaken,
        _: &Reference,
    ) -> Result<(Vec<Compared>, Vec<String>)> {
        Err(no_graph(&graph))
    }
}

fn no_graph(graph: &Graph) -> Error {
    Error::weights(graph.file(), format!("a network's graph runs on libtorch, and this is the light build; {FULL}"))
}

fn no_script(script: &Script) -> Error {
    Error::weights(&script.path, format!("TorchScript runs on libtorch, and this is the light build; {FULL}"))
}

/// The program that the light build's one file is called by, or that its first word names.
pub fn main() -> ! {
    let mut arguments = std::env::args_os();
    let path = arguments.next().unwrap_or_default();
    let name = Path::new(&path).file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    if let Some(word) = name.strip_prefix("cbam-").filter(|word| *word == "train" || program(word).is_some()) {
        start(word, Called { name: None, arguments: std::env::args_os().collect() });
    }
    let rest: Vec<OsString> = arguments.collect();
    let word = rest.first().and_then(|word| word.to_str()).unwrap_or_default().to_owned();
    if word == "train" || program(&word).is_some() {
        start(&word, Called { name: Some(format!("cbam {word}")), arguments: rest });
    }
    together(std::iter::once(path).chain(rest).collect())
}

/// A program by the first word that names it.
fn program(word: &str) -> Option<fn(&Called) -> !> {
    match word {
        "run" => Some(|called| crate::run::main(&Light, called)),
        "weights" => Some(|called| crate::weights::main(&Light, called)),
        "eval" => Some(|called| crate::eval::main(&Light, called)),
        #[cfg(feature = "view")]
        "view" => Some(|called| crate::view::main(&Light, called)),
        _ => None,
    }
}

fn start(word: &str, called: Called) -> ! {
    match program(word) {
        Some(program) => program(&called),
        None => end(Err(anyhow::anyhow!("training needs libtorch, and this is the light build; {FULL}"))),
    }
}

/// Without a program: help, the version, a completion script, the manual page, of all programs together.
fn together(arguments: Vec<OsString>) -> ! {
    let programs = [
        ("run", command::<crate::run::args::Args>(&Light)),
        ("eval", command::<crate::eval::args::Cli>(&Light)),
        ("weights", command::<crate::weights::args::Cli>(&Light)),
        #[cfg(feature = "view")]
        ("view", command::<crate::view::args::Args>(&Light)),
    ];
    let bare = Command::new("cbam")
        .about("See where a convolutional network looks, on the CPU: without libtorch")
        .long_about(
            "See where a convolutional network looks, on the CPU: without libtorch.\n\nThe programs cbam-run, cbam-eval, cbam-weights \
             and cbam-view in one file: by its first word, or by its name. GPUs, f16, TorchScript, gradients at inner stages and \
             training are in the full build.",
        )
        .version(concat!(env!("CARGO_PKG_VERSION"), " (light build: networks run on the CPU, without libtorch)"))
        .subcommand_required(true)
        .arg_required_else_help(true);
    let all = manual::with_manual(bare).subcommands(programs.map(|(word, program)| program.name(word)));
    match manual::printed(&all, &arguments) {
        Ok(Some(text)) => end(Ok(printed(&text))),
        Ok(None) => match all.try_get_matches_from(arguments) {
            Err(usage) => leave(usage),
            Ok(_) => end(Err(anyhow::anyhow!("no program is named: run, eval, weights or view"))),
        },
        Err(usage) => leave(usage),
    }
}
