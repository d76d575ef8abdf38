//! ONNX files: the same graph, and the same operations, as those of `torch.export`.
//!
//! | module | what |
//! |---|---|
//! | `proto`, `tensors` | the file's messages, and its numbers, in it or beside it |
//! | `builder`, `call`, `known`, `names` | making a graph of its operations |
//! | `numbers`, `lists` | what it computes of shapes |
//! | `operators` | what each operator is in PyTorch |

mod builder;
mod call;
#[cfg(test)]
mod hostile_tests;
mod known;
mod lists;
mod names;
mod numbers;
mod operators;
mod proto;
mod tensors;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;

use super::export::MAX_NODES;
use super::program::{Free, Graph, Input, Output, Side};
use builder::{Builder, Scope, called, is_onnx, tensor};
use known::{Known, Tensor};
use tensors::Storage;

/// The operator sets that are read.
const SETS: std::ops::RangeInclusive<i64> = 7..=24;
/// Where the graph of a file begins at the latest.
const LATEST: u64 = 1 << 20;
/// How many operators that are not known a message names.
const NAMED: usize = 12;

/// Whether a file is a model of ONNX, as its first bytes tell.
pub(super) fn is_at(path: &Path) -> bool {
    let mut first = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LATEST).read_to_end(&mut first));
    read.is_ok() && is_model(&first)
}

/// The same of its bytes.
pub(super) fn is_model(mut bytes: &[u8]) -> bool {
    proto::begins_a_model(&mut bytes) == Some(true)
}

/// Reads a model; numbers that lie in other files are looked for in `folder`.
pub(super) fn graph(name: &Path, bytes: &Bytes, folder: Option<&Path>) -> Result<Graph, String> {
    let model: proto::Model = proto::message(bytes).map_err(|error| format!("a model of ONNX: {error}"))?;
    let version = builder::version(&model.opset_import, "");
    if !SETS.contains(&version) {
        let (first, last) = (SETS.start(), SETS.end());
        return Err(format!("a model of ONNX of operator set {version}; sets {first} to {last} are read"));
    }
    let body: proto::Graph = proto::message(&model.graph).map_err(|error| format!("its graph: {error}"))?;
    if !body.sparse_initializer.is_empty() {
        return Err("holds sparse tensors, which are not read".to_owned());
    }
    let graph = Graph {
        name: name.to_owned(),
        format: format!("ONNX, operator set {version}"),
        producer: format!("{} {}", model.producer_name, model.producer_version).trim().to_owned(),
        ..Graph::default()
    };
    let mut builder = Builder::new(graph, Storage::new(folder, bytes.len()));
    for function in &model.functions {
        let function: proto::Function = proto::message(function).map_err(|error| format!("a function: {error}"))?;
        builder.functions.insert((function.domain.clone(), function.name.clone()), function);
    }
    known_operators(&mut builder, &body)?;
    let mut scope = Scope::new();
    builder.initializers(&body.initializer, &mut scope, true)?;
    for input in &body.input {
        let input: proto::ValueInfo = proto::small_message(input).map_err(|error| format!("an input: {error}"))?;
        // Old files name their numbers among the inputs too.
        if let Entry::Vacant(place) = scope.entry(input.name.clone()) {
            let message = |message: String| format!("its input {}: {message}", input.name);
            place.insert(Known::Tensor(given(&mut builder, &input).map_err(message)?));
        }
    }
    builder.nodes(&body.node, &model.opset_import, &mut scope, &BTreeMap::new(), 0)?;
    for output in &body.output {
        let output: proto::ValueInfo = proto::small_message(output).map_err(|error| format!("an output: {error}"))?;
        let made = scope.get(&output.name).cloned();
        let made = made.ok_or_else(|| format!("its output {} is made by nothing", output.name))?;
        let value = Some(builder.tensor(&made)?.value);
        builder.graph.outputs.push(Output { name: output.name, value });
    }
    let mut graph = builder.graph;
    graph.prune();
    Ok(graph)
}

/// Refuses operators that are not known, all of them at once, and tells the names of the others' modules.
fn known_operators(builder: &mut Builder, body: &proto::Graph) -> Result<(), String> {
    if body.node.len() > MAX_NODES {
        return Err(format!("a graph of more than {MAX_NODES} operations"));
    }
    let node = |bytes| proto::small_message(bytes).map_err(|error| format!("an operation: {error}"));
    let nodes: Vec<proto::Node> = body.node.iter().map(node).collect::<Result<_, _>>()?;
    builder.names.learn(&nodes);
    let mut unknown = BTreeSet::new();
    for node in &nodes {
        let known = operators::find(&node.domain, &node.op_type).is_some()
            || is_onnx(&node.domain) && node.op_type == "If"
            || builder.functions.contains_key(&(node.domain.clone(), node.op_type.clone()));
        let kind = (node.domain.clone(), node.op_type.clone());
        if !known && !unknown.iter().any(|(of, _)| *of == kind) && unknown.len() < NAMED {
            unknown.insert((kind, called(node)));
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = unknown.into_iter().map(|(_, name)| name).collect();
    let many = if names.len() == 1 { "an operator that is" } else { "operators that are" };
    Err(format!("{many} not known here: {}", names.join("; ")))
}

/// What is given to the graph. Pictures `[N, H, W, 3]`, as Keras takes them, are taken as `[N, 3, H, W]` and turned.
fn given(builder: &mut Builder, input: &proto::ValueInfo) -> Result<Tensor, String> {
    let kind = input.kind.as_ref().and_then(|kind| kind.tensor_type.as_ref()).ok_or("is no tensor")?;
    let dtype = tensors::dtype(kind.elem_type)?;
    let shape = kind.shape.as_ref().ok_or("its sides are not said")?;
    let side = |(place, dim): (usize, &proto::Dim)| match dim.dim_value {
        Some(side) if side > 0 => Side::fixed(side),
        _ => {
            let symbol = if dim.dim_param.is_empty() { format!("side {place}") } else { dim.dim_param.clone() };
            Side { example: 0, free: Some(Free { symbol, step: 1, offset: 0, range: (1, i64::MAX) }) }
        }
    };
    let mut sides: Vec<Side> = shape.dim.iter().enumerate().map(side).collect();
    let is = |side: &Side, channels: i64| side.free.is_none() && side.example == channels;
    let last = sides.len() == 4 && is(&sides[3], 3) && !is(&sides[1], 3);
    if last {
        let channels = sides.remove(3);
        sides.insert(1, channels);
    }
    let value = builder.value(&input.name, Some(dtype));
    let of = Tensor { value, rank: sides.len(), dtype, stored: None };
    builder.graph.values[value.index()].sides = Some(sides);
    builder.graph.inputs.push(Input { name: input.name.clone(), value });
    if !last {
        return Ok(of);
    }
    let dims = builder::ints(&[0, 2, 3, 1]);
    Ok(builder.emit("aten.permute.default", vec![("self", tensor(of)), ("dims", dims)], 4, dtype))
}
