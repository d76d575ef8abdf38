//! Opening the network.

use cbam::Result;
use cbam::network::Network;
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
    let mut names: Vec<_> = network.map_names().iter().map(ToString::to_string).collect();
    if names.iter().any(|name| name == "patch") {
        names.push("patch@X,Y".into());
    }
    Ok(names.join("\n") + "\n")
}
