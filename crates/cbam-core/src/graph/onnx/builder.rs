//! Making a graph of a file's operations: values, nodes, and what is known of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::call::Call;
use super::known::{Known, MAX_NUMBERS, Numbers, Tensor};
use super::names::Names;
use super::tensors::Storage;
use super::{numbers, operators, proto};
use crate::graph::export::MAX_NODES;
use crate::graph::program::{About, Argument, Graph, Module, Node, Scalar, Value, Weight};
use crate::graph::texts::Texts;
use crate::weights::{Dtype, StoredTensor};

/// How deep functions and branches may lie in one another.
const MAX_DEPTH: usize = 16;

/// What names stand for.
pub(super) type Scope = HashMap<String, Known>;
/// Attributes by their names.
type Attributes = BTreeMap<String, proto::Attribute>;

/// What makes a graph of a file.
pub(super) struct Builder {
    pub(super) graph: Graph,
    pub(super) storage: Storage,
    pub(super) functions: HashMap<(String, String), proto::Function>,
    pub(super) names: Names,
    /// Sides of tensors that were asked for, as values.
    sides: HashMap<(Value, usize), Value>,
    texts: Texts,
    /// The operations that were read, those in functions as often as they run.
    read: usize,
    /// Where the operation that is translated stands.
    modules: Arc<[Module]>,
    line: Option<Arc<str>>,
}

impl Builder {
    pub(super) fn new(graph: Graph, storage: Storage) -> Self {
        Self {
            graph,
            storage,
            functions: HashMap::new(),
            names: Names::default(),
            sides: HashMap::new(),
            texts: Texts::default(),
            read: 0,
            modules: Arc::new([]),
            line: None,
        }
    }

    /// Translates operations; `given` are the attributes of the function that they stand in.
    pub(super) fn nodes(
        &mut self,
        nodes: &[Bytes],
        versions: &[proto::OperatorSet],
        scope: &mut Scope,
        given: &Attributes,
        depth: usize,
    ) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("functions that lie more than {MAX_DEPTH} deep in one another"));
        }
        for bytes in nodes {
            let node: proto::Node = proto::small_message(bytes).map_err(|error| format!("an operation: {error}"))?;
            self.read += 1;
            if self.read > MAX_NODES {
                return Err(format!("a graph of more than {MAX_NODES} operations"));
            }
            if depth == 0 {
                let place = self.names.place(&node);
                (self.modules, self.line) = (place.modules, place.line);
            }
            self.node(&node, versions, scope, given, depth)
                .map_err(|message| format!("{}: {message}", called(&node)))?;
        }
        Ok(())
    }

    fn node(
        &mut self,
        node: &proto::Node,
        versions: &[proto::OperatorSet],
        scope: &mut Scope,
        given: &Attributes,
        depth: usize,
    ) -> Result<(), String> {
        let attributes = attributes(node, given)?;
        let input = |name: &String| match name.as_str() {
            "" => Ok(Known::Nothing),
            name => scope.get(name).cloned().ok_or_else(|| format!("takes {name}, which nothing has made before it")),
        };
        let inputs = node.input.iter().map(input).collect::<Result<Vec<_>, _>>()?;
        let made = if let Some(function) = self.functions.get(&(node.domain.clone(), node.op_type.clone())).cloned() {
            self.function(&function, inputs, &attributes, depth)?
        } else if is_onnx(&node.domain) && node.op_type == "If" {
            self.branch(node, &inputs, &attributes, versions, scope, depth)?
        } else {
            let outputs = node.output.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
            let version = version(versions, &node.domain);
            let call = Call::new(&node.op_type, version, inputs, outputs, attributes);
            let operation = operators::find(&node.domain, &node.op_type).ok_or("an operator that is not known here")?;
            let made = match numbers::computed(self, &call)? {
                Some(made) => made,
                None => operation(self, &call)?,
            };
            call.all_known()?;
            made
        };
        if made.len() < node.output.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1) {
            return Err(format!("gives out {} results, and more are taken", made.len()));
        }
        for (name, made) in node.output.iter().zip(made).filter(|(name, _)| !name.is_empty()) {
            if let Known::Tensor(tensor) = &made {
                let about = &mut self.graph.values[tensor.value.index()];
                if about.name.is_empty() {
                    about.name.clone_from(name);
                }
            }
            if scope.insert(name.clone(), made).is_some() {
                return Err(format!("{name} is made twice"));
            }
        }
        Ok(())
    }

    /// A function of the file's own, in the place of the operation that calls it.
    fn function(
        &mut self,
        function: &proto::Function,
        inputs: Vec<Known>,
        attributes: &Attributes,
        depth: usize,
    ) -> Result<Vec<Known>, String> {
        let mut within: Scope =
            function.input.iter().cloned().zip(inputs.into_iter().chain(std::iter::repeat(Known::Nothing))).collect();
        self.nodes(&function.node, &function.opset_import, &mut within, attributes, depth + 1)?;
        let made =
            |name: &String| within.get(name).cloned().ok_or_else(|| format!("its function does not make {name}"));
        function.output.iter().map(made).collect()
    }

    /// The branch that is taken, where that is known before the graph runs.
    fn branch(
        &mut self,
        node: &proto::Node,
        inputs: &[Known],
        attributes: &Attributes,
        versions: &[proto::OperatorSet],
        scope: &Scope,
        depth: usize,
    ) -> Result<Vec<Known>, String> {
        let condition = inputs.first().and_then(|input| self.numbers(input)).and_then(|numbers| numbers.ints());
        let Some([condition]) = condition.as_deref() else {
            return Err("depends on what is computed, which is not run".to_owned());
        };
        let branch = if *condition == 0 { "else_branch" } else { "then_branch" };
        let branch = attributes.get(branch).ok_or_else(|| format!("has no {branch}"))?;
        let body: proto::Graph = proto::message(&branch.g)?;
        let mut within = scope.clone();
        self.initializers(&body.initializer, &mut within, false)?;
        self.nodes(&body.node, versions, &mut within, attributes, depth + 1)?;
        let made = |bytes: &Bytes| {
            let of: proto::ValueInfo = proto::small_message(bytes)?;
            within.get(&of.name).cloned().ok_or_else(|| format!("its branch does not make {}", of.name))
        };
        body.output.iter().take(node.output.len()).map(made).collect()
    }

    /// The numbers that a file holds.
    pub(super) fn initializers(&mut self, tensors: &[Bytes], scope: &mut Scope, kept: bool) -> Result<(), String> {
        for bytes in tensors {
            let tensor: proto::Tensor = proto::small_message(bytes).map_err(|error| format!("a tensor: {error}"))?;
            let stored = self.storage.tensor(&tensor).map_err(|message| format!("{}: {message}", tensor.name))?;
            // One number is a setting that the exporter found, and none of the network's weights.
            let kept = kept && stored.dtype().is_float() && stored.len() > 1;
            let known = Known::Tensor(self.weight(&tensor.name, stored, kept));
            if scope.insert(tensor.name.clone(), known).is_some() {
                return Err(format!("two tensors are called {}", tensor.name));
            }
        }
        Ok(())
    }

    /// Makes numbers a tensor of the graph's.
    pub(super) fn weight(&mut self, name: &str, tensor: StoredTensor, kept: bool) -> Tensor {
        let (rank, dtype) = (tensor.shape().len(), tensor.dtype());
        let value = self.value(name, Some(dtype));
        let stored = Some(self.graph.weights.len());
        self.graph.weights.push(Weight { name: name.to_owned(), value, tensor, kept });
        Tensor { value, rank, dtype, stored }
    }

    pub(super) fn value(&mut self, name: &str, dtype: Option<Dtype>) -> Value {
        self.graph.values.push(About { name: name.to_owned(), dtype, sides: None });
        Value(self.graph.values.len() as u32 - 1)
    }

    /// An operation of one result.
    pub(super) fn emit(&mut self, operator: &str, inputs: Vec<(&str, Argument)>, rank: usize, dtype: Dtype) -> Tensor {
        let value = self.value("", Some(dtype));
        self.push(operator, inputs, vec![Some(value)]);
        Tensor { value, rank, dtype, stored: None }
    }

    /// An operation of several results, which are like one another.
    pub(super) fn emit_several(
        &mut self,
        operator: &str,
        inputs: Vec<(&str, Argument)>,
        count: usize,
        rank: usize,
        dtype: Dtype,
    ) -> Vec<Tensor> {
        let values: Vec<Value> = (0..count).map(|_| self.value("", Some(dtype))).collect();
        self.push(operator, inputs, values.iter().copied().map(Some).collect());
        values.into_iter().map(|value| Tensor { value, rank, dtype, stored: None }).collect()
    }

    /// An operation on numbers.
    pub(super) fn emit_number(&mut self, operator: &str, inputs: Vec<(&str, Argument)>) -> Scalar {
        let value = self.value("", None);
        self.push(operator, inputs, vec![Some(value)]);
        Scalar::Value(value)
    }

    fn push(&mut self, operator: &str, inputs: Vec<(&str, Argument)>, outputs: Vec<Option<Value>>) {
        let inputs = inputs.into_iter().map(|(name, argument)| (self.texts.shared(name), argument)).collect();
        let (operator, modules, line) = (self.texts.shared(operator), self.modules.clone(), self.line.clone());
        self.graph.nodes.push(Node { operator, inputs, outputs, modules, line });
    }

    /// A side of a tensor.
    pub(super) fn side(&mut self, of: Tensor, place: usize) -> Scalar {
        if let Some(stored) = of.stored {
            return Scalar::Int(self.graph.weights[stored].tensor.shape().get(place).copied().unwrap_or(1));
        }
        if let Some(value) = self.sides.get(&(of.value, place)) {
            return Scalar::Value(*value);
        }
        let dim = Argument::One(Scalar::Int(place as i64));
        let side = self.emit_number("aten.sym_size.int", vec![("self", tensor(of)), ("dim", dim)]);
        self.sides.extend(side.value().map(|value| ((of.value, place), value)));
        side
    }

    /// Whether a number is a side of a tensor, which is never negative.
    pub(super) fn is_side(&self, value: Value) -> bool {
        self.sides.values().any(|side| *side == value)
    }

    /// The numbers that are stored in a tensor.
    pub(super) fn stored(&self, of: &Known) -> Option<&StoredTensor> {
        let Known::Tensor(Tensor { stored: Some(stored), .. }) = of else { return None };
        Some(&self.graph.weights[*stored].tensor)
    }

    /// A few numbers; `None` for what is a tensor, or more of them.
    pub(super) fn numbers(&self, of: &Known) -> Option<Numbers> {
        if let Known::Numbers(numbers) = of {
            return Some(numbers.clone());
        }
        let tensor = self.stored(of).filter(|tensor| tensor.shape().len() < 2 && tensor.len() <= MAX_NUMBERS)?;
        let number = |number: f64| numbers::scalar(number, tensor.dtype());
        // Whole numbers of more than 53 bits stand for "to the end", whatever their last bits are.
        let items = tensor.doubles().into_iter().map(number).collect();
        Some(Numbers { items, list: !tensor.shape().is_empty(), row: None, dtype: tensor.dtype() })
    }

    /// The same, where there must be numbers.
    pub(super) fn needed_numbers(&self, of: &Known, what: &str) -> Result<Numbers, String> {
        self.numbers(of).ok_or_else(|| {
            format!("takes {what} that is computed of more than the sides of tensors, which is not followed")
        })
    }

    /// The only element of a tensor that is known, or of numbers.
    pub(super) fn single(&self, of: &Known) -> Option<Scalar> {
        if let Some(numbers) = self.numbers(of) {
            return (numbers.items.len() == 1).then(|| numbers.items[0]);
        }
        let tensor = self.stored(of).filter(|tensor| tensor.len() == 1)?;
        let number = *tensor.doubles().first()?;
        Some(numbers::scalar(number, tensor.dtype()))
    }

    /// A tensor; numbers become one.
    pub(super) fn tensor(&mut self, of: &Known) -> Result<Tensor, String> {
        let numbers = match of {
            Known::Nothing => return Err("an input is missing".to_owned()),
            Known::Tensor(tensor) => return Ok(*tensor),
            Known::Numbers(numbers) => numbers,
        };
        let dtype = numbers.dtype;
        if numbers.items.iter().all(|item| item.value().is_none()) {
            let bytes: Vec<u8> = numbers.items.iter().flat_map(|item| numbers::bytes(*item, dtype)).collect();
            let count = numbers.items.len() as i64;
            let shape = match numbers.row {
                Some(row) => vec![count / row as i64, row as i64],
                None if numbers.list => vec![count],
                None => Vec::new(),
            };
            let stored = StoredTensor::of_bytes(dtype, &shape, bytes.into())?;
            return Ok(self.weight("", stored, false));
        }
        let mut parts = Vec::with_capacity(numbers.items.len());
        for item in &numbers.items {
            let inputs = vec![("s", Argument::One(*item)), ("dtype", Argument::Dtype(dtype))];
            parts.push(self.emit("aten.scalar_tensor.default", inputs, 0, dtype));
        }
        if !numbers.list {
            return Ok(parts[0]);
        }
        let list = self.emit("aten.stack.default", vec![("tensors", tensors(&parts))], 1, dtype);
        Ok(match numbers.row {
            Some(row) => {
                let shape = ints(&[-1, row as i64]);
                self.emit("aten.reshape.default", vec![("self", tensor(list)), ("shape", shape)], 2, dtype)
            }
            None => list,
        })
    }
}

/// What names an operation in messages: `Conv /layer1/conv1/Conv`.
pub(super) fn called(node: &proto::Node) -> String {
    let domain = if is_onnx(&node.domain) { String::new() } else { format!("{}.", node.domain) };
    let name = match (node.name.as_str(), node.output.first()) {
        ("", Some(output)) => output,
        (name, _) => name,
    };
    format!("{domain}{} {name}", node.op_type)
}

pub(super) fn is_onnx(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// The version of an operator set, 0 if the file does not ask for it.
pub(super) fn version(versions: &[proto::OperatorSet], domain: &str) -> i64 {
    let same = |set: &&proto::OperatorSet| set.domain == domain || is_onnx(domain) && is_onnx(&set.domain);
    versions.iter().find(same).map_or(0, |set| set.version)
}

fn attributes(node: &proto::Node, given: &Attributes) -> Result<Attributes, String> {
    let mut attributes = Attributes::new();
    for bytes in &node.attribute {
        let attribute: proto::Attribute =
            proto::small_message(bytes).map_err(|error| format!("an attribute: {error}"))?;
        let name = attribute.name.clone();
        let attribute = match attribute.ref_attr_name.as_str() {
            "" => Some(attribute),
            of => given.get(of).cloned(),
        };
        if attribute.is_some_and(|attribute| attributes.insert(name.clone(), attribute).is_some()) {
            return Err(format!("has two attributes {name}"));
        }
    }
    Ok(attributes)
}

/// A tensor as an argument.
pub(super) fn tensor(of: Tensor) -> Argument {
    Argument::One(Scalar::Value(of.value))
}

/// Tensors as an argument.
pub(super) fn tensors(of: &[Tensor]) -> Argument {
    Argument::Several(of.iter().map(|tensor| Scalar::Value(tensor.value)).collect())
}

pub(super) fn int(number: i64) -> Argument {
    Argument::One(Scalar::Int(number))
}

pub(super) fn ints(numbers: &[i64]) -> Argument {
    Argument::Several(numbers.iter().map(|number| Scalar::Int(*number)).collect())
}

pub(super) fn float(number: f64) -> Argument {
    Argument::One(Scalar::Float(number))
}

pub(super) fn flag(truth: bool) -> Argument {
    Argument::One(Scalar::Bool(truth))
}
