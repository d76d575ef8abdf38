//! Training the attention on a frozen backbone, without labels.
//!
//! Read [`distill()`] from top to bottom: pictures become clean, cluttered and composite views ([`views`](self)), the frozen part
//! of the network turns each view into features once, the plain network's own answer on the clean picture is the
//! teacher, and only the attention learns.

pub(crate) mod canvas;
mod distill;
mod features;
mod loss;
pub mod optim;
mod run;
mod schedule;
mod source;
mod teacher;
mod validate;
mod views;

use std::collections::BTreeSet;

pub use distill::{DistillOptions, DistillReport, Losses, distill};
pub use run::{ComputePrecision, Observer, RunOptions, StepReport};
pub use schedule::Schedule;
pub use source::Pictures;
pub use validate::{MapScore, Validation};

use crate::Result;
use crate::network::Network;

/// Lets only the parameters of these names learn; running statistics are no parameters.
fn trainable(network: &Network, learns: impl Fn(&str) -> bool) -> Result<()> {
    let parameters: BTreeSet<_> =
        network.variables().trainable_variables().iter().map(|value| value.data_ptr()).collect();
    for (name, value) in network.variables().variables() {
        let _ = value.f_set_requires_grad(parameters.contains(&value.data_ptr()) && learns(&name))?;
    }
    Ok(())
}
