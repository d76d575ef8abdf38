//! A checkpoint's tensors by module, and which of them have been explained.
//!
//! A name is relative to the network, whose prefix is off; one that begins with `/` is a name of the file, outside of the network.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use ndarray::{Array, Array1, ArrayD, Dimension, Ix1};

use super::names::natural;
use crate::weights::{Dtype, StoredTensor};

/// What a name outside of the network begins with.
pub(super) const OUTSIDE: char = '/';

/// Tensors by name. What a recogniser takes is explained; what is left at the end stands in the way, or is left out.
#[derive(Debug)]
pub(super) struct Modules {
    pub(super) tensors: BTreeMap<String, StoredTensor>,
    /// The names in the file, of those that have another here.
    originals: BTreeMap<String, String>,
    taken: RefCell<BTreeSet<String>>,
    /// The tensors taken, by the names of this crate's networks.
    pub(super) renamed: RefCell<BTreeMap<String, StoredTensor>>,
    pub(super) left_out: RefCell<BTreeSet<String>>,
}

/// What a module is, by the shapes of its tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// A linear layer, or a 1×1 convolution: its outputs and inputs.
    Linear(i64, i64),
    /// A convolution `[1, 2, k, k]` over two pooled maps, k odd: k.
    Spatial(i64),
    /// A convolution `[1, 1, k]` along the channels, k odd: k.
    AlongChannels(i64),
    /// A BatchNorm of that many channels.
    Norm(i64),
    /// A convolution of any other shape.
    Convolution(Vec<i64>),
    /// Something else: its first tensor's shape.
    Other(Vec<i64>),
}

/// A module that has tensors of its own.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) path: String,
    pub(super) shape: Shape,
    pub(super) bias: bool,
}

impl Modules {
    /// The tensors of a file, each under the name that `rename` gives it.
    pub(super) fn new(tensors: &BTreeMap<String, StoredTensor>, rename: impl Fn(&str) -> String) -> Self {
        let (mut renamed, mut originals) = (BTreeMap::new(), BTreeMap::new());
        for (name, tensor) in tensors {
            let mut here = rename(name);
            if renamed.contains_key(&here) {
                here = format!("{OUTSIDE}{name}");
            }
            if here != *name {
                originals.insert(here.clone(), name.clone());
            }
            renamed.insert(here, tensor.clone());
        }
        let modules = Self {
            tensors: renamed,
            originals,
            taken: RefCell::default(),
            renamed: RefCell::default(),
            left_out: RefCell::default(),
        };
        let counters = modules.tensors.iter().filter(|(name, tensor)| is_counter(name, tensor));
        for (name, _) in counters {
            modules.taken.borrow_mut().insert(name.clone());
            if !name.ends_with("num_batches_tracked") {
                modules.left_out.borrow_mut().insert(modules.original(name).to_owned());
            }
        }
        modules
    }

    /// The name that a tensor, or a module, has in the file.
    pub(super) fn original<'s>(&'s self, name: &'s str) -> &'s str {
        if let Some(original) = self.originals.get(name) {
            return original;
        }
        let of_module = self.originals.range::<str, _>((Bound::Included(name), Bound::Unbounded)).next();
        let whole = of_module.and_then(|(here, original)| original.strip_suffix(here.strip_prefix(name)?));
        whole.unwrap_or(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&StoredTensor> {
        self.tensors.get(name)
    }

    /// Whether any tensor lies under this prefix.
    pub(super) fn has_under(&self, prefix: &str) -> bool {
        self.under(prefix).next().is_some()
    }

    /// The names under a prefix.
    pub(super) fn under<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s str> + 's {
        let range = self.tensors.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        range.map(|(name, _)| name.as_str()).take_while(move |name| name.starts_with(prefix))
    }

    /// The modules under a prefix that nothing explains yet, in the order of their names and numbers.
    pub(super) fn leaves(&self, prefix: &str) -> Vec<Leaf> {
        let taken = self.taken.borrow();
        let names = self.under(prefix).filter(|name| !taken.contains(*name));
        let mut modules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for name in names {
            let (path, last) = name.rsplit_once('.').unwrap_or((name, ""));
            modules.entry(path).or_default().push(last);
        }
        let leaf = |(path, parts): (&str, Vec<&str>)| Leaf {
            path: path.to_owned(),
            shape: self.shape_of(path, &parts),
            bias: parts.contains(&"bias"),
        };
        let mut leaves: Vec<Leaf> = modules.into_iter().map(leaf).collect();
        leaves.sort_by(|a, b| natural(&a.path, &b.path));
        leaves
    }

    fn shape_of(&self, path: &str, parts: &[&str]) -> Shape {
        let size = |part: &str| {
            let name = if part.is_empty() { path.to_owned() } else { format!("{path}.{part}") };
            self.tensors.get(&name).map(|tensor| tensor.shape().to_vec()).unwrap_or_default()
        };
        let first = size(parts[0]);
        let only = |known: &[&str]| parts.iter().all(|part| known.contains(part));
        if only(&["weight", "bias", "running_mean", "running_var"]) && parts.len() == 4 {
            let sizes = parts.iter().map(|part| size(part));
            return match first[..] {
                [channels] if sizes.into_iter().all(|size| size == [channels]) => Shape::Norm(channels),
                _ => Shape::Other(first),
            };
        }
        if !only(&["weight", "bias"]) || !parts.contains(&"weight") {
            return Shape::Other(first);
        }
        let weight = size("weight");
        if parts.contains(&"bias") && size("bias") != weight[..weight.len().min(1)] {
            return Shape::Other(weight);
        }
        match weight[..] {
            [outputs, inputs] | [outputs, inputs, 1, 1] if outputs.min(inputs) > 0 => Shape::Linear(outputs, inputs),
            [1, 2, side, other] if side == other && side % 2 == 1 => Shape::Spatial(side),
            [1, 1, side] if side % 2 == 1 => Shape::AlongChannels(side),
            [_, _, _, _] => Shape::Convolution(weight),
            _ => Shape::Other(weight),
        }
    }

    /// The shape of a tensor, or an error that names it.
    pub(super) fn shape(&self, name: &str) -> Result<Vec<i64>, String> {
        self.tensors.get(name).map(|tensor| tensor.shape().to_vec()).ok_or_else(|| format!("{name} is missing"))
    }

    /// The shape of a tensor of `N` axes.
    pub(super) fn axes<const N: usize>(&self, name: &str) -> Result<[i64; N], String> {
        let shape = self.shape(name)?;
        let wrong = || format!("{} {shape:?} where {N} axes belong", self.original(name));
        shape.as_slice().try_into().map_err(|_| wrong())
    }

    /// Marks a tensor as explained, and returns it.
    pub(super) fn explain(&self, name: &str) -> Result<StoredTensor, String> {
        let tensor = self.tensors.get(name).ok_or_else(|| format!("{name} is missing"))?;
        self.taken.borrow_mut().insert(name.to_owned());
        Ok(tensor.clone())
    }

    /// Marks a tensor of numbers with fractions as explained, and returns it in f64, in a shape of as many elements.
    pub(super) fn double<D: Dimension>(&self, name: &str, shape: &[i64]) -> Result<Array<f64, D>, String> {
        let tensor = self.explain(name)?;
        self.of_fractions(name, &tensor)?;
        let sides: Vec<usize> = shape.iter().map(|&side| side as usize).collect();
        let array = ArrayD::from_shape_vec(sides, tensor.doubles()).and_then(ArrayD::into_dimensionality);
        array.map_err(|_| self.wrong(name, &tensor, shape))
    }

    /// Refuses integers where a network computes with fractions: quantised weights mean something else.
    fn of_fractions(&self, name: &str, tensor: &StoredTensor) -> Result<(), String> {
        if tensor.dtype().is_float() {
            return Ok(());
        }
        Err(format!("{} holds {}, and weights are fractions", self.original(name), tensor.dtype()))
    }

    fn wrong(&self, name: &str, tensor: &StoredTensor, shape: &[i64]) -> String {
        format!("{} {:?} where {shape:?} belongs", self.original(name), tensor.shape())
    }

    /// A tensor of one of this crate's names.
    pub(super) fn give(&self, ours: String, tensor: StoredTensor) {
        self.renamed.borrow_mut().insert(ours, tensor);
    }

    /// Changes the weights of the `BatchNorms` taken so that with `to` they compute what they did with `from` as their ε.
    pub(super) fn scale_norms(&self, from: f64, to: f64) -> Result<(), String> {
        let mut renamed = self.renamed.borrow_mut();
        let norms = renamed.keys().filter_map(|name| name.strip_suffix(".running_var")).map(str::to_owned);
        for norm in norms.collect::<Vec<_>>() {
            let (weight, variance) = (format!("{norm}.weight"), format!("{norm}.running_var"));
            let (Some(held), Some(variances)) = (renamed.get(&weight), renamed.get(&variance)) else { continue };
            if ![held, variances].iter().all(|held| held.dtype().is_float()) {
                continue;
            }
            if held.shape() != variances.shape() {
                return Err(format!("{weight} {:?} beside variances {:?}", held.shape(), variances.shape()));
            }
            let scaled = held.doubles().into_iter().zip(variances.doubles());
            let scaled =
                scaled.map(|(weight, variance)| (weight * ((variance + to) / (variance + from)).sqrt()) as f32);
            let scaled = StoredTensor::from(scaled.collect::<Array1<f32>>());
            let scaled = scaled.reshape(held.shape()).map_err(|_| format!("{weight} {:?}", held.shape()))?;
            renamed.insert(weight, scaled);
        }
        Ok(())
    }

    /// Gives a module that was taken another name of this crate's.
    pub(super) fn rename(&self, from: &str, to: &str) {
        let mut renamed = self.renamed.borrow_mut();
        let under = format!("{from}.");
        let names: Vec<String> = renamed.keys().filter(|name| name.starts_with(&under)).cloned().collect();
        for name in names {
            if let Some(tensor) = renamed.remove(&name) {
                renamed.insert(format!("{to}.{}", &name[under.len()..]), tensor);
            }
        }
    }

    /// Takes a tensor under a name of this crate's.
    pub(super) fn take(&self, name: &str, ours: String) -> Result<(), String> {
        self.give(ours, self.explain(name)?);
        Ok(())
    }

    /// Takes a tensor as another shape of as many elements.
    pub(super) fn take_reshaped(&self, name: &str, ours: String, shape: &[i64]) -> Result<(), String> {
        let tensor = self.explain(name)?;
        self.give(ours, tensor.reshape(shape).map_err(|_| self.wrong(name, &tensor, shape))?);
        Ok(())
    }

    /// Takes a linear layer, or a 1×1 convolution as one, `[outputs, inputs]`; with biases of 0 if `bias` and it has none.
    pub(super) fn linear(&self, leaf: &Leaf, ours: &str, bias: bool) -> Result<(), String> {
        let Shape::Linear(outputs, inputs) = leaf.shape else {
            return Err(format!("{} is no linear layer", leaf.path));
        };
        self.take_reshaped(&format!("{}.weight", leaf.path), format!("{ours}.weight"), &[outputs, inputs])?;
        if leaf.bias {
            self.take_reshaped(&format!("{}.bias", leaf.path), format!("{ours}.bias"), &[outputs])?;
        } else if bias {
            let zeros = StoredTensor::zeros(Dtype::F32, &[outputs]).map_err(|error| error.to_string())?;
            self.give(format!("{ours}.bias"), zeros);
        }
        Ok(())
    }

    /// Takes a convolution or a linear layer of the backbone, by the name that it has.
    pub(super) fn layer(&self, name: &str, bias: bool) -> Result<(), String> {
        self.backbone(&format!("{name}.weight"))?;
        if bias { self.backbone(&format!("{name}.bias")) } else { Ok(()) }
    }

    /// Takes a BatchNorm of the backbone.
    pub(super) fn norm(&self, name: &str) -> Result<(), String> {
        ["weight", "bias", "running_mean", "running_var"]
            .iter()
            .try_for_each(|part| self.backbone(&format!("{name}.{part}")))
    }

    /// Takes a convolution and the BatchNorm behind it. A bias between them is taken off the BatchNorm's mean.
    pub(super) fn conv_norm(&self, conv: &str, norm: &str) -> Result<(), String> {
        self.layer(conv, false)?;
        self.norm(norm)?;
        let outputs = self.shape(&format!("{conv}.weight"))?.first().copied().unwrap_or(0);
        let mean = self.shape(&format!("{norm}.running_mean"))?;
        if mean != [outputs] {
            let [conv, norm] = [conv, norm].map(|name| self.original(name));
            return Err(format!("{norm} of {mean:?} channels behind {conv}, which gives out {outputs}"));
        }
        let bias = format!("{conv}.bias");
        if self.has(&bias) && self.shape(&bias)? == [outputs] {
            let name = format!("backbone.{norm}.running_mean");
            self.give(name, self.less(&format!("{norm}.running_mean"), &bias)?);
        }
        Ok(())
    }

    /// One tensor less another of its shape, which has one axis; in f32.
    pub(super) fn less(&self, name: &str, subtrahend: &str) -> Result<StoredTensor, String> {
        let shape = self.shape(name)?;
        let [tensor, subtrahend] = [name, subtrahend].map(|name| self.double::<Ix1>(name, &shape));
        Ok((tensor? - subtrahend?).mapv(|value| value as f32).into())
    }

    fn backbone(&self, name: &str) -> Result<(), String> {
        self.take(name, format!("backbone.{name}"))
    }

    /// What nothing explains yet, in the file's names.
    pub(super) fn left(&self) -> Vec<&str> {
        let taken = self.taken.borrow();
        self.tensors.keys().map(String::as_str).filter(|name| !taken.contains(*name)).collect()
    }

    /// Leaves a module out.
    pub(super) fn leave_out(&self, leaf: &Leaf) {
        for name in self.under(&leaf.path) {
            let rest = &name[leaf.path.len()..];
            if rest.is_empty() || (rest.starts_with('.') && !rest[1..].contains('.')) {
                self.taken.borrow_mut().insert(name.to_owned());
                self.left_out.borrow_mut().insert(self.original(name).to_owned());
            }
        }
    }
}

/// Whether a tensor only counts: batches, steps, averaged models.
fn is_counter(name: &str, tensor: &StoredTensor) -> bool {
    let integer = !tensor.dtype().is_float() && tensor.dtype() != Dtype::Bool;
    name.ends_with("num_batches_tracked") || (tensor.shape().is_empty() && integer)
}
