//! What libtorch's network gives out for a reference's input.

use super::{Answer, Network, Reference};
use crate::Result;
use crate::host::{to_host, to_tensor};
use crate::maps::MapName;

impl Network {
    /// What it gives out for the input of a reference, to be [compared](Reference::compare).
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if it does not take the input, [`ErrorKind::Torch`](crate::ErrorKind::Torch) if
    /// libtorch fails.
    pub fn answer(&self, reference: &Reference) -> Result<Answer> {
        let input = to_tensor(reference.input().view())?.f_to_device(self.device())?;
        let output = tch::no_grad(|| self.forward(&input.f_to_kind(self.variables.kind())?, false))?;
        let mut gates = Vec::new();
        for block in output.attention {
            if let Some(channel) = block.channel {
                gates.push((MapName::Channel(block.stage.clone()), to_host(&channel.gate)?));
            }
            if let Some(spatial) = block.spatial {
                gates.push((MapName::Spatial(Some(block.stage)), to_host(&spatial.gate)?));
            }
        }
        Ok(Answer { logits: to_host(&output.logits)?, gates })
    }
}
