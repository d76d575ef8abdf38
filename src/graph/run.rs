//! Running a graph, or the part of it that some values are made by.

use std::collections::{HashMap, HashSet};

use cbam_core::graph::{Graph, Value};
use tch::{Device, Tensor};

use super::GraphNetwork;
use super::fold::Fast;
use super::given::{Given, Held, Values};
use super::operators::{self, Made};
use crate::{Error, ErrorKind, Result};

/// The operations that have to run for some values, in their order.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    steps: Vec<Step>,
    /// What is there before.
    given: Vec<Value>,
}

/// An operation by its place in the graph.
#[derive(Debug, Clone)]
struct Step {
    node: usize,
    /// Whether it does the work of the BatchNorm behind it too.
    folded: bool,
    /// Whether it does the work of the block that it ends.
    block: bool,
    /// Whether it may write over the first tensor that it takes, since nobody looks at that any more.
    over: bool,
    /// What nobody takes after it.
    last: Vec<Value>,
}

/// One run of a graph.
pub(super) struct Pass<'n> {
    network: &'n GraphNetwork,
    held: Vec<Option<Held>>,
    /// The nodes that attend in one operation and shall write their weights out; with these weights, once they have run.
    weights: HashMap<usize, Option<Tensor>>,
}

impl Plan {
    /// What makes the values that are `wanted`, where those that are `given` are there already.
    pub(super) fn new(graph: &Graph, roots: &[Value], wanted: &[Value], given: &[Value]) -> Self {
        Self::with(graph, roots, wanted, given, None)
    }

    /// The same for a run in which no gradient is wanted.
    pub(super) fn fast(graph: &Graph, roots: &[Value], wanted: &[Value], fast: &Fast) -> Self {
        Self::with(graph, roots, wanted, &[], Some(fast))
    }

    fn with(graph: &Graph, roots: &[Value], wanted: &[Value], given: &[Value], fast: Option<&Fast>) -> Self {
        let mut needed = vec![false; graph.values.len()];
        // Who shares elements with something that is needed, so that writing into it counts.
        let mut written = vec![false; graph.values.len()];
        let need = |value: Value, needed: &mut Vec<bool>, written: &mut Vec<bool>| {
            needed[value.index()] = true;
            written[roots[value.index()].index()] = true;
        };
        for value in wanted {
            need(*value, &mut needed, &mut written);
        }
        let mut nodes = Vec::new();
        for (place, node) in graph.nodes.iter().enumerate().rev() {
            let makes = node.makes().any(|value| needed[value.index()] && !given.contains(&value));
            let writes = || node.writes() && node.takes().next().is_some_and(|to| written[roots[to.index()].index()]);
            if !makes && (node.makes().any(|value| given.contains(&value)) || !writes()) {
                continue;
            }
            node.takes().for_each(|value| need(value, &mut needed, &mut written));
            nodes.push(place);
        }
        nodes.reverse();
        let mut is_wanted = vec![false; graph.values.len()];
        for value in wanted {
            is_wanted[value.index()] = true;
        }
        let block = |place: usize| {
            fast?.blocks.get(&place).filter(|block| !block.inner.iter().any(|value| is_wanted[value.index()]))
        };
        let in_blocks: HashSet<usize> = nodes
            .iter()
            .filter_map(|place| block(*place))
            .flat_map(|block| block.nodes.iter().take(block.nodes.len() - 1).copied())
            .collect();
        nodes.retain(|place| !in_blocks.contains(place));
        let folded = |place: usize| fast?.folds.get(&place).filter(|fold| !is_wanted[fold.alone.index()]);
        let gone: HashSet<usize> = nodes.iter().filter_map(|place| Some(folded(*place)?.norm)).collect();
        nodes.retain(|place| !gone.contains(place));
        let mut seen = is_wanted.clone();
        let mut steps: Vec<Step> = Vec::with_capacity(nodes.len());
        for &place in nodes.iter().rev() {
            let (node, block) = (&graph.nodes[place], block(place));
            let folded = folded(place).filter(|_| block.is_none());
            let makes: Vec<Value> = match (block, folded) {
                (Some(block), _) => vec![block.output],
                (None, Some(fold)) => vec![fold.both],
                (None, None) => node.makes().collect(),
            };
            let takes: Vec<Value> = block.map_or_else(|| node.takes().collect(), |block| vec![block.input]);
            // What a node makes and nobody takes goes at once.
            let mut last = Vec::new();
            for value in makes.into_iter().chain(takes) {
                if !std::mem::replace(&mut seen[value.index()], true) {
                    last.push(value);
                }
            }
            let over = block.is_none()
                && fast.is_some_and(|fast| fast.over.contains(&place))
                && node.takes().next().is_some_and(|of| last.contains(&of));
            steps.push(Step { node: place, folded: folded.is_some(), block: block.is_some(), over, last });
        }
        steps.reverse();
        Self { steps, given: given.to_vec() }
    }

    /// Whether what runs looks at the picture that is given, beyond its size.
    pub(super) fn sees_pixels(&self, graph: &Graph) -> bool {
        let nodes = self.steps.iter().map(|step| &graph.nodes[step.node]);
        let given = |value: Value| graph.inputs.iter().any(|input| input.value == value);
        nodes.filter(|node| !node.kind().starts_with("aten.sym_")).any(|node| node.takes().any(given))
    }
}

impl<'n> Pass<'n> {
    /// A run in which only these values are there, beside the weights.
    pub(super) fn of(network: &'n GraphNetwork, given: impl IntoIterator<Item = (Value, Tensor)>) -> Self {
        let mut held: Vec<Option<Held>> = std::iter::repeat_with(|| None).take(network.graph.values.len()).collect();
        for (value, tensor) in given {
            held[value.index()] = Some(Held::Tensor(tensor));
        }
        Self { network, held, weights: HashMap::new() }
    }

    /// With attention in one operation written out at a node.
    pub(super) fn write_out(&mut self, node: usize) {
        self.weights.insert(node, None);
    }

    /// The weights of a node that has written them out.
    pub(super) fn weights(&self, node: usize) -> Option<&Tensor> {
        self.weights.get(&node)?.as_ref()
    }

    /// Runs a plan; `watch` is shown every node behind its run, while what it takes and makes is there.
    pub(super) fn run(&mut self, plan: &Plan, watch: &mut dyn FnMut(usize, &Self) -> Result<()>) -> Result<()> {
        for step in &plan.steps {
            let node = &self.network.graph.nodes[step.node];
            if let Some(block) = self.network.fast.blocks.get(&step.node).filter(|_| step.block) {
                let xs =
                    self.tensor(block.input).ok_or_else(|| Error::network(node, "takes maps, and is given none"))?;
                self.held[block.output.index()] = Some(block.run(xs).map_err(|error| at_node(error, node))?);
                watch(step.node, self)?;
                for value in &step.last {
                    self.held[value.index()] = None;
                }
                continue;
            }
            let (operation, writes) = self.network.operations[step.node];
            let fold = self.network.fast.folds.get(&step.node).filter(|_| step.folded);
            let given = Given { node, values: &*self, instead: fold.map_or(&[], |fold| &fold.numbers) };
            let over = if step.over && !writes { self.over(&given)? } else { None };
            let mut made = match over {
                Some(made) => made,
                None if self.weights.contains_key(&step.node) => {
                    let (made, weights) = operators::written_out(&given).map_err(|error| at_node(error, node))?;
                    self.weights.insert(step.node, Some(weights));
                    made
                }
                None => operation(&given).map_err(|error| at_node(error, node))?,
            };
            if writes {
                let to = node.takes().next().and_then(|to| self.tensor(to));
                let (Some(to), Some(Held::Tensor(result))) = (to, made.first()) else {
                    return Err(Error::network(node, "writes into something that is no tensor"));
                };
                if self.network.is_weight(to) {
                    return Err(Error::network(node, "writes into the network's weights, which is not run"));
                }
                let mut to = to.shallow_clone();
                to.f_copy_(result).map_err(|error| at_node(error.into(), node))?;
                made = vec![Held::Tensor(to)];
            }
            if made.len() < node.outputs.len() {
                let (made, outputs) = (made.len(), node.outputs.len());
                return Err(Error::network(node, format!("makes {made} results where {outputs} are taken")));
            }
            let outputs = if let Some(fold) = fold { &[Some(fold.both)] } else { &node.outputs[..] };
            for (value, held) in outputs.iter().zip(made) {
                if let Some(value) = value.filter(|value| !plan.given.contains(value)) {
                    self.held[value.index()] = Some(held);
                }
            }
            watch(step.node, self)?;
            for value in &step.last {
                self.held[value.index()] = None;
            }
        }
        Ok(())
    }

    /// What an activation or an addition makes, over what it takes; nothing if it cannot.
    fn over(&self, given: &Given<'_>) -> Result<Option<Made>> {
        let Some(operation) = operators::over(&given.node.operator) else { return Ok(None) };
        let of = given.node.takes().next().filter(|of| self.held[of.index()].is_some());
        let Some(to) = of.and_then(|of| self.tensor(of)).filter(|to| is_plain(to)) else { return Ok(None) };
        operation(given, to.shallow_clone()).map_err(|error| at_node(error, given.node))
    }

    /// A tensor that is there.
    pub(super) fn tensor(&self, value: Value) -> Option<&Tensor> {
        match self.held(value) {
            Some(Held::Tensor(tensor)) => Some(tensor),
            _ => None,
        }
    }

    /// Puts another tensor in the place of one.
    pub(super) fn put(&mut self, value: Value, tensor: Tensor) {
        self.held[value.index()] = Some(Held::Tensor(tensor));
    }

    /// What a node is given.
    pub(super) fn given(&self, node: usize) -> Given<'_> {
        Given { node: &self.network.graph.nodes[node], values: self, instead: &[] }
    }
}

impl Values for Pass<'_> {
    fn held(&self, value: Value) -> Option<&Held> {
        self.held[value.index()].as_ref().or_else(|| self.network.weights[value.index()].as_ref())
    }

    fn device(&self) -> Device {
        self.network.device
    }
}

/// Whether each of its elements has a place of its own.
fn is_plain(tensor: &Tensor) -> bool {
    tensor.stride().iter().zip(tensor.size()).all(|(stride, side)| *stride > 0 || side < 2)
}

/// An error of libtorch's with the operation that it is of.
fn at_node(error: Error, node: &cbam_core::graph::Node) -> Error {
    match error.kind() {
        ErrorKind::Torch { message } => Error::network(node, message.lines().next().unwrap_or_default()),
        _ => error,
    }
}
