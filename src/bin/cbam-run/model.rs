//! Opening the network.

use cbam::Result;
use cbam::maps::MapName;
use cbam::network::{HEAD, Network};
use cbam::pipeline::Inspect;
use cbam::torchscript::ScriptedNetwork;

use crate::request::{Model, ModelKind};

/// Opens the network on the device that is asked for, and bounds libtorch's threads.
pub(crate) fn open(model: &Model) -> Result<Box<dyn Inspect>> {
    let device = cbam::sys::resolve(model.device)?;
    cbam::sys::set_threads(model.threads);
    Ok(match &model.kind {
        ModelKind::Bundled => Box::new(Network::pretrained(device)?.for_inference()),
        ModelKind::Weights { path, arch: None } => Box::new(Network::open(path, device)?.for_inference()),
        ModelKind::Weights { path, arch: Some(arch) } => {
            let (network, report) = Network::open_as(path, *arch, device)?;
            if !report.is_complete() {
                eprintln!("cbam-run: {}: taken for {arch}: {report}", path.display());
            }
            Box::new(network.for_inference())
        }
        ModelKind::Script { path, preprocess, outputs } => {
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
