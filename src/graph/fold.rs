//! What runs faster where no gradient is wanted: BatchNorm folded into the convolutions before it, activations over what they take.

use std::collections::{HashMap, HashSet};

use cbam_core::graph::{Graph, Node, Value};
use tch::{Device, Kind, Tensor};

use super::blocks::{Block, blocks};
use super::given::{Given, Held, Values};
use super::operators;
use crate::Result;

/// What may be done to a graph's nodes, by their places, where no gradient is wanted.
#[derive(Debug, Default)]
pub(super) struct Fast {
    /// Convolutions that do the work of the BatchNorm behind them too.
    pub(super) folds: HashMap<usize, Fold>,
    /// Nodes that may write over the first tensor that they take, if it is not looked at afterwards: nobody else takes it, and it has
    /// elements of its own.
    pub(super) over: HashSet<usize>,
    /// Inverted residual blocks, by the nodes that they end in.
    pub(super) blocks: HashMap<usize, Block>,
}

/// Operators whose result has elements of its own, or those of a tensor that is gone.
const ANEW: [&str; 13] = [
    "aten.add.Tensor",
    "aten.batch_norm.default",
    "aten.conv2d.default",
    "aten.conv2d.padding",
    "aten.convolution.default",
    "aten.hardswish.default",
    "aten.hardtanh.default",
    "aten.linear.default",
    "aten.matmul.default",
    "aten.mul.Tensor",
    "aten.relu.default",
    "aten.relu6.default",
    "aten.silu.default",
];

impl Fast {
    /// There may be blocks where all runs on a CPU whose cores libtorch shares, in f32, and nothing is written over.
    pub(super) fn of(graph: &Graph, weights: &[Option<Held>], with_blocks: bool) -> Result<Self> {
        let (users, makers) = (graph.users(), graph.makers());
        let alone = |(place, node): &(usize, &Node)| {
            let of = node.takes().next().filter(|of| users[of.index()] == [*place]);
            let maker = of.and_then(|of| makers[of.index()]).map(|maker| &*graph.nodes[maker].operator);
            operators::over(&node.operator).is_some() && maker.is_some_and(|maker| ANEW.contains(&maker))
        };
        let over = graph.nodes.iter().enumerate().filter(alone).map(|(place, _)| place).collect();
        let folds = folds(graph, weights, &users, &makers)?;
        let blocks = if with_blocks { blocks(graph, weights, &folds, (&users, &makers))? } else { HashMap::new() };
        Ok(Self { folds, over, blocks })
    }
}

/// A convolution's numbers with those of the BatchNorm behind it.
#[derive(Debug)]
pub(super) struct Fold {
    /// The place of the BatchNorm's node.
    pub(super) norm: usize,
    /// What the convolution gives out alone, and with the BatchNorm.
    pub(super) alone: Value,
    pub(super) both: Value,
    /// In the stead of the convolution's weight and bias.
    pub(super) numbers: [(&'static str, Tensor); 2],
}

/// The network's numbers.
pub(super) struct Weights<'n>(pub(super) &'n [Option<Held>]);

impl Values for Weights<'_> {
    fn held(&self, value: Value) -> Option<&Held> {
        self.0[value.index()].as_ref()
    }

    fn device(&self) -> Device {
        Device::Cpu
    }
}

/// The convolutions of a graph behind which nothing but a BatchNorm stands.
fn folds(
    graph: &Graph,
    weights: &[Option<Held>],
    users: &[Vec<usize>],
    makers: &[Option<usize>],
) -> Result<HashMap<usize, Fold>> {
    let (mut folds, known) = (HashMap::new(), Weights(weights));
    let (outputs, mut room) = (are_outputs(graph), room(weights));
    for (norm, node) in graph.nodes.iter().enumerate() {
        if !matches!(node.kind(), "aten.batch_norm" | "aten._native_batch_norm_legit_no_training") {
            continue;
        }
        let Some(alone) = node.value("input").filter(|alone| users[alone.index()] == [norm]) else { continue };
        let Some(convolution) = makers[alone.index()].filter(|maker| is_convolution(&graph.nodes[*maker])) else {
            continue;
        };
        let Some(both) = node.makes().next() else { continue };
        let of = |node| Given { node, values: &known, instead: &[] };
        if outputs[alone.index()] {
            continue;
        }
        if let Some(numbers) = numbers(&of(&graph.nodes[convolution]), &of(node))? {
            room -= numbers[0].1.numel() as i64;
            if room < 0 {
                break;
            }
            folds.insert(convolution, Fold { norm, alone, both, numbers });
        }
    }
    Ok(folds)
}

/// For each value whether the network gives it out.
pub(super) fn are_outputs(graph: &Graph) -> Vec<bool> {
    let mut outputs = vec![false; graph.values.len()];
    graph.outputs.iter().filter_map(|output| output.value).for_each(|value| outputs[value.index()] = true);
    outputs
}

/// How many numbers may be made of the network's own at most: more than it has where none is used more than thrice.
pub(super) fn room(weights: &[Option<Held>]) -> i64 {
    let numbers = |held: &Held| if let Held::Tensor(tensor) = held { tensor.numel() as i64 } else { 0 };
    3 * weights.iter().flatten().map(numbers).sum::<i64>()
}

/// Whether channels of what it gives out are the first side of its weight.
fn is_convolution(node: &Node) -> bool {
    matches!(&*node.operator, "aten.conv2d.default" | "aten.conv2d.padding")
}

/// Weight and bias of both; nothing if they are not all numbers of the network's, in f32.
fn numbers(convolution: &Given<'_>, norm: &Given<'_>) -> Result<Option<[(&'static str, Tensor); 2]>> {
    let known = |of: &Given<'_>, names: &[&str]| {
        names.iter().all(|name| of.node.value(name).is_none_or(|value| of.values.held(value).is_some()))
    };
    if !known(convolution, &["weight", "bias"]) || !known(norm, &["weight", "bias", "running_mean", "running_var"]) {
        return Ok(None);
    }
    let weight = convolution.tensor("weight")?;
    let (Some(mean), Some(var)) = (norm.maybe_tensor("running_mean")?, norm.maybe_tensor("running_var")?) else {
        return Ok(None);
    };
    if weight.kind() != Kind::Float || norm.flag("training", false)? {
        return Ok(None);
    }
    let double = |of: &Tensor| of.f_to_kind(Kind::Double);
    let mut scale = double(var)?.f_add_scalar(norm.float("eps")?)?.f_rsqrt()?;
    if let Some(gamma) = norm.maybe_tensor("weight")? {
        scale = scale.f_mul(&double(gamma)?)?;
    }
    let shift = match convolution.maybe_tensor("bias")? {
        Some(bias) => double(bias)?.f_sub(&double(mean)?)?,
        None => double(mean)?.f_neg()?,
    };
    let mut bias = shift.f_mul(&scale)?;
    if let Some(beta) = norm.maybe_tensor("bias")? {
        bias = bias.f_add(&double(beta)?)?;
    }
    let weight = double(weight)?.f_mul(&scale.f_reshape([-1, 1, 1, 1])?)?;
    Ok(Some([("weight", weight.f_to_kind(Kind::Float)?), ("bias", bias.f_to_kind(Kind::Float)?)]))
}
