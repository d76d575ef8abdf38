//! Inverted residual blocks (Sandler et al. 2018) of a graph, by the kernel that never has their widest features whole.
//!
//! A block is a chain of operations that nobody else looks at: a 1×1 convolution and its clamp, unless what comes is wide already; a
//! convolution of each channel and its clamp; a 1×1 convolution; and the addition of what came, if there is one.

use std::collections::{HashMap, HashSet};

use cbam_core::graph::{Argument, Graph, Node, Scalar, Value};
use cbam_core::kernels::{Axis, Clamp, Depthwise, InvertedResidual, Map, Padding, Pointwise};
use ndarray::Ix4;
use tch::{Kind, Tensor};

use super::fold::{Fold, Weights, are_outputs, room};
use super::given::{Given, Held};
use crate::host::{to_host, to_tensor};
use crate::{Error, Result};

/// A block, by the node that it ends in.
#[derive(Debug)]
pub(super) struct Block {
    kernel: InvertedResidual,
    /// That of the convolution of each channel.
    axis: Axis,
    residual: bool,
    /// What comes.
    pub(super) input: Value,
    /// What it makes.
    pub(super) output: Value,
    /// The nodes that it does the work of, its last among them.
    pub(super) nodes: Vec<usize>,
    /// What these make for one another.
    pub(super) inner: Vec<Value>,
}

impl Block {
    /// Runs it on maps `[N, C, H, W]`, or `[C, H, W]`.
    pub(super) fn run(&self, xs: &Tensor) -> Result<Held> {
        if xs.dim() == 3 {
            let Held::Tensor(made) = self.run(&xs.f_unsqueeze(0)?)? else { return Err(Error::internal("no tensor")) };
            return Ok(Held::Tensor(made.f_squeeze_dim(0)?));
        }
        let pixels = to_host::<Ix4>(&xs.f_permute([0, 2, 3, 1])?)?;
        let (n, h, w, c) = pixels.dim();
        let odd = self.axis.padding == Padding::Same && (h % 2 == 1 || w % 2 == 1);
        if c != self.kernel.inputs() || odd || !self.axis.fits(h) || !self.axis.fits(w) {
            let message =
                format!("maps of {c} channels, {h}×{w}, which are not those that its graph was exported with");
            return Err(Error::argument("maps", message));
        }
        let map = Map::new([n, h, w, c], pixels.into_raw_vec_and_offset().0)?;
        Ok(Held::Tensor(to_tensor(self.kernel.forward(&map, self.residual).into_array().view())?))
    }
}

/// The blocks of a graph whose numbers lie on a CPU, in f32, by the nodes that they end in.
pub(super) fn blocks(
    graph: &Graph,
    weights: &[Option<Held>],
    folds: &HashMap<usize, Fold>,
    (users, makers): (&[Vec<usize>], &[Option<usize>]),
) -> Result<HashMap<usize, Block>> {
    let (known, outputs) = (Weights(weights), are_outputs(graph));
    let mut search = Search { graph, known, folds, users, makers, outputs, taken: HashSet::new() };
    let (mut found, mut room) = (HashMap::new(), room(weights));
    for place in 0..graph.nodes.len() {
        if let Some((block, numbers)) = search.around(place)? {
            room -= numbers as i64;
            if room < 0 {
                break;
            }
            search.taken.extend(&block.nodes);
            found.insert(*block.nodes.last().unwrap_or(&place), block);
        }
    }
    Ok(found)
}

struct Search<'g> {
    graph: &'g Graph,
    known: Weights<'g>,
    folds: &'g HashMap<usize, Fold>,
    users: &'g [Vec<usize>],
    makers: &'g [Option<usize>],
    /// For each value whether the network gives it out.
    outputs: Vec<bool>,
    /// The nodes of the blocks that were found: the matrix between two convolutions of each channel is the first one's.
    taken: HashSet<usize>,
}

/// A convolution, that of the BatchNorm behind it included.
struct Layer {
    place: usize,
    /// `[outputs, inputs / groups, kernel, kernel]`
    shape: [usize; 4],
    stride: i64,
    padding: i64,
    groups: i64,
    input: Value,
    output: Value,
    /// What it gives out without its BatchNorm.
    alone: Option<Value>,
    nodes: Vec<usize>,
}

/// What stands before a convolution of each channel, which nobody else looks at.
struct Before {
    layer: Layer,
    clamp: Clamp,
    nodes: Vec<usize>,
    inner: Vec<Value>,
}

impl Search<'_> {
    /// The block around a convolution of each channel, and how many numbers it has.
    fn around(&self, place: usize) -> Result<Option<(Block, usize)>> {
        let Some(own) = self.layer(place) else { return Ok(None) };
        let [channels, of_group, kernel, width] = own.shape;
        let each = of_group == 1 && own.groups == channels as i64 && kernel == width && matches!(kernel, 3 | 5);
        if !each || ![1, 2].contains(&own.stride) {
            return Ok(None);
        }
        let (mut nodes, mut inner) = (own.nodes.clone(), Vec::from_iter(own.alone));
        let mut wide = own.input;
        let padding = match (own.padding, self.made_alone(wide)) {
            (0, Some((pad, from))) if self.is_same_padding(pad, from, kernel, own.stride) => {
                nodes.push(pad);
                inner.push(wide);
                wide = from;
                Padding::Same
            }
            (0, _) => return Ok(None),
            (zeros, _) if zeros == kernel as i64 / 2 => Padding::Each(kernel / 2),
            _ => return Ok(None),
        };
        // What widens it before.
        let (mut input, mut expand) = (wide, None);
        if let Some(before) = self.clamped_before(wide)
            && before.layer.shape[0] == channels
            && !before.nodes.iter().any(|node| self.taken.contains(node))
            && let Some(matrix) = self.pointwise(&before.layer, before.clamp)?
        {
            inner.extend(before.inner);
            nodes.extend(before.nodes);
            (input, expand) = (before.layer.input, Some(matrix));
        }
        // What clamps and narrows it behind.
        let (mut at, mut clamp) = (own.output, Clamp::NONE);
        inner.push(at);
        if let Some(user) = self.used_alone(at)
            && let Some(of) = clamp_of(&self.graph.nodes[user])
            && let Some(to) = self.graph.nodes[user].makes().next()
        {
            nodes.push(user);
            inner.push(to);
            (at, clamp) = (to, of);
        }
        let Some(narrow) = self.used_alone(at).and_then(|user| self.layer(user)) else {
            return Ok(None);
        };
        let Some(project) = self.pointwise(&narrow, Clamp::NONE)? else { return Ok(None) };
        if project.inputs() != channels {
            return Ok(None);
        }
        nodes.extend(narrow.nodes);
        inner.extend(narrow.alone);
        let (mut output, mut residual) = (narrow.output, false);
        if let Some(user) = self.used_alone(output)
            && let node = &self.graph.nodes[user]
            && &*node.operator == "aten.add.Tensor"
            && node.input("alpha").is_none_or(|alpha| *alpha == Argument::One(Scalar::Int(1)))
            && node.takes().filter(|of| *of != output).eq([input])
            && own.stride == 1
            && expand.as_ref().map_or(channels, Pointwise::inputs) == project.outputs()
            && let Some(sum) = node.makes().next()
        {
            nodes.push(user);
            inner.push(output);
            (output, residual) = (sum, true);
        }
        nodes.sort_unstable();
        if nodes.iter().any(|node| self.taken.contains(node)) {
            return Ok(None);
        }
        let axis = Axis { kernel, stride: own.stride as usize, padding };
        let taps = kernel * kernel;
        let (weight, bias) = self.numbers(&own)?;
        let depthwise = Depthwise::of(&bias, |channel, tap| weight[channel * taps + tap], axis, clamp);
        let matrix = |of: &Pointwise| of.inputs() * of.outputs();
        let numbers = expand.as_ref().map_or(0, matrix) + matrix(&project) + weight.len();
        let kernel = InvertedResidual { expand, depthwise, project };
        Ok(Some((Block { kernel, axis, residual, input, output, nodes, inner }, numbers)))
    }

    /// What a convolution takes, with the numbers of the BatchNorm behind it in its own.
    fn given(&self, place: usize) -> Given<'_> {
        let instead: &[_] = self.folds.get(&place).map_or(&[], |fold| &fold.numbers);
        Given { node: &self.graph.nodes[place], values: &self.known, instead }
    }

    /// Its weight, and its biases.
    fn numbers(&self, layer: &Layer) -> Result<(Vec<f32>, Vec<f32>)> {
        let given = self.given(layer.place);
        let numbers = |tensor: &Tensor| Ok::<_, Error>(Vec::try_from(tensor.f_contiguous()?.f_flatten(0, -1)?)?);
        let bias = given.maybe_tensor("bias")?.map(numbers).transpose()?;
        Ok((numbers(given.tensor("weight")?)?, bias.unwrap_or_else(|| vec![0.0; layer.shape[0]])))
    }

    /// It as a matrix over channels, if it is one.
    fn pointwise(&self, layer: &Layer, clamp: Clamp) -> Result<Option<Pointwise>> {
        if layer.shape[2..] != [1, 1] || (layer.stride, layer.padding, layer.groups) != (1, 0, 1) {
            return Ok(None);
        }
        let (weight, bias) = self.numbers(layer)?;
        Ok(Some(Pointwise::new(&weight, &bias, clamp)))
    }

    /// A convolution in two dimensions whose numbers are known, in f32.
    fn layer(&self, place: usize) -> Option<Layer> {
        let node = &self.graph.nodes[place];
        let known = |name: &str| node.value(name).is_none_or(|value| self.known.0[value.index()].is_some());
        if &*node.operator != "aten.conv2d.default" || !known("weight") || !known("bias") {
            return None;
        }
        let (fold, given) = (self.folds.get(&place), self.given(place));
        let square = |name: &str, usual: i64| match given.has(name).then(|| given.ints(name).ok()) {
            None => Some(usual),
            Some(sides) => match sides?[..] {
                [one] => Some(one),
                [a, b] => (a == b).then_some(a),
                _ => None,
            },
        };
        let (stride, padding, 1) = (square("stride", 1)?, square("padding", 0)?, square("dilation", 1)?) else {
            return None;
        };
        let (weight, bias) = (given.tensor("weight").ok()?, given.maybe_tensor("bias").ok()?);
        let &[outputs, of_group, height, width] = &weight.size()[..] else { return None };
        let on_cpu = |of: &Tensor| of.kind() == Kind::Float && of.device() == tch::Device::Cpu;
        let fits = weight.numel() > 0 && bias.is_none_or(|bias| bias.size() == [outputs]);
        if !fits || !on_cpu(weight) || !bias.is_none_or(on_cpu) {
            return None;
        }
        let (output, nodes) = match fold {
            Some(fold) => (fold.both, vec![place, fold.norm]),
            None => (node.makes().next()?, vec![place]),
        };
        let shape = [outputs, of_group, height, width].map(|side| side as usize);
        let (groups, input, alone) =
            (given.int_or("groups", 1).ok()?, node.value("input")?, fold.map(|fold| fold.alone));
        Some(Layer { place, shape, stride, padding, groups, input, output, alone, nodes })
    }

    /// A convolution and the clamp behind it, if there is one.
    fn clamped_before(&self, value: Value) -> Option<Before> {
        let (maker, from) = self.made_alone(value)?;
        let (clamp, of, mut nodes, mut inner) = match clamp_of(&self.graph.nodes[maker]) {
            Some(clamp) => (clamp, from, vec![maker], vec![value, from]),
            None => (Clamp::NONE, value, Vec::new(), vec![value]),
        };
        let (maker, _) = self.made_alone(of)?;
        let convolution = self.graph.nodes[maker].value("input").and_then(|of| self.makers[of.index()]);
        let folded = convolution.filter(|place| self.folds.get(place).is_some_and(|fold| fold.norm == maker));
        let layer = self.layer(folded.unwrap_or(maker)).filter(|layer| layer.output == of)?;
        nodes.extend(&layer.nodes);
        inner.extend(layer.alone);
        Some(Before { layer, clamp, nodes, inner })
    }

    /// The node that makes a value which one other alone looks at, and what that node takes first.
    fn made_alone(&self, value: Value) -> Option<(usize, Value)> {
        self.used_alone(value)?;
        let maker = self.makers[value.index()]?;
        Some((maker, self.graph.nodes[maker].takes().next()?))
    }

    /// The only node that looks at a value, which is none that the network gives out.
    fn used_alone(&self, value: Value) -> Option<usize> {
        let [user] = self.users[value.index()][..] else { return None };
        (!self.outputs[value.index()]).then_some(user)
    }

    /// Whether a node pads maps of a fixed, even size as TensorFlow does before a stride of 2.
    fn is_same_padding(&self, pad: usize, from: Value, kernel: usize, stride: i64) -> bool {
        let node = &self.graph.nodes[pad];
        let zeros = [kernel as i64 / 2 - 1, kernel as i64 / 2];
        let even = |value: Value| {
            let sides = self.graph.about(value).sides.as_ref()?.get(2..4)?;
            Some(sides.iter().all(|side| side.free.is_none() && side.example % 2 == 0))
        };
        let amounts = node.input("pad").map(|pad| match pad {
            Argument::Several(several) => several.clone(),
            _ => Vec::new(),
        });
        let expected: Vec<_> = [zeros, zeros].concat().into_iter().map(Scalar::Int).collect();
        let of_zeros = |argument: &Argument| match argument {
            Argument::One(Scalar::Int(int)) => *int == 0,
            Argument::One(Scalar::Float(float)) => *float == 0.0,
            Argument::None => true,
            Argument::Text(mode) => mode == "constant",
            _ => false,
        };
        let plain = ["mode", "value"].iter().all(|name| node.input(name).is_none_or(of_zeros));
        let is_pad = matches!(&*node.operator, "aten.pad.default" | "aten.constant_pad_nd.default");
        is_pad && plain && stride == 2 && amounts == Some(expected) && even(from) == Some(true)
    }
}

/// What a node clamps to, if it does nothing else.
fn clamp_of(node: &Node) -> Option<Clamp> {
    let number = |name: &str, usual: f32| match node.input(name) {
        None | Some(Argument::None) => Some(usual),
        Some(Argument::One(Scalar::Int(int))) => Some(*int as f32),
        Some(Argument::One(Scalar::Float(float))) => Some(*float as f32),
        Some(_) => None,
    };
    let name = node.kind().strip_prefix("aten.")?;
    Some(match name.strip_suffix('_').unwrap_or(name) {
        "relu" => Clamp::RELU,
        "relu6" => Clamp::RELU6,
        "hardtanh" => Clamp { low: number("min_val", -1.0)?, high: number("max_val", 1.0)? },
        "clamp" => Clamp { low: number("min", f32::NEG_INFINITY)?, high: number("max", f32::INFINITY)? },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::super::GraphNetwork;
    use super::*;
    use crate::photo::Preprocess;

    #[test]
    fn blocks_are_found_and_give_what_their_operations_give() {
        crate::sys::set_threads(std::num::NonZeroUsize::MIN);
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/graph/inverted.pt2");
        let network = GraphNetwork::open(file, Device::Cpu, Preprocess::imagenet()).unwrap();
        let about = |block: &Block| (block.kernel.expand.is_some(), block.residual);
        let mut found: Vec<_> = network.fast.blocks.iter().map(|(end, block)| (*end, about(block))).collect();
        found.sort_unstable();
        let found: Vec<_> = found.into_iter().map(|(_, about)| about).collect();
        // The matrix between two convolutions of each channel, one after the other, is the first one's.
        assert_eq!(found, [(false, false), (true, true), (true, false), (true, true), (false, false), (false, false)]);
        let picture = Tensor::rand([1, 3, 32, 48], (Kind::Float, Device::Cpu));
        let wanted = network.wanted();
        let of = |plan: &super::super::run::Plan| {
            let mut pass = network.pass(&picture).unwrap();
            tch::no_grad(|| pass.run(plan, &mut |_, _| Ok(()))).unwrap();
            pass.tensor(wanted[0]).unwrap().shallow_clone()
        };
        let [slow, fast] = [network.plan(&wanted, &[]), network.fast_plan(&wanted)].map(|plan| of(&plan));
        let off = (slow.subtract(&fast).abs().max() / slow.abs().max()).double_value(&[]);
        assert!(off < 1e-5, "off by {off}");
        // What lies inside of a block is had where it is asked for.
        let inner = network.fast.blocks.values().next().unwrap().inner[0];
        let mut pass = network.pass(&picture).unwrap();
        tch::no_grad(|| pass.run(&network.fast_plan(&[inner]), &mut |_, _| Ok(()))).unwrap();
        assert!(pass.tensor(inner).is_some());
    }
}
