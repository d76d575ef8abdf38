//! What no part of a network explains: what may take part in the answer stands in the way, the rest is left out and named.

use std::collections::BTreeMap;

use tch::Tensor;

use super::RecogniseOptions;
use super::modules::{Modules, OUTSIDE};
use super::names::listed;
use super::words::{looks_like_attention, scales, serves_training};
use crate::weights::dtype::is_float;

/// What has become of the tensors.
pub(super) struct Finished {
    /// Those taken, by the names of this crate's networks.
    pub(super) tensors: BTreeMap<String, Tensor>,
    /// The file's names of those left out, sorted; BatchNorm's counters are not among them.
    pub(super) left_out: Vec<String>,
    /// How many of these look like attention.
    pub(super) dropped: usize,
}

impl Modules {
    /// The tensors taken, and the names of those left out, of a network whose head has layers of `widths`: the pooled features,
    /// hidden layers, classes.
    ///
    /// An error if a tensor is left that may take part in the network's answer: one under its prefix; attention; beside it a
    /// convolution, or what has a side of one of these widths, or is a single number called as one that a network pools or
    /// scales by, unless its name says that it serves training. If the backbone is named, only attention stands in the way; if
    /// attention is to be dropped, nothing.
    pub(super) fn finish(self, arch: &str, options: &RecogniseOptions, widths: &[i64]) -> Result<Finished, String> {
        let left = self.left();
        let size = |name: &str| self.tensors.get(name).map(Tensor::size).unwrap_or_default();
        let in_block = |name: &str| name.strip_prefix("layer").is_some_and(|rest| rest.contains('.'));
        let attends = |name: &&&str| in_block(name) || looks_like_attention(name, Some(&size(name)));
        let computes = |name: &&&str| match name.strip_prefix(OUTSIDE) {
            Some(outside) => self.tensors.get(**name).is_some_and(|tensor| computes(outside, tensor, widths)),
            None => true,
        };
        let attention: Vec<&str> = left.iter().filter(attends).map(|name| self.original(name)).collect();
        if options.arch.is_some() && !options.drop_attention && !attention.is_empty() {
            return Err(format!(
                "{arch} would leave out {} tensors that look like attention: {}; --drop-attention leaves them out",
                attention.len(),
                listed(&attention)
            ));
        }
        let shaped = |name: &&str| format!("{} {:?}", self.original(name), size(name));
        let unexplained: Vec<String> = left.iter().filter(|name| computes(name) || attends(name)).map(shaped).collect();
        if options.arch.is_none() && !unexplained.is_empty() {
            let (attention, drop) = if attention.is_empty() {
                (String::new(), "")
            } else {
                (format!("; attention: {}", listed(&attention)), " --drop-attention")
            };
            return Err(format!(
                "{arch}, but for {} tensors that no part of it explains: {}{attention}; if they have no part in the answer, \
                 --arch {arch}{drop} leaves them out",
                unexplained.len(),
                listed(&unexplained)
            ));
        }
        let dropped = attention.len();
        let mut left_out = self.left_out.take();
        left_out.extend(left.iter().map(|name| self.original(name).to_owned()));
        Ok(Finished { tensors: self.renamed.take(), left_out: left_out.into_iter().collect(), dropped })
    }
}

/// Whether a tensor beside a network may take part in its answer.
fn computes(name: &str, tensor: &Tensor, widths: &[i64]) -> bool {
    let size = tensor.size();
    if tensor.dim() == 4 && size[2..] != [1, 1] {
        return true;
    }
    if !is_float(tensor.kind()) || serves_training(name) {
        return false;
    }
    let fits = size.iter().any(|side| *side > 1 && widths.contains(side));
    fits || (tensor.numel() == 1 && scales(name))
}
