//! Other numbers in a graph: those of a weights file of the same network.

use sha2::{Digest, Sha256};

use super::program::Graph;
use crate::weights::{Checkpoint, is_counter};
use crate::{Error, Result};

/// How many names a message has.
const NAMED: usize = 8;

impl Graph {
    /// A hash (SHA-256) of all that its answers depend on: its operations, and its numbers.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for node in &self.nodes {
            add(format!("{} {:?} {:?}", node.operator, node.inputs, node.outputs).as_bytes());
        }
        add(format!("{:?} {:?}", self.inputs, self.outputs).as_bytes());
        for weight in &self.weights {
            add(format!("{:?} {}", weight.value, weight.tensor.form()).as_bytes());
            add(&weight.tensor.bytes());
        }
        hash.finalize().into()
    }

    /// The same graph with the numbers of a weights file, by the names of the network's `state_dict`; with it the names in the file
    /// that the graph has no use for. What a `state_dict` does not hold stays.
    ///
    /// # Errors
    /// [`Error::Weights`], with the file's name, if a tensor is missing or has another shape; nothing is taken then.
    pub fn with_weights(mut self, checkpoint: &Checkpoint) -> Result<(Self, Vec<String>)> {
        let mut faults = Vec::new();
        for weight in self.weights.iter_mut().filter(|weight| weight.kept) {
            match checkpoint.tensors.get(&weight.name) {
                Some(tensor) if tensor.shape() == weight.tensor.shape() => weight.tensor = tensor.clone(),
                Some(tensor) => {
                    faults.push(format!("{} is {}, and not {}", weight.name, tensor.form(), weight.tensor.form()));
                }
                None if is_counter(&weight.name) => {}
                None => faults.push(format!("{} is missing", weight.name)),
            }
        }
        if !faults.is_empty() {
            let more = faults.len().saturating_sub(NAMED);
            faults.truncate(NAMED);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            let message =
                format!("not the weights of the graph in {}: {}{more}", self.file().display(), faults.join("; "));
            return Err(Error::weights(checkpoint.name(), message));
        }
        let used =
            |name: &&String| self.weights.iter().any(|weight| weight.kept && weight.name == **name) || is_counter(name);
        let extra = checkpoint.tensors.keys().filter(|name| !used(name)).cloned().collect();
        Ok((self, extra))
    }
}
