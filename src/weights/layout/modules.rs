//! A checkpoint's tensors by module, and which of them have been explained.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use tch::Tensor;

use crate::weights::is_counter;

/// How many keys a message lists.
const LISTED: usize = 8;

/// Tensors by name. What a recogniser takes is explained; what is left at the end stands in the way.
#[derive(Debug)]
pub(super) struct Modules<'t> {
    tensors: &'t BTreeMap<String, Tensor>,
    taken: RefCell<BTreeSet<&'t str>>,
    /// The tensors taken, by the names of this crate's networks.
    renamed: RefCell<BTreeMap<String, Tensor>>,
}

impl<'t> Modules<'t> {
    pub(super) fn new(tensors: &'t BTreeMap<String, Tensor>) -> Self {
        Self { tensors, taken: RefCell::default(), renamed: RefCell::default() }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Whether any tensor lies under this prefix.
    pub(super) fn has_under(&self, prefix: &str) -> bool {
        self.under(prefix).next().is_some()
    }

    /// The names under a prefix.
    pub(super) fn under<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'t str> + 's {
        let tensors: &'t BTreeMap<String, Tensor> = self.tensors;
        let range = tensors.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        range.map(|(name, _)| name.as_str()).take_while(move |name| name.starts_with(prefix))
    }

    /// The shape of a tensor, or an error that names it.
    pub(super) fn shape(&self, name: &str) -> Result<Vec<i64>, String> {
        self.tensors.get(name).map(Tensor::size).ok_or_else(|| format!("{name} is missing"))
    }

    /// The shape of a tensor of `N` axes.
    pub(super) fn axes<const N: usize>(&self, name: &str) -> Result<[i64; N], String> {
        let shape = self.shape(name)?;
        shape.as_slice().try_into().map_err(|_| format!("{name} {shape:?} where {N} axes belong"))
    }

    /// Takes a tensor under a name of this crate's.
    pub(super) fn take(&self, name: &str, ours: String) -> Result<(), String> {
        let (key, tensor) = self.tensors.get_key_value(name).ok_or_else(|| format!("{name} is missing"))?;
        self.taken.borrow_mut().insert(key);
        self.renamed.borrow_mut().insert(ours, tensor.shallow_clone());
        Ok(())
    }

    /// Takes a tensor as another shape of as many elements.
    pub(super) fn take_reshaped(&self, name: &str, ours: String, shape: &[i64]) -> Result<(), String> {
        self.take(name, ours.clone())?;
        let mut renamed = self.renamed.borrow_mut();
        if let Some(tensor) = renamed.get_mut(&ours) {
            let found = tensor.size();
            *tensor = tensor.f_reshape(shape).map_err(|_| format!("{name} {found:?} where {shape:?} belongs"))?;
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

    fn backbone(&self, name: &str) -> Result<(), String> {
        self.take(name, format!("backbone.{name}"))
    }

    /// The tensors taken; an error if any that is no counter is left.
    pub(super) fn finish(self, arch: &str) -> Result<BTreeMap<String, Tensor>, String> {
        let taken = self.taken.into_inner();
        let left: Vec<&str> =
            self.tensors.keys().map(String::as_str).filter(|name| !taken.contains(name) && !is_counter(name)).collect();
        if left.is_empty() {
            return Ok(self.renamed.into_inner());
        }
        let more = if left.len() > LISTED { format!(" and {} more", left.len() - LISTED) } else { String::new() };
        let listed = left[..left.len().min(LISTED)].join(", ");
        Err(format!("{arch}, but for {} tensors that no part of it explains: {listed}{more}", left.len()))
    }
}
