//! The file that a training goes on from: safetensors, whole or not at all.

use std::collections::BTreeMap;
use std::path::Path;

use tch::Tensor;

use super::Settings;
use crate::weights::{Checkpoint, Precision, restore, store_all};
use crate::{Error, Result};

/// The metadata's keys.
const TRAINING: &str = "training";
const STEP: &str = "step";
const OPTIMIZER_STEP: &str = "optimizer_step";
const SETTINGS: &str = "settings";
const NOTE: &str = "note.";
/// What the names of the tensors begin with.
const VARIABLE: &str = "variable.";
const MOMENT: &str = "moment.";
const AVERAGE: &str = "average.";

/// All that the rest of a training depends on. There is no generator of random numbers in it: whatever is random is
/// drawn from the seed and the step's (or the picture's) own number.
#[derive(Debug)]
pub(super) struct State {
    /// What kind of training.
    pub(super) training: String,
    /// Steps done.
    pub(super) step: usize,
    /// Steps that the optimizer took: fewer where a gradient overflowed in half precision.
    pub(super) optimizer_step: usize,
    pub(super) settings: Settings,
    /// What the training wants to remember.
    pub(super) notes: BTreeMap<String, String>,
    /// Every variable of the network.
    pub(super) variables: BTreeMap<String, Tensor>,
    /// The optimizer's moments.
    pub(super) moments: BTreeMap<String, Tensor>,
    /// The moving averages of the variables; empty without them.
    pub(super) averages: BTreeMap<String, Tensor>,
}

impl State {
    /// Writes the file; if that fails, what was there stays.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) or [`ErrorKind::Weights`](crate::ErrorKind::Weights), naming the file.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let settings = self.settings.to_json().map_err(|error| Error::weights(path, error))?;
        let own = [
            (TRAINING, self.training.clone()),
            (STEP, self.step.to_string()),
            (OPTIMIZER_STEP, self.optimizer_step.to_string()),
            (SETTINGS, settings),
        ];
        let notes = self.notes.iter().map(|(name, value)| (format!("{NOTE}{name}"), value.clone()));
        let metadata = own.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(notes).collect();
        let parts = [(VARIABLE, &self.variables), (MOMENT, &self.moments), (AVERAGE, &self.averages)];
        let tensors = parts.into_iter().flat_map(|(prefix, tensors)| {
            tensors.iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
        });
        Ok(Checkpoint::new(store_all(tensors)?, metadata).save(path, Precision::Keep)?)
    }

    /// Reads a file that [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) or [`ErrorKind::Weights`](crate::ErrorKind::Weights) if it cannot be read or is none.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let Checkpoint { tensors, metadata, .. } = Checkpoint::open(path)?;
        let key = |name: &str| {
            let message = format!("no checkpoint of a training: its metadata has no \"{name}\"");
            metadata.get(name).ok_or_else(|| Error::weights(path, message))
        };
        let number = |name: &str| -> Result<usize> {
            key(name)?.parse().map_err(|error| Error::weights(path, format!("the metadata's \"{name}\": {error}")))
        };
        let settings = Settings::from_json(key(SETTINGS)?)
            .map_err(|error| Error::weights(path, format!("the metadata's \"{SETTINGS}\": {error}")))?;
        let of = |prefix: &str| {
            let named = tensors.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?, tensor)));
            named.map(|(name, tensor)| Ok((name.to_owned(), restore(tensor)?))).collect::<Result<_>>()
        };
        let notes = metadata.iter().filter_map(|(name, value)| Some((name.strip_prefix(NOTE)?, value)));
        Ok(Self {
            training: key(TRAINING)?.clone(),
            step: number(STEP)?,
            optimizer_step: number(OPTIMIZER_STEP)?,
            settings,
            notes: notes.map(|(name, value)| (name.to_owned(), value.clone())).collect(),
            variables: of(VARIABLE)?,
            moments: of(MOMENT)?,
            averages: of(AVERAGE)?,
        })
    }
}
