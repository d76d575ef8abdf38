//! A checkpoint's tensors into a network's variables.

use std::collections::{BTreeSet, HashMap};
use std::fmt::{self, Display, Formatter};

use tch::{Tensor, no_grad};

use super::compare::describe;
use super::dtype::is_float;
use super::{Checkpoint, is_counter};
use crate::{Error, Result};

/// How many keys of one sort a message lists.
const LISTED: usize = 12;

/// What became of every variable of a network and every tensor of a checkpoint. All lists are sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Variables that took over a tensor.
    pub applied: Vec<String>,
    /// Variables that the checkpoint has no tensor for.
    pub missing: Vec<String>,
    /// Tensors of the checkpoint that no variable asked for; BatchNorm's `num_batches_tracked` is not among them.
    pub unused: Vec<String>,
    /// Variables whose tensor has another shape, or holds integers where the variable holds reals.
    pub wrong_shape: Vec<Mismatch>,
}

/// A variable and a tensor that do not fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mismatch {
    /// The variable.
    pub name: String,
    /// Its dtype and shape, such as `f32 [32, 3, 3, 3]`.
    pub expected: String,
    /// Those of the checkpoint's tensor.
    pub found: String,
}

impl LoadReport {
    /// Whether every variable took over a tensor and every tensor was taken.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unused.is_empty() && self.wrong_shape.is_empty()
    }
}

impl Display for LoadReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mismatches: Vec<String> = self
            .wrong_shape
            .iter()
            .map(|m| format!("{} ({}, the network has {})", m.name, m.found, m.expected))
            .collect();
        write!(f, "{} applied", self.applied.len())?;
        for (title, keys) in [("missing", &self.missing), ("unused", &self.unused), ("wrong shape", &mismatches)] {
            if keys.is_empty() {
                continue;
            }
            write!(f, "; {} {title}: {}", keys.len(), keys[..keys.len().min(LISTED)].join(", "))?;
            if keys.len() > LISTED {
                write!(f, " and {} more", keys.len() - LISTED)?;
            }
        }
        Ok(())
    }
}

impl Checkpoint {
    /// Copies the tensors into the variables whose names begin with `prefix`: variable `prefix` + `key` takes tensor
    /// `key`, converted to the variable's dtype and moved to its device. Other variables are left alone.
    ///
    /// With `strict`, everything must fit, and nothing is copied unless everything does. Without, what fits is copied
    /// and the report tells the rest.
    ///
    /// # Errors
    /// [`Error::Weights`] with the keys concerned if `strict` and the report is not complete; [`Error::Torch`] if a
    /// copy fails.
    pub fn apply(&self, variables: &HashMap<String, Tensor>, prefix: &str, strict: bool) -> Result<LoadReport> {
        let (report, copies) = self.compare(variables, prefix);
        if strict && !report.is_complete() {
            return Err(Error::weights(self.name(), format!("the weights do not fit the network: {report}")));
        }
        for (variable, tensor) in copies {
            no_grad(|| variable.shallow_clone().f_copy_(tensor))?;
        }
        Ok(report)
    }

    /// What [`apply`](Self::apply) would report, and the variables with the tensors that they would take over.
    pub(crate) fn compare<'t>(
        &'t self,
        variables: &'t HashMap<String, Tensor>,
        prefix: &str,
    ) -> (LoadReport, Vec<(&'t Tensor, &'t Tensor)>) {
        let mut report = LoadReport::default();
        let mut wanted = BTreeSet::new();
        let mut copies = Vec::new();
        for (name, variable) in variables {
            let Some(key) = name.strip_prefix(prefix) else { continue };
            wanted.insert(key);
            match self.tensors.get(key) {
                None => report.missing.push(name.clone()),
                Some(tensor) if fits(variable, tensor) => {
                    report.applied.push(name.clone());
                    copies.push((variable, tensor));
                }
                Some(tensor) => report.wrong_shape.push(Mismatch {
                    name: name.clone(),
                    expected: describe(variable),
                    found: describe(tensor),
                }),
            }
        }
        report.unused =
            self.tensors.keys().filter(|key| !wanted.contains(key.as_str()) && !is_counter(key)).cloned().collect();
        report.applied.sort();
        report.missing.sort();
        report.wrong_shape.sort();
        (report, copies)
    }
}

fn fits(variable: &Tensor, tensor: &Tensor) -> bool {
    variable.size() == tensor.size() && is_float(variable.kind()) == is_float(tensor.kind())
}
