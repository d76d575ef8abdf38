//! What ran, as a graph: the operations that somebody saw while a network ran, in their order, with the shapes of their tensors.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::export::{MAX_NODES, one_name};
use super::program::{About, Argument, Graph, Input, Module, Node, Output, Scalar, Side, Value};
use crate::{Error, Result};

/// What ran.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trace {
    /// The shape of each value; `None` of what is no tensor.
    shapes: Vec<Option<Vec<i64>>>,
    /// The values that were given to the network.
    inputs: Vec<u32>,
    /// Those that it gave out.
    outputs: Vec<u32>,
    /// Modules within one another, the innermost last, each its path and its class.
    modules: Vec<Vec<(String, String)>>,
    nodes: Vec<Operation>,
}

/// An operation that ran: its name, what it took by the names of its parameters, the values that it made, and the number of the modules
/// that it ran in.
#[derive(Debug, Deserialize)]
struct Operation(String, Vec<(String, Given)>, Vec<Option<u32>>, usize);

/// What an operation took.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Given {
    /// A value.
    V(u32),
    /// Several; `None` where one is left out.
    Vs(Vec<Option<u32>>),
    Int(i64),
    Ints(Vec<i64>),
    Float(f64),
    Floats(Vec<f64>),
    Bool(bool),
    /// Anything else.
    Other,
}

impl Graph {
    /// A graph of what ran, from JSON, and the shapes of its values: what [`Find`](super::Find) takes.
    ///
    /// `shapes` has the shape of each value, or `null`; `inputs` and `outputs` are numbers of values, `modules` stacks of modules, each
    /// `[[path, class], …]`; `nodes` are operations, each `[name, [[parameter, what], …], [made, …], modules]`, where `what` is one of `{"v": value}`,
    /// `{"vs": [value, …]}`, `{"int": …}`, `{"ints": …}`, `{"float": …}`, `{"floats": …}`, `{"bool": …}` and `"other"`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the text is none such, or names a value or modules that it has not.
    pub fn traced(json: &str) -> Result<(Self, Vec<Option<Vec<i64>>>)> {
        let wrong = |message: String| Error::argument("trace", message);
        let trace: Trace = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
        let Trace { shapes, inputs, outputs, modules, nodes } = trace;
        if nodes.len() > MAX_NODES {
            return Err(wrong(format!("{} operations are more than {MAX_NODES}", nodes.len())));
        }
        let value = |number: u32| {
            let known = (number as usize) < shapes.len();
            known.then_some(Value(number)).ok_or_else(|| wrong(format!("there is no value {number}")))
        };
        let module = |(path, class)| Module { path, class };
        let modules: Vec<Arc<[Module]>> =
            modules.into_iter().map(|stack| stack.into_iter().map(module).collect()).collect();
        let mut graph = Self { name: Path::new("model").to_owned(), format: "what ran".to_owned(), ..Self::default() };
        graph.values = shapes.iter().map(|shape| about(shape.as_deref())).collect();
        for number in inputs {
            graph.inputs.push(Input { name: "input".to_owned(), value: value(number)? });
        }
        for number in outputs {
            graph.outputs.push(Output { name: "output".to_owned(), value: Some(value(number)?) });
        }
        for Operation(name, takes, makes, module) in nodes {
            let (name, takes) = whole(name, takes);
            let mut inputs = Vec::with_capacity(takes.len());
            for (parameter, given) in takes {
                inputs.push((Arc::from(parameter), given.argument(&value)?));
            }
            let outputs = makes.into_iter().map(|made| made.map(&value).transpose()).collect::<Result<_>>()?;
            let modules = modules.get(module).ok_or_else(|| wrong(format!("there is no module {module}")))?.clone();
            graph.nodes.push(Node { operator: Arc::from(&*one_name(&name)), inputs, outputs, modules, line: None });
        }
        Ok((graph, shapes))
    }
}

impl Given {
    fn argument(self, value: &impl Fn(u32) -> Result<Value>) -> Result<Argument> {
        let all = |of: Vec<Scalar>| Argument::Several(of);
        Ok(match self {
            Self::V(number) => Argument::One(Scalar::Value(value(number)?)),
            Self::Vs(numbers) => {
                let one =
                    |number: Option<u32>| number.map_or(Ok(Scalar::None), |number| value(number).map(Scalar::Value));
                all(numbers.into_iter().map(one).collect::<Result<_>>()?)
            }
            Self::Int(int) => Argument::One(Scalar::Int(int)),
            Self::Ints(ints) => all(ints.into_iter().map(Scalar::Int).collect()),
            Self::Float(float) => Argument::One(Scalar::Float(float)),
            Self::Floats(floats) => all(floats.into_iter().map(Scalar::Float).collect()),
            Self::Bool(truth) => Argument::One(Scalar::Bool(truth)),
            Self::Other => Argument::Idle,
        })
    }
}

/// An operation that PyTorch takes apart below its autograd, or by device, as the one that a user wrote.
fn whole(name: String, mut takes: Vec<(String, Given)>) -> (String, Vec<(String, Given)>) {
    let base = name.strip_prefix("aten.").and_then(|rest| rest.split('.').next()).unwrap_or_default();
    let renamed = |takes: &mut Vec<(String, Given)>, names: &[(&str, &str)]| {
        for (parameter, _) in takes.iter_mut() {
            if let Some((_, new)) = names.iter().find(|(old, _)| old == parameter) {
                (*new).clone_into(parameter);
            }
        }
        // What an operation is of comes first.
        takes.sort_by_key(|(parameter, _)| parameter != "input");
    };
    let plain = match base {
        "addmm" => {
            renamed(&mut takes, &[("self", "bias"), ("mat1", "input"), ("mat2", "weight")]);
            "linear"
        }
        "mm" => "matmul",
        "_safe_softmax" => "_softmax",
        "native_layer_norm" => "layer_norm",
        "native_group_norm" => "group_norm",
        "_fused_rms_norm" => "rms_norm",
        _ if base.contains("batch_norm") => "batch_norm",
        _ if base.starts_with("_scaled_dot_product") => "scaled_dot_product_attention",
        _ => return (name, takes),
    };
    (format!("aten.{plain}.default"), takes)
}

fn about(shape: Option<&[i64]>) -> About {
    About { sides: shape.map(|shape| shape.iter().map(|side| Side::fixed(*side)).collect()), ..About::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Find, GateKind};

    #[test]
    fn a_gate_is_found_in_what_ran() {
        // x · σ(mean x) in `se`, whose second operation is in place.
        let json = r#"{"shapes": [[1, 8, 4, 4], [1, 8, 1, 1], [1, 8, 1, 1], [1, 8, 4, 4]], "inputs": [0], "outputs": [3],
            "modules": [[["", "Net"]], [["", "Net"], ["se", "Gate"]]], "nodes": [
            ["aten.mean.dim", [["self", {"v": 0}], ["dim", {"ints": [2, 3]}], ["keepdim", {"bool": true}]], [1], 1],
            ["aten.sigmoid_.default", [["self", {"v": 1}]], [2], 1],
            ["aten.multiply.Tensor", [["self", {"v": 0}], ["other", {"v": 2}]], [3], 0]]}"#;
        let (graph, shapes) = Graph::traced(json).unwrap();
        let found = Find::new(&graph, &shapes).all();
        assert_eq!(found.gates.len(), 1);
        let gate = &found.gates[0];
        assert_eq!((gate.name.as_str(), gate.kind, gate.values[0].index()), ("se", GateKind::Channel, 2));
    }

    #[test]
    fn a_trace_that_contradicts_itself_is_refused() {
        let refused = |json: &str| Graph::traced(json).unwrap_err().to_string();
        assert!(refused("{").starts_with("trace: "));
        let of = |nodes: &str| {
            format!(r#"{{"shapes": [[1]], "inputs": [0], "outputs": [], "modules": [[]], "nodes": {nodes}}}"#)
        };
        assert_eq!(
            refused(&of(r#"[["aten.relu.default", [["self", {"v": 7}]], [], 0]]"#)),
            "trace: there is no value 7"
        );
        assert_eq!(
            refused(&of(r#"[["aten.relu.default", [["self", {"v": 0}]], [], 3]]"#)),
            "trace: there is no module 3"
        );
    }
}
