//! The maps that a network has.

use cbam_core::Result;
use cbam_core::graph::{Find, Graph};
use cbam_core::maps::{MapName, Method};
use cbam_core::model::Description;

use crate::backend::Backend;
use crate::common::network::{Model, graph_files, open};

/// What a graph's file alone says of it, without running it.
fn described(graph: &Graph) -> Description {
    let shapes = graph.example_shapes();
    let found = Find::new(graph, &shapes).all();
    Description {
        maps: found.maps(),
        places: found.places.iter().map(|place| place.name.clone()).collect(),
        default_place: found.default_place.map(|place| found.places[place].name.clone()),
        patch_stages: found.attention_in_order().map(|of| of.name.clone()).collect(),
        ..Description::default()
    }
}

/// The names of the network's maps, one a line.
pub(crate) fn list_maps(backend: &dyn Backend, model: &Model) -> Result<String> {
    let network = match graph_files(&model.kind).filter(|_| backend.lacks().is_some()) {
        Some(files) => described(&files.open()?.0),
        None => open(backend, model, &|_| {})?.describe(),
    };
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
    if !network.without_gradient.is_empty() {
        let follow = Method::ALL.into_iter().filter(|method| method.needs_gradient() && method.needs_stage());
        let follow: Vec<_> = follow.map(|method| method.to_string()).collect();
        let stages = network.without_gradient.join(", ");
        names.push(format!("{} at {stages} need the full build.", follow.join(", ")));
    }
    Ok(names.join("\n") + "\n")
}
