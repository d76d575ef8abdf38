//! Opening the network.

use std::time::{Duration, Instant};

use cbam_core::graph::{Find, Graph};
use cbam_core::maps::{MapName, Method};
use cbam_core::model::Description;
use cbam_core::network::NetworkFile;
use cbam_core::photo::ImageSize;
use cbam_core::{Error, Result};
use ndarray::Array4;

use crate::backend::{Backend, GraphTaken};
use crate::common::described::Described;
use crate::common::doubts::remedies;
use crate::common::duration::duration;
use crate::common::graphs::GraphFiles;
use crate::common::opening::open_weights;
use crate::run::request::{Model, ModelKind};

/// Opens the network on the device that is asked for, in the form in which it runs. `note` is told what was assumed about it.
pub(crate) fn open(
    backend: &dyn Backend,
    model: &Model,
    note: &dyn Fn(&str),
) -> Result<Box<dyn cbam_core::model::Model>> {
    backend.ready(&model.how).map_err(|error| error.advised(&remedies))?;
    if let ModelKind::Script(script) = &model.kind {
        let (network, notes) = backend.script(script, &model.how)?;
        tell(&notes, note);
        check_default(model, &*network, note)?;
        return Ok(network);
    }
    if let Some(files) = graph_files(&model.kind) {
        let (graph, taken) = (graph(&files, note)?, graph_taken(&files, model, note)?);
        let (network, notes) = backend.graph(graph, &model.how, &taken)?;
        tell(&notes, note);
        check_default(model, &*network, note)?;
        return Ok(network);
    }
    backend.network(file(&model.kind, note)?, &model.how, &model.taken)
}

/// Tells every line.
pub(crate) fn tell(lines: &[String], note: &dyn Fn(&str)) {
    for line in lines {
        note(line);
    }
}

/// The files of a network that is known by its graph; `None` if it is another.
pub(crate) fn graph_files(kind: &ModelKind) -> Option<GraphFiles> {
    match kind {
        ModelKind::Weights { path, options } => GraphFiles::of(None, Some(path), options.clone()),
        ModelKind::Graph { path, weights, options } => GraphFiles::of(Some(path), weights.as_deref(), options.clone()),
        _ => None,
    }
}

/// The graph of these files; `note` is told what a user should know of them.
pub(crate) fn graph(files: &GraphFiles, note: &dyn Fn(&str)) -> Result<Graph> {
    let (graph, notes) = files.open()?;
    tell(&notes, note);
    Ok(graph)
}

/// How a network by its graph is taken; `note` is told what says so.
pub(crate) fn graph_taken(files: &GraphFiles, model: &Model, note: &dyn Fn(&str)) -> Result<GraphTaken> {
    let Model { short_side, score, taken, .. } = model;
    let given = GraphTaken { short_side: *short_side, taken: taken.clone(), score: score.clone(), labels: None };
    let (taken, said) = Described::completed(&files.graph, given)?;
    tell(said.as_slice(), note);
    Ok(taken)
}

/// The network as its file has it; not a scripted one, nor one by its graph.
pub(crate) fn file(kind: &ModelKind, note: &dyn Fn(&str)) -> Result<NetworkFile> {
    let ModelKind::Weights { path, options } = kind else { return NetworkFile::pretrained() };
    let (file, notes) = open_weights(path, options, "--check")?;
    tell(&notes, note);
    Ok(file)
}

/// What follows from the map that a scripted network shows by itself: options that are for another are refused, and what
/// takes long is told before.
fn check_default(model: &Model, network: &dyn cbam_core::model::Model, note: &dyn Fn(&str)) -> Result<()> {
    let (Some(options), Some(first)) = (&model.by_default, network.describe().maps.into_iter().next()) else {
        return Ok(());
    };
    let idle = options.iter().find(|(_, method)| first != MapName::explain(*method));
    if let Some((option, method)) = idle {
        let message = format!("has no effect here: it is for --map {method}, and this network shows {first} by itself");
        return Err(Error::argument(format!("--{option}"), message));
    }
    if first == MapName::explain(Method::Rise) {
        let seconds = pace(network)?.as_secs_f64() * f64::from(model.masks);
        let cost = format!("the network runs {} times for each picture, about {}", model.masks, duration(seconds));
        let shorter = "--masks N makes it shorter, --map occlusion too";
        note(&format!("it gives out its classes alone, so the map is rise: {cost}; {shorter}"));
    }
    Ok(())
}

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

/// How long a network takes for one picture: the best of three, as TorchScript makes code faster at first.
fn pace(network: &dyn cbam_core::model::Model) -> Result<Duration> {
    let Some(features) = network.features() else { return Ok(Duration::ZERO) };
    let size = network.describe().preprocess.network_size(ImageSize::new(1, 1));
    let grey = Array4::zeros((1, 3, size.height as usize, size.width as usize));
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        features.logits(grey.view())?;
        best = best.min(start.elapsed());
    }
    Ok(best)
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
