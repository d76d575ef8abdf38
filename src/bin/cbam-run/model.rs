//! Opening the network.

use std::num::NonZeroUsize;

use cbam::maps::MapName;
use cbam::network::{HEAD, Network};
use cbam::pipeline::Inspect;
use cbam::torchscript::ScriptedNetwork;
use cbam::{Error, Result};
use tch::Device;

use crate::common::say;
use crate::request::{Model, ModelKind};

/// A network as its file has it.
pub(crate) enum Opened {
    Network(Box<Network>),
    Script(Box<ScriptedNetwork>),
}

/// Opens the network on the device that is asked for, and bounds libtorch's threads.
pub(crate) fn open(model: &Model) -> Result<Box<dyn Inspect>> {
    Ok(match load(model)? {
        Opened::Network(network) if model.deterministic => Box::new(network.for_inference().one_by_one()),
        Opened::Network(network) => {
            let network = network.for_inference();
            if !network.is_prepared() {
                cbam::sys::set_threads(model.threads);
            }
            Box::new(network)
        }
        Opened::Script(network) if model.deterministic => Box::new(network.one_by_one()),
        Opened::Script(network) => network,
    })
}

/// Opens the network, not yet in the form for inference.
pub(crate) fn load(model: &Model) -> Result<Opened> {
    let device = cbam::sys::resolve(model.device)?;
    if model.deterministic && device != Device::Cpu {
        let message = "holds on a CPU alone: a GPU's libraries choose how they add up; give --device cpu besides";
        return Err(Error::argument("--deterministic", message));
    }
    // While it opens, one will do; and a network on the crate's own kernels needs no more.
    cbam::sys::set_threads(NonZeroUsize::MIN);
    let network = match &model.kind {
        ModelKind::Bundled => Network::pretrained(device)?,
        ModelKind::Weights { path, options } => {
            let opened = Network::open_with(path, options, device)?;
            opened.notes().iter().for_each(|note| say(format_args!("{}: {note}", path.display())));
            opened.network
        }
        ModelKind::Script { path, preprocess, outputs } => {
            if !model.deterministic {
                cbam::sys::set_threads(model.threads);
            }
            let network = ScriptedNetwork::open(path, device, preprocess.clone(), outputs.as_deref())?;
            return Ok(Opened::Script(Box::new(network)));
        }
    };
    Ok(Opened::Network(Box::new(network.in_precision(model.precision)?)))
}

/// The names of the network's maps, one a line.
pub(crate) fn list_maps(model: &Model) -> Result<String> {
    let network = open(model)?;
    let name = |name: &MapName| match name {
        MapName::Explain { method, .. } if method.needs_stage() => format!("{method}[:STAGE]"),
        name => name.to_string(),
    };
    let mut names: Vec<_> = network.map_names().iter().map(name).collect();
    if names.iter().any(|name| name == "patch") {
        names.push("patch@X,Y".into());
    }
    let stages = network.places().join(", ");
    if !stages.is_empty() {
        names.push(format!("STAGE is one of {stages}; without one it is {HEAD}."));
    }
    Ok(names.join("\n") + "\n")
}
