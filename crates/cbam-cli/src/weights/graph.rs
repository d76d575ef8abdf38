//! What `inspect` prints of a network's graph.

use std::fmt::Write as _;

use anyhow::Result;
use cbam_core::graph::{Find, FoundAttention, GateKind, Graph, Node, PlaceForm, Side};
use cbam_core::text::printable;

/// What wrote it, what it takes and gives out, what was found in it by the shapes that it was exported with, and its numbers.
pub(super) fn describe(graph: &Graph) -> Result<String> {
    let mut text = String::new();
    let shapes = graph.example_shapes();
    let found = Find::new(graph, &shapes).all();
    let producer = if graph.producer.is_empty() { "nobody who says so" } else { &graph.producer };
    writeln!(text, "format      {}, by {}", printable(&graph.format), printable(producer))?;
    writeln!(text, "operations  {}, of {} kinds", graph.nodes.len(), graph.operators().len())?;
    let parameters: usize = graph.weights.iter().map(|weight| weight.tensor.len()).sum();
    writeln!(text, "numbers     {} in {} tensors", parameters, graph.weights.len())?;
    for input in &graph.inputs {
        let about = graph.about(input.value);
        let dtype = about.dtype.map_or_else(String::new, |dtype| dtype.to_string());
        let sides: Vec<_> = about.sides.iter().flatten().map(side).collect();
        writeln!(text, "input       {} {dtype} [{}]", printable(&input.name), sides.join(", "))?;
    }
    for (place, output) in graph.outputs.iter().enumerate() {
        let shape = output.value.and_then(|value| shapes[value.index()].as_ref());
        let shape = shape.map_or_else(|| "no tensor".to_owned(), |shape| format!("{shape:?}"));
        let classes = found.classes.as_ref().filter(|classes| classes.index == place);
        let classes = classes.map_or_else(String::new, |classes| format!(", of classes: ends in {}", classes.ends_in));
        writeln!(text, "output      {} {shape}{classes}", printable(&output.name))?;
    }
    let made = graph.nodes.iter().flat_map(Node::makes);
    if !made.into_iter().any(|value| shapes[value.index()].is_some()) {
        // Gates and the like are found by their shapes.
        writeln!(
            text,
            "found       is told when it runs, since the file says no shapes: cbam-run --list-maps --weights FILE"
        )?;
    }
    for gate in &found.gates {
        let kind = match gate.kind {
            GateKind::Channel => "channel",
            GateKind::Spatial => "spatial",
            GateKind::Coordinate => "coordinate",
            GateKind::Full => "channel and spatial",
        };
        writeln!(text, "gate        {}: {kind}", printable(&gate.name))?;
    }
    for FoundAttention { name, heads, grid: [rows, columns], before, after, .. } in &found.attention {
        let others = if before + after > 0 { format!(", {} other tokens", before + after) } else { String::new() };
        writeln!(text, "attention   {}: {heads} heads over {rows}x{columns} patches{others}", printable(name))?;
    }
    for (module, why) in &found.left_out {
        writeln!(text, "left out    attention of {}: {why}", printable(module))?;
    }
    for (place, of) in found.places.iter().enumerate() {
        let form = match of.form {
            PlaceForm::Maps => "maps",
            PlaceForm::ChannelsLast => "maps, channels last",
            PlaceForm::Tokens { .. } => "tokens",
        };
        let shape = shapes[of.value.index()].as_deref().unwrap_or_default();
        let default = if found.default_place == Some(place) { ", where explanations look by themselves" } else { "" };
        writeln!(text, "place       {}: {form} {shape:?}{default}", printable(&of.name))?;
    }
    let names: Vec<_> = graph.weights.iter().map(|weight| printable(&weight.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, weight) in names.iter().zip(&graph.weights) {
        writeln!(text, "{name:width$}  {:5} {:?}", weight.tensor.dtype(), weight.tensor.shape())?;
    }
    Ok(text)
}

/// A side as it was, or how it may change.
fn side(side: &Side) -> String {
    match &side.free {
        None => side.example.to_string(),
        Some(free) => {
            let (least, most) = free.range;
            let most = if most == i64::MAX { "any".to_owned() } else { most.to_string() };
            let step = if free.step > 1 { format!(" by {}", free.step) } else { String::new() };
            format!("{least} to {most}{step}")
        }
    }
}
