//! From the JSON of `torch.export` to a [`Graph`].

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::archive::{Archive, dtype};
use super::arguments::{Scope, argument, constant, made};
use super::expression::{Linear, linear};
use super::program::{About, Argument, Free, Graph, Input, Module, Node, Output, Scalar, Side, Value, Weight};
use super::schema::{self, Hint, InputSpec, OutputSpec, Symbolic};
use super::spec::output_names;
use super::texts::Texts;

/// More operations than any network has.
pub(super) const MAX_NODES: usize = 200_000;
/// How deep graphs may lie in graphs.
const MAX_DEPTH: usize = 16;

/// What makes a graph of a program.
struct Builder<'p> {
    graph: Graph,
    ranges: &'p BTreeMap<String, schema::RangeConstraint>,
    /// Texts that nodes share.
    texts: Texts,
    modules: HashMap<String, Arc<[Module]>>,
    /// The numbers that inputs are.
    named: HashSet<(String, bool)>,
}

pub(super) fn graph(name: &Path, archive: Archive) -> Result<Graph, String> {
    let Archive { program, weights, constants } = archive;
    let schema::GraphModule { graph: body, signature, module_call_graph } = program.graph_module;
    let producer = match program.torch_version.as_str() {
        "" => "PyTorch".to_owned(),
        version => format!("PyTorch {version}"),
    };
    let format = ".pt2 of torch.export".to_owned();
    let graph = Graph { name: name.to_owned(), format, producer, ..Graph::default() };
    let mut builder = Builder {
        graph,
        ranges: &program.range_constraints,
        texts: Texts::default(),
        modules: HashMap::new(),
        named: HashSet::new(),
    };
    let mut scope = Scope::new();
    if body.inputs.len() != signature.input_specs.len() {
        let (inputs, specs) = (body.inputs.len(), signature.input_specs.len());
        return Err(format!("a graph of {inputs} inputs, of which {specs} are described"));
    }
    for (input, spec) in body.inputs.iter().zip(&signature.input_specs) {
        builder.input(input, spec, &body.tensor_values, &weights, &constants, &mut scope)?;
    }
    builder.nodes(&body, &mut scope, 0)?;
    let given = body.outputs.iter().zip(&signature.output_specs);
    let given: Vec<_> = given.filter(|(_, spec)| matches!(spec, OutputSpec::UserOutput(_))).map(|(of, _)| of).collect();
    let spec = module_call_graph.iter().find(|call| call.fqn.is_empty()).and_then(|call| call.signature.as_ref());
    let names = output_names(spec.map(|signature| signature.out_spec.as_str()), given.len());
    for (output, name) in given.into_iter().zip(names) {
        let value = argument(output, &scope).map_err(|message| format!("{name}: {message}"))?.values().next();
        builder.graph.outputs.push(Output { name, value });
    }
    let mut graph = builder.graph;
    graph.without_writes();
    graph.prune();
    Ok(graph)
}

impl Builder<'_> {
    fn value(&mut self, about: About) -> Value {
        self.graph.values.push(about);
        Value(self.graph.values.len() as u32 - 1)
    }

    fn about(&self, name: &str, meta: Option<&schema::TensorMeta>) -> About {
        let sides = |meta: &schema::TensorMeta| meta.sizes.iter().map(|side| self.side(side)).collect();
        About { name: name.to_owned(), dtype: meta.and_then(|meta| dtype(meta.dtype).ok()), sides: meta.map(sides) }
    }

    fn side(&self, side: &schema::SymInt) -> Side {
        match side {
            schema::SymInt::AsInt(side) => Side::fixed(*side),
            schema::SymInt::AsExpr(expression) => {
                let example = if let Some(Hint::AsInt(hint)) = expression.hint { hint } else { 0 };
                let free = linear(&expression.expr_str).map(|Linear { step, symbol, offset }| {
                    let range = self.ranges.get(&symbol);
                    let bound = |bound: i64| bound.saturating_mul(step).saturating_add(offset);
                    let least = range.and_then(|range| range.min_val).unwrap_or(1);
                    let most = range.and_then(|range| range.max_val).unwrap_or(i64::MAX);
                    Free { symbol, step, offset, range: (bound(least), bound(most)) }
                });
                Side { example, free: Some(free.unwrap_or_else(|| Free::unknown(&expression.expr_str))) }
            }
        }
    }

    fn input(
        &mut self,
        input: &schema::Argument,
        spec: &InputSpec,
        metas: &BTreeMap<String, schema::TensorMeta>,
        weights: &BTreeMap<String, crate::weights::StoredTensor>,
        constants: &BTreeMap<String, crate::weights::StoredTensor>,
        scope: &mut Scope,
    ) -> Result<(), String> {
        let name = match (spec, input) {
            (InputSpec::ConstantInput { name, value }, _) => {
                scope.insert(name.clone(), constant(value)?);
                return Ok(());
            }
            // What takes it is refused by its name.
            (InputSpec::CustomObj(_) | InputSpec::Token(_), _) | (_, schema::Argument::AsNone(_)) => return Ok(()),
            (_, schema::Argument::AsTensor(of)) => of.name.clone(),
            (_, schema::Argument::AsSymInt(Symbolic::AsName(name))) => name.clone(),
            _ => return Err("an input that is no tensor".to_owned()),
        };
        let about = self.about(&name, metas.get(&name));
        let value = self.value(about);
        if scope.insert(name.clone(), Argument::One(Scalar::Value(value))).is_some() {
            return Err(format!("two inputs are called {name}"));
        }
        let held = |of: &str, kept: bool| {
            let tensor = if kept { weights.get(of) } else { constants.get(of).or_else(|| weights.get(of)) };
            let tensor = tensor.ok_or_else(|| format!("the numbers of {of} are not in the archive"))?.clone();
            Ok::<_, String>(Weight { name: of.to_owned(), value, tensor, kept })
        };
        let weight = match spec {
            InputSpec::Parameter { parameter_name } => held(parameter_name, true)?,
            InputSpec::Buffer { buffer_name, persistent } => held(buffer_name, *persistent)?,
            InputSpec::TensorConstant { tensor_constant_name } => held(tensor_constant_name, false)?,
            _ => {
                self.graph.inputs.push(Input { name, value });
                return Ok(());
            }
        };
        if !self.named.insert((weight.name.clone(), weight.kept)) {
            return Err(format!("two inputs are the numbers of {}", weight.name));
        }
        self.graph.weights.push(weight);
        Ok(())
    }

    fn nodes(&mut self, body: &schema::Graph, scope: &mut Scope, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("graphs that lie more than {MAX_DEPTH} deep in one another"));
        }
        for node in &body.nodes {
            let operator = node.target.strip_prefix("torch.ops.").unwrap_or(&node.target);
            let last = operator.rsplit_once("aten.").map_or(operator, |(_, last)| last);
            if last.starts_with("_assert") || last.starts_with("sym_constrain_range") {
                continue;
            }
            if operator.starts_with("cbam.") {
                return Err(format!("an operation {operator}, which no file has"));
            }
            if self.graph.nodes.len() == MAX_NODES {
                return Err(format!("a graph of more than {MAX_NODES} operations"));
            }
            let line = node.metadata.stack_trace.as_deref().and_then(user_line);
            let modules = self.module_stack(node.metadata.nn_module_stack.as_deref().unwrap_or_default());
            let of = |message: String| {
                let place = modules.last().map_or("", |module| &module.path);
                format!("{operator}{}{place}: {message}", if place.is_empty() { "" } else { " in " })
            };
            if let Some(inner) = operator.strip_prefix("higher_order.") {
                self.inline(inner, node, scope, depth).map_err(of)?;
                continue;
            }
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for input in &node.inputs {
                inputs.push((self.texts.shared(&input.name), argument(&input.arg, scope).map_err(of)?));
            }
            let mut outputs = Vec::new();
            for name in node.outputs.iter().flat_map(made) {
                outputs.push(match name {
                    Some(name) => Some(self.define(name, body, scope).map_err(of)?),
                    None => None,
                });
            }
            let (operator, line) = (self.texts.shared(&one_name(operator)), line.map(|line| self.texts.shared(&line)));
            self.graph.nodes.push(Node { operator, inputs, outputs, modules, line });
        }
        Ok(())
    }

    fn define(&mut self, name: &str, body: &schema::Graph, scope: &mut Scope) -> Result<Value, String> {
        let about = self.about(name, body.tensor_values.get(name));
        let value = self.value(about);
        match scope.insert(name.to_owned(), Argument::One(Scalar::Value(value))) {
            None => Ok(value),
            Some(_) => Err(format!("{name} is made twice")),
        }
    }

    /// A graph within the graph, in the place of the node that runs it.
    fn inline(&mut self, operator: &str, node: &schema::Node, scope: &mut Scope, depth: usize) -> Result<(), String> {
        let mut arguments = node.inputs.iter().map(|input| &input.arg);
        let inner = match operator {
            "wrap_with_set_grad_enabled" => {
                arguments.next();
                arguments.next()
            }
            "wrap_with_autocast" => {
                if matches!(arguments.nth(2), Some(schema::Argument::AsBool(true))) {
                    return Err("a part that runs under autocast; export the network outside torch.autocast".to_owned());
                }
                arguments.nth(1)
            }
            _ => return Err("an operator of higher order, which is not run".to_owned()),
        };
        let Some(schema::Argument::AsGraph(inner)) = inner else { return Err("it has no graph".to_owned()) };
        let inner = &inner.graph;
        let mut within = Scope::new();
        for (input, given) in inner.inputs.iter().zip(arguments) {
            let given = argument(given, scope)?;
            if let Some(name) = made(input).into_iter().flatten().next() {
                within.insert(name.to_owned(), given);
            }
        }
        self.nodes(inner, &mut within, depth + 1)?;
        let names: Vec<_> = node.outputs.iter().flat_map(made).collect();
        for (name, output) in names.into_iter().zip(&inner.outputs) {
            let output = argument(output, &within)?;
            if let Some(name) = name {
                scope.insert(name.to_owned(), output);
            }
        }
        Ok(())
    }

    fn module_stack(&mut self, stack: &str) -> Arc<[Module]> {
        if let Some(shared) = self.modules.get(stack) {
            return shared.clone();
        }
        let shared: Arc<[Module]> = stack.split(';').filter_map(module).collect();
        self.modules.insert(stack.to_owned(), shared.clone());
        shared
    }
}

impl Free {
    /// A side that changes in a way that is not understood.
    fn unknown(expression: &str) -> Self {
        Self { symbol: expression.to_owned(), step: 1, offset: 0, range: (1, i64::MAX) }
    }
}

/// Other names of operators, and the one by which they are known.
const SYNONYMS: [(&str, &str); 16] = [
    ("absolute", "abs"),
    ("arctan", "atan"),
    ("clip", "clamp"),
    ("concat", "cat"),
    ("concatenate", "cat"),
    ("divide", "div"),
    ("greater", "gt"),
    ("greater_equal", "ge"),
    ("less", "lt"),
    ("less_equal", "le"),
    ("moveaxis", "movedim"),
    ("multiply", "mul"),
    ("negative", "neg"),
    ("not_equal", "ne"),
    ("subtract", "sub"),
    ("true_divide", "div"),
];

/// `aten.mul_.Tensor` of `aten.multiply_.Tensor`.
pub(super) fn one_name(operator: &str) -> Cow<'_, str> {
    let of_aten = operator.strip_prefix("aten.").and_then(|name| name.split_once('.'));
    let Some((name, overload)) = of_aten else { return operator.into() };
    let (plain, writes) = name.strip_suffix('_').map_or((name, ""), |plain| (plain, "_"));
    match SYNONYMS.iter().find(|(synonym, _)| *synonym == plain) {
        Some((_, known)) => format!("aten.{known}{writes}.{overload}").into(),
        None => operator.into(),
    }
}

/// `key,path,class` as a module.
fn module(entry: &str) -> Option<Module> {
    let mut parts = entry.split_once(',')?.1.rsplitn(2, ',');
    let (class, path) = (parts.next()?, parts.next()?);
    let path = path.trim_start_matches("L['self']").trim_start_matches('.');
    Some(Module { path: path.to_owned(), class: class.to_owned() })
}

/// The line of the user's file that a stack ends in, outside of PyTorch's own modules: `net.py, line 12: x = self.conv(x)`.
pub(super) fn user_line(stack: &str) -> Option<String> {
    let mut lines = stack.lines().map(str::trim).peekable();
    let mut last = None;
    while let Some(line) = lines.next() {
        let Some((path, rest)) = line.strip_prefix("File \"").and_then(|place| place.split_once("\", line ")) else {
            continue;
        };
        if last.is_some() && path.replace('\\', "/").contains("/torch/nn/") {
            continue;
        }
        let number = rest.split(',').next().unwrap_or(rest);
        let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let code =
            lines.next_if(|code| !code.starts_with("File ")).map_or_else(String::new, |code| format!(": {code}"));
        last = Some(format!("{file}, line {number}{code}"));
    }
    last
}
