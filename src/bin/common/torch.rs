//! libtorch as what opens networks for the programs.

use std::num::NonZeroUsize;

use cbam::device::{DeviceSpec, ForwardPrecision};
use cbam::graph::{Graph, GraphNetwork};
use cbam::model::Model;
use cbam::network::{Inference, Network, NetworkFile, Reference};
use cbam::photo::{ImageSize, Preprocess};
use cbam::sys::{resolve, set_threads};
use cbam::text::printable_path;
use cbam::torchscript::{ScriptOptions, ScriptedNetwork};
use cbam_cli::common::doubts::{options_for, remedies};
use cbam_cli::{Backend, Compared, GraphTaken, How, Script, Taken};
use cbam_core::{Error, Result};
use tch::Device;

/// Networks of the core where it has them, on a CPU in f32 and bf16, and libtorch's for all else.
pub(crate) struct Torch;

impl Backend for Torch {
    fn lacks(&self) -> Option<&'static str> {
        None
    }

    fn libraries(&self) -> String {
        env!("CBAM_LIBTORCH").to_owned()
    }

    fn ready(&self, how: &How) -> Result<DeviceSpec> {
        let device = resolve(how.device)?;
        if how.deterministic && device != Device::Cpu {
            let message = "holds on a CPU alone: a GPU's libraries choose how they add up; give --device cpu besides";
            return Err(Error::argument("--deterministic", message));
        }
        // While networks open, one will do.
        set_threads(NonZeroUsize::MIN);
        Ok(match device {
            Device::Cuda(index) => DeviceSpec::Cuda(index),
            _ => DeviceSpec::Cpu,
        })
    }

    fn network(&self, file: NetworkFile, how: &How, taken: &Taken) -> Result<Box<dyn Model>> {
        Ok(match Opened::of(file, how, taken)? {
            Opened::Inference(network) if how.deterministic => Box::new(network.one_by_one()),
            Opened::Network(network) if how.deterministic => Box::new(network.one_by_one()),
            opened => {
                set_threads(how.threads); // of a network for inference, for gradients
                match opened {
                    Opened::Inference(network) => network,
                    Opened::Network(network) => network,
                }
            }
        })
    }

    fn script(&self, script: &Script, how: &How) -> Result<(Box<dyn Model>, Vec<String>)> {
        let (network, notes) = scripted(script, how)?;
        Ok((if how.deterministic { Box::new(network.one_by_one()) } else { Box::new(network) }, notes))
    }

    fn graph(&self, graph: Graph, how: &How, taken: &GraphTaken) -> Result<(Box<dyn Model>, Vec<String>)> {
        let (network, notes) = by_graph(graph, how, taken)?;
        Ok((if how.deterministic { Box::new(network.one_by_one()) } else { Box::new(network) }, notes))
    }

    fn compare(&self, file: NetworkFile, how: &How, taken: &Taken, reference: &Reference) -> Result<Vec<Compared>> {
        let by_libtorch = |network: &Network| -> Result<Compared> {
            Ok(("libtorch", reference.compare(&network.answer(reference)?)?))
        };
        match Opened::of(file, how, taken)? {
            Opened::Inference(network) => {
                let first = by_libtorch(network.network()?)?;
                Ok(vec![first, ("as it runs", reference.compare_inference(&network)?)])
            }
            Opened::Network(network) => Ok(vec![by_libtorch(&network)?]),
        }
    }

    fn compare_script(
        &self,
        script: &Script,
        how: &How,
        reference: &Reference,
    ) -> Result<(Vec<Compared>, Vec<String>)> {
        let (network, notes) = scripted(script, how)?;
        let logits = network.answer(reference)?;
        Ok((vec![("TorchScript", reference.compare_only_logits(&logits)?)], notes))
    }

    fn compare_graph(
        &self,
        graph: Graph,
        how: &How,
        taken: &GraphTaken,
        reference: &Reference,
    ) -> Result<(Vec<Compared>, Vec<String>)> {
        let (network, notes) = by_graph(graph, how, taken)?;
        let logits = network.answer(reference)?;
        Ok((vec![("graph", reference.compare_only_logits(&logits)?)], notes))
    }
}

/// A network as its file has it.
enum Opened {
    /// On a CPU in f32 or bf16.
    Inference(Box<Inference>),
    Network(Box<Network>),
}

impl Opened {
    fn of(file: NetworkFile, how: &How, taken: &Taken) -> Result<Self> {
        let (device, input) = (resolve(how.device)?, taken.preprocess(&file.config));
        if device == Device::Cpu && how.precision != ForwardPrecision::F16 {
            let network = Inference::of_file(file)?.with_preprocess(input)?.in_precision(how.precision)?;
            return Ok(Self::Inference(Box::new(match taken.outputs {
                Some(outputs) => network.with_outputs(outputs)?,
                None => network,
            })));
        }
        let network = Network::of_file(file, device)?.network.with_preprocess(input)?;
        let network = match taken.outputs {
            Some(outputs) => network.with_outputs(outputs)?,
            None => network,
        };
        Ok(Self::Network(Box::new(network.in_precision(how.precision)?)))
    }
}

/// A scripted network, and what was assumed about it.
fn scripted(script: &Script, how: &How) -> Result<(ScriptedNetwork, Vec<String>)> {
    if !how.deterministic {
        set_threads(how.threads);
    }
    let mut options = ScriptOptions::default();
    options.maps.clone_from(&script.maps);
    options.classes = script.classes;
    let network = ScriptedNetwork::open_with(&script.path, resolve(how.device)?, script.preprocess.clone(), &options);
    let network = network.map_err(|error| Error::from(error).advised(&remedies))?;
    let network = match script.outputs {
        Some(outputs) => network.with_outputs(outputs)?,
        None => network,
    };
    let (path, say) = (printable_path(&script.path), options_for(""));
    let notes = network.assumptions().iter().map(|line| format!("{path}: {}", line.said_with(&say))).collect();
    Ok((network, notes))
}

/// A network by its graph, and what was assumed about it.
fn by_graph(graph: Graph, how: &How, taken: &GraphTaken) -> Result<(GraphNetwork, Vec<String>)> {
    if how.precision != ForwardPrecision::F32 {
        return Err(Error::argument("--precision", "does not go with a network's graph, which has its own"));
    }
    if !how.deterministic {
        set_threads(how.threads);
    }
    let path = printable_path(graph.file()).to_string();
    let grey = graph.channels() == Some(1);
    let usual = if grey { Preprocess::imagenet_grey() } else { Preprocess::imagenet() };
    let usual = taken.taken.input.apply(usual);
    let asked =
        Preprocess { short_side: taken.short_side.or(graph.exported_side()).unwrap_or(usual.short_side), ..usual };
    let graph = match &taken.score {
        Some(score) => graph.with_score(score)?,
        None => graph,
    };
    let network =
        GraphNetwork::new(graph, resolve(how.device)?, asked).map_err(|error| Error::from(error).advised(&remedies))?;
    let preprocess = network.describe().preprocess;
    let step = if preprocess.fixed.is_some() { 1 } else { preprocess.multiple };
    if let Some(side) = taken.short_side.filter(|side| side.abs_diff(preprocess.short_side) >= step) {
        let size = preprocess.network_size(ImageSize::new(1, 1));
        return Err(Error::argument(
            "--size",
            format!("{side} is no size that the network takes; the nearest is {size}"),
        ));
    }
    let network = match taken.taken.outputs {
        Some(outputs) => network.with_outputs(outputs)?,
        None => network,
    };
    let network = match &taken.labels {
        Some((labels, file)) => network.with_labels(labels).map_err(|error| Error::weights(file, error))?,
        None => network,
    };
    let say = options_for("");
    let mut notes: Vec<String> =
        network.assumptions().iter().map(|line| format!("{path}: {}", line.said_with(&say))).collect();
    if taken.taken.input.mean.is_none() && taken.taken.input.std.is_none() {
        let in_grey = if grey { ", in grey" } else { "" };
        let else_say = "else --mean and --std, or --scale-to";
        notes.push(format!("{path}: pictures are taken to be normalised as for ImageNet{in_grey} ({else_say})"));
    }
    Ok((network, notes))
}
