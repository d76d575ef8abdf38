//! What no part of a network explains: what may take part in the answer stands in the way, the rest is left out and named.

use std::collections::BTreeMap;

use super::modules::{Modules, OUTSIDE};
use super::names::listed;
use super::words::{Normalises, looks_like_attention, normalises, scales, serves_training};
use super::{RecogniseOptions, grey};
use crate::Remedy;
use crate::backbone::{Arch, Variant};
use crate::weights::StoredTensor;
use crate::weights::refusal::Refusal;

/// How near a mean or a deviation must be to the usual one, in levels of a picture of 8 bits.
const CLOSE: f64 = 0.3;

/// What has become of the tensors.
pub(super) struct Finished {
    /// Those taken, by the names of this crate's networks.
    pub(super) tensors: BTreeMap<String, StoredTensor>,
    /// The file's names of those left out, sorted; BatchNorm's counters are not among them.
    pub(super) left_out: Vec<String>,
    /// How many of these look like attention.
    pub(super) dropped: usize,
}

impl Modules {
    /// The tensors taken, and the names of those left out, of a network whose head has layers of `widths`: the pooled features,
    /// hidden layers, classes.
    ///
    /// An error if a tensor is left that may take part in the network's answer: one under its prefix; attention; beside it what
    /// [`computes`]. A mean and a deviation by which pictures are taken anyhow do not. If the backbone is named, only attention
    /// stands in the way; if attention is to be dropped, nothing.
    pub(super) fn finish(
        self,
        arch: &str,
        options: &RecogniseOptions,
        variant: &Variant,
        widths: &[i64],
    ) -> Result<Finished, Refusal> {
        let left = self.left();
        let channels = grey::channels(variant.grey);
        let normalising: Vec<&str> = left.iter().copied().filter(|name| self.normalises(name, channels)).collect();
        let taken = if self.are_usual(&normalising, arch, variant) { &normalising[..] } else { &[] };
        let size = |name: &str| self.tensors.get(name).map_or(&[][..], StoredTensor::shape);
        let in_block = |name: &str| name.strip_prefix("layer").is_some_and(|rest| rest.contains('.'));
        let attends = |name: &&&str| in_block(name) || looks_like_attention(name, Some(size(name)));
        let computes = |name: &&&str| match name.strip_prefix(OUTSIDE) {
            _ if taken.contains(*name) => false,
            Some(outside) => self.tensors.get(**name).is_some_and(|tensor| computes(outside, tensor, widths, channels)),
            None => true,
        };
        let attention: Vec<&str> = left.iter().filter(attends).map(|name| self.original(name)).collect();
        if options.arch.is_some() && !options.drop_attention && !attention.is_empty() {
            let (count, named) = (attention.len(), listed(&attention));
            let message = format!("{arch} would leave out {count} tensors that look like attention: {named}");
            return Err(Refusal::helped(message, Remedy::DropAttention));
        }
        let shaped = |name: &&str| format!("{} {:?}", self.original(name), size(name));
        let unexplained: Vec<String> = left.iter().filter(|name| computes(name) || attends(name)).map(shaped).collect();
        if options.arch.is_none() && !unexplained.is_empty() {
            let other = normalising.iter().filter(|name| !taken.contains(name));
            let normalised: Vec<&str> = other.map(|name| self.original(name)).collect();
            let kinds = [("attention", &attention), ("pictures seem to be normalised in the network", &normalised)];
            let kinds = kinds.into_iter().filter(|(_, names)| !names.is_empty());
            let kinds: Vec<String> = kinds.map(|(kind, names)| format!("; {kind}: {}", listed(names))).collect();
            let message = format!(
                "{arch}, but for {} tensors that no part of it explains: {}{}; only if they have no part in the answer may they \
                 be left out",
                unexplained.len(),
                listed(&unexplained),
                kinds.concat()
            );
            let (drop_attention, normalises) = (!attention.is_empty(), !normalised.is_empty());
            let remedy = Remedy::Backbone { arch: arch.to_owned(), drop_attention, normalises };
            return Err(Refusal::helped(message, remedy));
        }
        let dropped = attention.len();
        let mut left_out = self.left_out.take();
        left_out.extend(left.iter().map(|name| self.original(name).to_owned()));
        Ok(Finished { tensors: self.renamed.take(), left_out: left_out.into_iter().collect(), dropped })
    }

    /// Whether a tensor looks like a mean or a deviation of pictures of that many channels.
    fn normalises(&self, name: &str, channels: i64) -> bool {
        let fits = |tensor: &StoredTensor| {
            let numbers = i64::try_from(tensor.len()).unwrap_or(0);
            tensor.dtype().is_float() && [1, channels].contains(&numbers)
        };
        normalises(name).is_some() && !serves_training(name) && self.tensors.get(name).is_some_and(fits)
    }

    /// Whether these are one mean and one deviation, and those by which this crate normalises pictures for this network, from 0 to 1
    /// or to 255: then it does what they did.
    fn are_usual(&self, names: &[&str], arch: &str, variant: &Variant) -> bool {
        let ([one, other], Ok(arch)) = (names, arch.parse::<Arch>()) else { return false };
        let (mean, deviation) = match [one, other].map(|name| normalises(name)) {
            [Some(Normalises::Mean), Some(Normalises::Deviation)] => (one, other),
            [Some(Normalises::Deviation), Some(Normalises::Mean)] => (other, one),
            _ => return false,
        };
        let usual = variant.preprocess(arch);
        let are = |name: &str, usual: [f32; 3], scale: f64| {
            let Some(tensor) = self.tensors.get(name) else { return false };
            let values = tensor.doubles(); // one for all channels, or one for each
            let mut of_channels = usual.iter().zip(values.iter().cycle());
            let close = |(usual, value): (&f32, &f64)| (value - f64::from(*usual) / scale).abs() * scale < CLOSE;
            !values.is_empty() && of_channels.all(close)
        };
        [1.0, 255.0].into_iter().any(|scale| are(mean, usual.mean, scale) && are(deviation, usual.std, scale))
    }
}

/// Whether a tensor beside a network may take part in its answer: all of four axes, as convolutions have them; unless its name says
/// that it serves training, what could act on the channels of pictures or has a side of one of these widths, and a single number that
/// is a layer's or is called as one that a network pools, scales or normalises by.
fn computes(name: &str, tensor: &StoredTensor, widths: &[i64], channels: i64) -> bool {
    let size = tensor.shape();
    if size.len() == 4 {
        return true;
    }
    if !tensor.dtype().is_float() || serves_training(name) {
        return false;
    }
    if tensor.len() == 1 {
        let of_layer = matches!(name.rsplit('.').next(), Some("weight" | "bias"));
        return of_layer || scales(name) || normalises(name).is_some();
    }
    let on_pictures = matches!(*size, [side] | [_, side] | [side, _, _] if side == channels);
    on_pictures || size.iter().any(|side| *side > 1 && widths.contains(side))
}
