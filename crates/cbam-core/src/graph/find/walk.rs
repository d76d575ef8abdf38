//! Following values through operations that only carry them.

use super::super::program::{Argument, Node, Scalar, Value};

/// How many operations are followed at most.
pub(super) const MAX_STEPS: usize = 64;

impl Node {
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
    /// The value that one was carried from whole: not as a part of it.
    pub(super) fn whole_from(&self, mut value: Value) -> Value {
        const PARTS: [&str; 8] =
            ["chunk", "narrow", "select", "slice", "split", "split_with_sizes", "tensor_split", "unbind"];
        for _ in 0..MAX_STEPS {
            let node = self.maker(value).filter(|node| node.carries().is_some() && !PARTS.contains(&node.bare()));
            match node.and_then(|node| node.takes().next()) {
                Some(from) => value = from,
                None => break,
            }
        }
        value
    }

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
