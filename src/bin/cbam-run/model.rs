//! Opening the network.

use std::num::NonZeroUsize;

use cbam::Result;
use cbam::maps::MapName;
use cbam::network::{HEAD, Network};
use cbam::pipeline::Inspect;
use cbam::torchscript::ScriptedNetwork;

use crate::common::say;
use crate::request::{Model, ModelKind};

/// Opens the network on the device that is asked for, and bounds libtorch's threads.
pub(crate) fn open(model: &Model) -> Result<Box<dyn Inspect>> {
    let device = cbam::sys::resolve(model.device)?;
    // While it opens, one will do; and a network on the crate's own kernels needs no more.
    cbam::sys::set_threads(NonZeroUsize::MIN);
    let ready = |network: Network| {
        let network = network.in_precision(model.precision)?.for_inference();
        if !network.is_prepared() {
            cbam::sys::set_threads(model.threads);
        }
        Ok::<_, cbam::Error>(Box::new(network))
    };
    Ok(match &model.kind {
        ModelKind::Bundled => ready(Network::pretrained(device)?)?,
        ModelKind::Weights { path, options } => {
            let opened = Network::open_with(path, options, device)?;
            opened.notes().iter().for_each(|note| say(format_args!("{}: {note}", path.display())));
            ready(opened.network)?
        }
        ModelKind::Script { path, preprocess, outputs } => {
            cbam::sys::set_threads(model.threads);
            Box::new(ScriptedNetwork::open(path, device, preprocess.clone(), outputs.as_deref())?)
        }
    })
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
