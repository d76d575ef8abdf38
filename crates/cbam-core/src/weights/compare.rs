//! Two checkpoints, tensor by tensor.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use super::{Checkpoint, StoredTensor};

/// What is not the same about a tensor of two checkpoints.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The tensor.
    pub name: String,
    /// What is not the same.
    pub change: Change,
}

/// A difference between a tensor of a first checkpoint and that of a second.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The second has none; the first one's dtype and shape.
    OnlyInFirst(String),
    /// The first has none; the second one's dtype and shape.
    OnlyInSecond(String),
    /// Their shapes differ: both dtypes and shapes.
    Shape(String, String),
    /// Their dtypes differ: both, and the largest absolute difference of the values.
    Dtype(String, String, f64),
    /// Their values differ: the largest absolute difference; NaN where only one of the two is NaN.
    Values(f64),
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.change {
            Change::OnlyInFirst(what) => write!(f, "only in the first   {name}  {what}"),
            Change::OnlyInSecond(what) => write!(f, "only in the second  {name}  {what}"),
            Change::Shape(first, second) => write!(f, "shape               {name}  {first} / {second}"),
            Change::Dtype(first, second, largest) => {
                write!(f, "dtype               {name}  {first} / {second}, largest difference {largest:e}")
            }
            Change::Values(largest) => write!(f, "values              {name}  largest difference {largest:e}"),
        }
    }
}

impl Checkpoint {
    /// Compares the tensors with those of `other`, in the order of their names. Values that differ by no more than
    /// `tolerance` are the same, as are two NaN; another shape or dtype is always reported.
    pub fn differences(&self, other: &Self, tolerance: f64) -> Vec<Difference> {
        let names: BTreeSet<&String> = self.tensors.keys().chain(other.tensors.keys()).collect();
        let change = |name: &String| match (self.tensors.get(name), other.tensors.get(name)) {
            (Some(first), None) => Some(Change::OnlyInFirst(first.form().to_string())),
            (None, Some(second)) => Some(Change::OnlyInSecond(second.form().to_string())),
            (Some(first), Some(second)) => change(first, second, tolerance),
            (None, None) => None,
        };
        names.into_iter().filter_map(|name| Some(Difference { name: name.clone(), change: change(name)? })).collect()
    }
}

fn change(first: &StoredTensor, second: &StoredTensor, tolerance: f64) -> Option<Change> {
    if first.shape() != second.shape() {
        return Some(Change::Shape(first.form().to_string(), second.form().to_string()));
    }
    let largest = largest_difference(first, second);
    if first.dtype() != second.dtype() {
        return Some(Change::Dtype(first.dtype().to_string(), second.dtype().to_string(), largest));
    }
    // Not `largest > tolerance`, which NaN is not.
    let same = largest <= tolerance;
    (!same).then_some(Change::Values(largest))
}

/// The largest absolute difference of two tensors of one shape; 0 if they have no elements, NaN where one is NaN.
fn largest_difference(first: &StoredTensor, second: &StoredTensor) -> f64 {
    let difference = |(first, second): (f64, f64)| {
        // Also two equal infinities, whose difference is NaN.
        let same = first == second || (first.is_nan() && second.is_nan());
        if same { 0.0 } else { (first - second).abs() }
    };
    let differences = first.doubles().into_iter().zip(second.doubles()).map(difference);
    differences
        .fold(0.0, |largest, difference| if difference > largest || difference.is_nan() { difference } else { largest })
}
