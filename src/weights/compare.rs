//! Two checkpoints, tensor by tensor.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use tch::{Kind, Tensor};

use super::{Checkpoint, kind_name};
use crate::Result;

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
    /// `tolerance` are the same, as are two NaN; another shape or dtype is always told.
    ///
    /// # Errors
    /// [`Error::Torch`](crate::Error::Torch) if libtorch refuses.
    pub fn differences(&self, other: &Self, tolerance: f64) -> Result<Vec<Difference>> {
        let names: BTreeSet<&String> = self.tensors.keys().chain(other.tensors.keys()).collect();
        let mut differences = Vec::new();
        for name in names {
            let change = match (self.tensors.get(name), other.tensors.get(name)) {
                (Some(first), None) => Some(Change::OnlyInFirst(describe(first))),
                (None, Some(second)) => Some(Change::OnlyInSecond(describe(second))),
                (Some(first), Some(second)) => change(first, second, tolerance)?,
                (None, None) => None,
            };
            differences.extend(change.map(|change| Difference { name: name.clone(), change }));
        }
        Ok(differences)
    }
}

fn change(first: &Tensor, second: &Tensor, tolerance: f64) -> Result<Option<Change>> {
    if first.size() != second.size() {
        return Ok(Some(Change::Shape(describe(first), describe(second))));
    }
    let largest = largest_difference(first, second)?;
    if first.kind() != second.kind() {
        return Ok(Some(Change::Dtype(kind_name(first.kind()), kind_name(second.kind()), largest)));
    }
    // Not `largest > tolerance`, which NaN is not.
    let same = largest <= tolerance;
    Ok((!same).then_some(Change::Values(largest)))
}

/// The largest absolute difference of two tensors of one shape; 0 if they have no elements, NaN where one is NaN.
fn largest_difference(first: &Tensor, second: &Tensor) -> Result<f64> {
    if first.numel() == 0 {
        return Ok(0.0);
    }
    let same = first.f_eq_tensor(second)?.f_logical_or(&first.f_isnan()?.f_logical_and(&second.f_isnan()?)?)?;
    let (first, second) = (first.f_to_kind(Kind::Double)?, second.f_to_kind(Kind::Double)?);
    // Also of two equal infinities, whose difference is NaN.
    let difference = first.f_sub(&second)?.f_abs()?.f_masked_fill(&same, 0.0)?;
    Ok(difference.f_max()?.f_double_value(&[])?)
}

pub(super) fn describe(tensor: &Tensor) -> String {
    format!("{} {:?}", kind_name(tensor.kind()), tensor.size())
}
