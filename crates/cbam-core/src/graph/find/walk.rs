//! Following values through operations that only carry them.

use super::super::program::{Argument, Node, Scalar, Value};

/// Operations that give on what they take, in another shape, order or type.
const CARRIERS: [&str; 37] = [
    "_to_copy",
    "_unsafe_view",
    "alias",
    "chunk",
    "clone",
    "contiguous",
    "detach",
    "detach_",
    "dropout",
    "feature_dropout",
    "flatten",
    "lift_fresh_copy",
    "movedim",
    "narrow",
    "numpy_T",
    "permute",
    "reshape",
    "reshape_as",
    "select",
    "slice",
    "split",
    "split_with_sizes",
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "to",
    "transpose",
    "type_as",
    "unbind",
    "unflatten",
    "unsqueeze",
    "view",
    "view_as",
    "native_dropout",
    "float",
    "copy",
];
/// Those that repeat it.
const SPREADERS: [&str; 12] = [
    "broadcast_to",
    "expand",
    "expand_as",
    "repeat",
    "repeat_interleave",
    "upsample_bicubic2d",
    "upsample_bilinear2d",
    "upsample_nearest2d",
    "_upsample_bicubic2d_aa",
    "_upsample_bilinear2d_aa",
    "upsample_nearest2d_exact",
    "tile",
];

/// How many operations are followed at most.
pub(super) const MAX_STEPS: usize = 64;

/// How an operation gives on the first tensor that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    /// In another shape or order.
    On,
    /// Times or plus a number.
    Changed,
    /// Repeated.
    Spread,
}

impl Node {
    /// The operator's bare name: `conv2d` of `aten.conv2d.default`; of one in place, without its underscore.
    pub(super) fn bare(&self) -> &str {
        let kind = self.kind();
        let kind = kind.strip_prefix("aten.").unwrap_or(kind);
        if kind == "detach_" { kind } else { kind.strip_suffix('_').unwrap_or(kind) }
    }

    /// How it gives on the first tensor that it takes, if it does nothing else with it.
    pub(super) fn carries(&self) -> Option<Carries> {
        let name = self.bare();
        if CARRIERS.contains(&name) {
            return Some(Carries::On);
        }
        if SPREADERS.contains(&name) {
            return Some(Carries::Spread);
        }
        let with_number = matches!(name, "add" | "mul" | "div" | "sub" | "rsub") && self.takes().count() == 1;
        with_number.then_some(Carries::Changed)
    }

    /// The two tensors of a binary operation.
    pub(super) fn two(&self) -> Option<[Value; 2]> {
        let mut values = self.takes();
        let two = [values.next()?, values.next()?];
        values.next().is_none().then_some(two)
    }

    /// The number that it takes under a name.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        match self.input(name)? {
            Argument::One(Scalar::Int(int)) => Some(*int as f64),
            Argument::One(Scalar::Float(float)) => Some(*float),
            _ => None,
        }
    }

    /// The whole numbers that it takes under a name.
    pub(super) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        let int = |scalar: &Scalar| if let Scalar::Int(int) = scalar { Some(*int) } else { None };
        match self.input(name)? {
            Argument::One(one) => Some(vec![int(one)?]),
            Argument::Several(several) => several.iter().map(int).collect(),
            _ => None,
        }
    }
}

impl super::Find<'_> {
    /// The value that one was carried from, as far back as it was only carried.
    pub(super) fn carried_from(&self, mut value: Value) -> Value {
        for _ in 0..MAX_STEPS {
            let node = self.maker(value).filter(|node| node.carries().is_some());
            match node.and_then(|node| node.takes().next()) {
                Some(from) => value = from,
                None => break,
            }
        }
        value
    }
}
