//! What is known of a value while a graph is made of a file: ONNX computes shapes as tensors, and here they are numbers.

use crate::graph::program::{Scalar, Value};
use crate::weights::Dtype;

/// More numbers than any shape, permutation or padding has.
pub(super) const MAX_NUMBERS: usize = 64;

/// What stands for a value of the file.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// An input that is left out.
    Nothing,
    /// A tensor.
    Tensor(Tensor),
    /// A few numbers.
    Numbers(Numbers),
}

/// A tensor of the graph.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tensor {
    pub(super) value: Value,
    /// How many sides it has.
    pub(super) rank: usize,
    pub(super) dtype: Dtype,
    /// Its place among the graph's weights, if it is one.
    pub(super) stored: Option<usize>,
}

/// A few numbers, some of which are computed when the graph runs.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    pub(super) items: Vec<Scalar>,
    /// A list of them, and not one by itself.
    pub(super) list: bool,
    /// How many stand in a row, of a table of them; tables are turned and taken apart, and nothing else.
    pub(super) row: Option<usize>,
    pub(super) dtype: Dtype,
}

impl Numbers {
    pub(super) fn list(items: Vec<Scalar>, dtype: Dtype) -> Self {
        Self { items, list: true, row: None, dtype }
    }

    pub(super) fn one(item: Scalar, dtype: Dtype) -> Self {
        Self { items: vec![item], list: false, row: None, dtype }
    }

    pub(super) fn rank(&self) -> usize {
        usize::from(self.list) + usize::from(self.row.is_some())
    }

    /// The whole numbers, if all of them are known.
    pub(super) fn ints(&self) -> Option<Vec<i64>> {
        self.items.iter().map(|item| int(*item)).collect()
    }
}

/// A whole number that is known.
pub(super) fn int(scalar: Scalar) -> Option<i64> {
    match scalar {
        Scalar::Int(int) => Some(int),
        Scalar::Bool(truth) => Some(truth.into()),
        Scalar::Float(float) if float == float.trunc() && float.abs() < 9e15 => Some(float as i64),
        _ => None,
    }
}

/// A number that is known.
pub(super) fn float(scalar: Scalar) -> Option<f64> {
    match scalar {
        Scalar::Int(int) => Some(int as f64),
        Scalar::Float(float) => Some(float),
        Scalar::Bool(truth) => Some(truth.into()),
        Scalar::None | Scalar::Value(_) => None,
    }
}
