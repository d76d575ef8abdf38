//! A network's graph: operations in the order in which they run, and the values that they take and make.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::score::ScorePoint;
use crate::weights::{Dtype, StoredTensor};

/// A value of a graph, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub(super) u32);

impl Value {
    /// Its number, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A network as its graph: no code, only operations by their names and numbers.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Graph {
    /// What error messages call it.
    pub name: PathBuf,
    /// What its file is: `.pt2 of torch.export`, or `ONNX, operator set 17`.
    pub format: String,
    /// What wrote it: `PyTorch 2.11.0`.
    pub producer: String,
    /// The operations; each takes values that are there before it.
    pub nodes: Vec<Node>,
    /// What is given to it.
    pub inputs: Vec<Input>,
    /// The numbers that its file holds.
    pub weights: Vec<Weight>,
    /// What it gives out, flat, in order.
    pub outputs: Vec<Output>,
    /// What is known of each value before it has run.
    pub values: Vec<About>,
    /// What explanations are of instead of a class, if [`with_score`](Self::with_score) said so.
    pub score: Option<Value>,
    /// The pixel of each picture that this is of, if it is of one.
    pub score_point: Option<ScorePoint>,
}

/// An operation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Node {
    /// Its name, such as `aten.conv2d.default` or `_operator.mul`.
    pub operator: Arc<str>,
    /// What it takes, by the names of the operator's parameters; those that are left out have their defaults.
    pub inputs: Vec<(Arc<str>, Argument)>,
    /// What it makes; none for a result that nobody takes.
    pub outputs: Vec<Option<Value>>,
    /// The modules that it stands in, the innermost last.
    pub modules: Arc<[Module]>,
    /// The line of the user's file that it is of.
    pub line: Option<Arc<str>>,
}

/// A module of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Module {
    /// Where it stands, as `named_modules()` says: `layer1.0.ca`; empty for the network itself.
    pub path: String,
    /// Its class, such as `torch.nn.modules.conv.Conv2d`.
    pub class: String,
}

/// What an operation takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// Nothing.
    None,
    /// One number or truth value, or a value: a tensor or a number.
    One(Scalar),
    /// Several.
    Several(Vec<Scalar>),
    /// A word.
    Text(String),
    /// A type of elements.
    Dtype(Dtype),
    /// Something that makes no difference here: a device, a layout in memory.
    Idle,
}

/// A number, a truth value, or a value of the graph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// Nothing, in a list.
    None,
    /// A value of the graph.
    Value(Value),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

/// What is given to a graph.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Input {
    /// Its name.
    pub name: String,
    /// The value.
    pub value: Value,
}

/// What a graph gives out.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Output {
    /// Where it stands in what the network returns, as Python writes it: `output`, `output[0]`, `output['aux']`.
    pub name: String,
    /// The value; `None` for a constant.
    pub value: Option<Value>,
}

/// Numbers of a graph.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Weight {
    /// Its name in the network's `state_dict`, or that of a constant.
    pub name: String,
    /// The value that it is.
    pub value: Value,
    /// The numbers.
    pub tensor: StoredTensor,
    /// Whether a `state_dict` has it: a parameter or a buffer that is kept.
    pub kept: bool,
}

/// What is known of a value before the graph has run.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct About {
    /// Its name in the file.
    pub name: String,
    /// The type of its elements, of a tensor.
    pub dtype: Option<Dtype>,
    /// Its sides, of a tensor, if the file says them.
    pub sides: Option<Vec<Side>>,
}

/// A side of a tensor: `step × symbol + offset`, or fixed where there is no symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Side {
    /// What it was when the network was exported.
    pub example: i64,
    /// How it may change.
    pub free: Option<Free>,
}

/// How a side may change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Free {
    /// What it is made of.
    pub symbol: String,
    /// The side is a multiple of this, and the offset.
    pub step: i64,
    /// What is added.
    pub offset: i64,
    /// The least and the greatest value of the side.
    pub range: (i64, i64),
}

impl Side {
    /// A side that is always the same.
    pub const fn fixed(side: i64) -> Self {
        Self { example: side, free: None }
    }
}

impl Scalar {
    /// The value of the graph that it is, if it is one.
    pub const fn value(self) -> Option<Value> {
        if let Self::Value(value) = self { Some(value) } else { None }
    }
}

impl Argument {
    /// The values of the graph in it.
    pub fn values(&self) -> impl Iterator<Item = Value> + '_ {
        let scalars = match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
            _ => &[],
        };
        scalars.iter().filter_map(|scalar| scalar.value())
    }
}

impl Node {
    /// The operator's name without its overload: `aten.conv2d` of `aten.conv2d.default`.
    pub fn kind(&self) -> &str {
        match self.operator.strip_prefix("aten.") {
            Some(rest) => &self.operator[..5 + rest.find('.').unwrap_or(rest.len())],
            None => &self.operator,
        }
    }

    /// What it takes under this name.
    pub fn input(&self, name: &str) -> Option<&Argument> {
        self.inputs.iter().find(|(of, _)| &**of == name).map(|(_, argument)| argument)
    }

    /// The value of the graph that it takes under this name.
    pub fn value(&self, name: &str) -> Option<Value> {
        self.input(name)?.values().next()
    }

    /// All the values that it takes.
    pub fn takes(&self) -> impl Iterator<Item = Value> + '_ {
        self.inputs.iter().flat_map(|(_, argument)| argument.values())
    }

    /// The values that it makes.
    pub fn makes(&self) -> impl Iterator<Item = Value> + '_ {
        self.outputs.iter().flatten().copied()
    }

    /// Whether it writes into what it takes, by the convention of names: `aten.relu_.default`.
    pub fn writes(&self) -> bool {
        let kind = self.kind();
        kind.ends_with('_') && !kind.ends_with("__")
    }

    /// The innermost module that it stands in; empty for the network itself.
    pub fn path(&self) -> &str {
        self.modules.last().map_or("", |module| &module.path)
    }
}

impl Display for Node {
    /// `aten.conv2d.default in layer1.0.conv1 (resnet.py, line 12: x = self.conv1(x))`
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.operator)?;
        if !self.path().is_empty() {
            write!(f, " in {}", self.path())?;
        }
        self.line.iter().try_for_each(|line| write!(f, " ({line})"))
    }
}

impl Graph {
    /// What is known of a value.
    pub fn about(&self, value: Value) -> &About {
        &self.values[value.index()]
    }

    /// The nodes that take each value, by the value's number, in their order.
    pub fn users(&self) -> Vec<Vec<usize>> {
        let mut users = vec![Vec::new(); self.values.len()];
        for (place, node) in self.nodes.iter().enumerate() {
            for value in node.takes() {
                let users: &mut Vec<usize> = &mut users[value.index()];
                if users.last() != Some(&place) {
                    users.push(place);
                }
            }
        }
        users
    }

    /// The node that makes each value, by the value's number.
    pub fn makers(&self) -> Vec<Option<usize>> {
        let mut makers = vec![None; self.values.len()];
        for (place, node) in self.nodes.iter().enumerate() {
            for value in node.makes() {
                makers[value.index()] = Some(place);
            }
        }
        makers
    }

    /// The names of its operators, each once, with a node that has it.
    pub fn operators(&self) -> BTreeMap<&str, &Node> {
        let mut operators = BTreeMap::new();
        for node in &self.nodes {
            operators.entry(&*node.operator).or_insert(node);
        }
        operators
    }

    /// Takes out the nodes whose results nobody takes, unless they write into what they take.
    pub(super) fn prune(&mut self) {
        let mut needed = vec![false; self.values.len()];
        for value in self.outputs.iter().filter_map(|output| output.value) {
            needed[value.index()] = true;
        }
        let mut kept = Vec::with_capacity(self.nodes.len());
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if !node.writes() && !node.makes().any(|value| needed[value.index()]) {
                continue;
            }
            for value in node.takes() {
                needed[value.index()] = true;
            }
            kept.push(node);
        }
        kept.reverse();
        self.nodes = kept;
        self.weights.retain(|weight| weight.kept || needed[weight.value.index()]);
    }

    /// The short side of the pictures that it was exported with, in pixels; `None` if it takes no pictures `[N, C, H, W]`, or does not say.
    ///
    /// Some networks take that size and no other, though their sides are free.
    pub fn exported_side(&self) -> Option<u32> {
        let sides = self.about(self.inputs.first()?.value).sides.as_deref()?;
        let [_, _, height, width] = sides else { return None };
        u32::try_from(height.example.min(width.example)).ok().filter(|side| *side > 0)
    }

    /// How many channels its pictures have; `None` if it does not say.
    pub fn channels(&self) -> Option<i64> {
        let sides = self.about(self.inputs.first()?.value).sides.as_deref()?;
        sides.get(1).filter(|side| side.free.is_none()).map(|side| side.example)
    }

    /// What messages call it.
    pub fn file(&self) -> &Path {
        &self.name
    }
}
