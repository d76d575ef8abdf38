//! Opening the network.

use cbam::Result;
use cbam::maps::MapName;
use cbam::network::{HEAD, Network};
use cbam::pipeline::Inspect;

use crate::request::Model;

/// Opens the network on the device that is asked for, and bounds libtorch's threads.
pub(crate) fn open(model: &Model) -> Result<Network> {
    let device = cbam::sys::resolve(model.device)?;
    cbam::sys::set_threads(model.threads);
    match &model.weights {
        Some(path) => Network::open(path, device),
        None => Network::pretrained(device),
    }
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
    let stages = Inspect::places(&network).join(", ");
    Ok(format!("{}\nSTAGE is one of {stages}; without one it is {HEAD}.\n", names.join("\n")))
}
