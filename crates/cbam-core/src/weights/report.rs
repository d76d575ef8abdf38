//! How a checkpoint's tensors fit a network's variables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use super::{Checkpoint, Form, StoredTensor, is_counter};
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
    /// How the tensors fit the variables whose names begin with `prefix`: variable `prefix` + `key` takes tensor `key`, whatever the
    /// dtypes, as long as both are of reals or both are not. Other variables are left alone.
    ///
    /// # Errors
    /// [`Error::Weights`] with the keys concerned if `strict` and the report is not complete.
    pub fn fit(&self, variables: &BTreeMap<String, Form>, prefix: &str, strict: bool) -> Result<LoadReport> {
        let mut report = LoadReport::default();
        let mut wanted = BTreeSet::new();
        for (name, variable) in variables {
            let Some(key) = name.strip_prefix(prefix) else { continue };
            wanted.insert(key);
            match self.tensors.get(key).map(StoredTensor::form) {
                None => report.missing.push(name.clone()),
                Some(form) if fits(variable, form) => report.applied.push(name.clone()),
                Some(form) => report.wrong_shape.push(Mismatch {
                    name: name.clone(),
                    expected: variable.to_string(),
                    found: form.to_string(),
                }),
            }
        }
        report.unused =
            self.tensors.keys().filter(|key| !wanted.contains(key.as_str()) && !is_counter(key)).cloned().collect();
        if strict && !report.is_complete() {
            return Err(Error::weights(self.name(), format!("the weights do not fit the network: {report}")));
        }
        Ok(report)
    }
}

fn fits(variable: &Form, tensor: &Form) -> bool {
    variable.shape == tensor.shape && variable.dtype.is_float() == tensor.dtype.is_float()
}
