//! The output that is of classes, and what its numbers are.

use super::super::program::Value;
use super::Find;
use crate::classes::Outputs;

/// The output that is of classes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundClasses {
    /// Which output, from 0.
    pub index: usize,
    /// Its value, `[N, numbers]`, `[N]` or `[N, numbers, 1, 1]`.
    pub value: Value,
    /// How many numbers it has for each picture.
    pub numbers: i64,
    /// What they are, by the operation that it ends in.
    pub outputs: Outputs,
    /// That operation.
    pub ends_in: String,
    /// Whether other outputs have such a shape too.
    pub others: bool,
}

impl Find<'_> {
    pub(super) fn classes(&self) -> Option<FoundClasses> {
        if let Some(value) = self.graph.score {
            let index = self.graph.outputs.iter().position(|output| output.value == Some(value))?;
            let numbers = self.shape(value)?.iter().skip(1).product();
            return Some(FoundClasses {
                index,
                value,
                numbers,
                outputs: Outputs::Score,
                ends_in: "a score".to_owned(),
                others: false,
            });
        }
        let only = self.graph.outputs.len() == 1;
        let batch = self.batch()?;
        let of_classes = |(index, value): (usize, Option<Value>)| {
            let value = value?;
            let numbers = match *self.shape(value)? {
                [n] if n == batch => 1,
                [n, numbers] if n == batch => numbers,
                [n, numbers, 1, 1] if n == batch && only => numbers,
                _ => return None,
            };
            let real = self.graph.about(value).dtype.is_none_or(crate::weights::Dtype::is_float);
            (numbers > 0 && real).then_some((index, value, numbers))
        };
        let outputs = self.graph.outputs.iter().map(|output| output.value).enumerate();
        let mut candidates = outputs.filter_map(of_classes);
        let (index, value, numbers) = candidates.next()?;
        let others = candidates.next().is_some();
        let ends_in = self.maker(self.carried_from(value)).map_or("nothing", |node| node.bare()).to_owned();
        let outputs = match ends_in.as_str() {
            "softmax" | "_softmax" | "sigmoid" | "hardsigmoid" => Outputs::Probabilities,
            _ => Outputs::Softmax.of_logits(numbers),
        };
        Some(FoundClasses { index, value, numbers, outputs, ends_in, others })
    }
}
