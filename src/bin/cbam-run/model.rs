//! Opening the network.

use std::num::NonZeroUsize;

use cbam::maps::{MapName, Method};
use cbam::model::Model as _;
use cbam::network::{ForwardPrecision, Inference, Network, NetworkFile};
use cbam::text::printable_path;
use cbam::torchscript::ScriptedNetwork;
use cbam::{Error, Result};
use tch::Device;

use crate::doubts::{options_for, remedies};
use crate::duration::duration;
use crate::opening::advised;
use crate::request::{Model, ModelKind};

/// A network as its file has it.
pub(crate) enum Opened {
    /// On a CPU in f32.
    Inference(Box<Inference>),
    Network(Box<Network>),
    Script(Box<ScriptedNetwork>),
}

/// Opens the network on the device that is asked for, in the form in which it runs, and bounds libtorch's threads. `note` is
/// told what was assumed about it.
pub(crate) fn open(model: &Model, note: &dyn Fn(&str)) -> Result<Box<dyn cbam::model::Model>> {
    Ok(match load(model, note)? {
        Opened::Inference(network) if model.deterministic => Box::new(network.one_by_one()),
        Opened::Inference(network) => {
            cbam::sys::set_threads(model.threads); // for gradients
            network
        }
        Opened::Network(network) if model.deterministic => Box::new(network.one_by_one()),
        Opened::Network(network) => {
            cbam::sys::set_threads(model.threads);
            network
        }
        Opened::Script(network) => {
            check_default(model, &network, note)?;
            if model.deterministic { Box::new(network.one_by_one()) } else { network }
        }
    })
}

/// Opens the network.
pub(crate) fn load(model: &Model, note: &dyn Fn(&str)) -> Result<Opened> {
    let device = cbam::sys::resolve(model.device).map_err(|error| error.advised(&remedies))?;
    if model.deterministic && device != Device::Cpu {
        let message = "holds on a CPU alone: a GPU's libraries choose how they add up; give --device cpu besides";
        return Err(Error::argument("--deterministic", message));
    }
    // While it opens, one will do.
    cbam::sys::set_threads(NonZeroUsize::MIN);
    let file = match &model.kind {
        ModelKind::Bundled => NetworkFile::pretrained()?,
        ModelKind::Weights { path, options } => {
            let file = NetworkFile::open(path, options);
            let file = file.map_err(|error| advised(error, Some("--mean and --std")))?;
            let say = options_for("else --size, --mean, --std; --check compares");
            file.notes_with(&say).iter().for_each(|line| note(&format!("{}: {line}", printable_path(path))));
            file
        }
        ModelKind::Script(script) => {
            if !model.deterministic {
                cbam::sys::set_threads(model.threads);
            }
            let (network, notes) = script.open(device)?;
            for line in &notes {
                note(line);
            }
            return Ok(Opened::Script(Box::new(network)));
        }
    };
    let input = model.input.apply(file.config.preprocess());
    if device == Device::Cpu && model.precision == ForwardPrecision::F32 {
        let mut network = Inference::of_file(file)?.with_preprocess(input)?;
        if let Some(outputs) = model.outputs {
            network = network.with_outputs(outputs)?;
        }
        return Ok(Opened::Inference(Box::new(network)));
    }
    let mut network = Network::of_file(file, device)?.network.with_preprocess(input)?;
    if let Some(outputs) = model.outputs {
        network = network.with_outputs(outputs)?;
    }
    Ok(Opened::Network(Box::new(network.in_precision(model.precision)?)))
}

/// What follows from the map that a scripted network shows by itself: options that are for another are refused, and what
/// takes long is told before.
fn check_default(model: &Model, network: &ScriptedNetwork, note: &dyn Fn(&str)) -> Result<()> {
    let (Some(options), Some(first)) = (&model.by_default, network.describe().maps.into_iter().next()) else {
        return Ok(());
    };
    let idle = options.iter().find(|(_, method)| first != MapName::explain(*method));
    if let Some((option, method)) = idle {
        let message = format!("has no effect here: it is for --map {method}, and this network shows {first} by itself");
        return Err(Error::argument(format!("--{option}"), message));
    }
    if first == MapName::explain(Method::Rise) {
        let seconds = network.pace()?.as_secs_f64() * f64::from(model.masks);
        let cost = format!("the network runs {} times for each picture, about {}", model.masks, duration(seconds));
        let shorter = "--masks N makes it shorter, --map occlusion too";
        note(&format!("it gives out its classes alone, so the map is rise: {cost}; {shorter}"));
    }
    Ok(())
}

/// The names of the network's maps, one a line.
pub(crate) fn list_maps(model: &Model) -> Result<String> {
    let network = open(model, &|_| {})?.describe();
    let name = |name: &MapName| match name {
        MapName::Explain { method, .. } if method.needs_stage() => format!("{method}[:STAGE]"),
        name => name.to_string(),
    };
    let mut names: Vec<_> = network.maps.iter().map(name).collect();
    if names.iter().any(|name| name == "patch") {
        names.push("patch@X,Y".into());
    }
    let stages = network.places.join(", ");
    if let (Some(place), false) = (&network.default_place, stages.is_empty()) {
        names.push(format!("STAGE is one of {stages}; without one it is {place}."));
    }
    Ok(names.join("\n") + "\n")
}
