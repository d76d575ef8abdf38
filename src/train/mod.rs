//! Training: the attention on a frozen backbone without labels, or a classifier from folders of pictures.
//!
//! Read [`distill()`] from top to bottom: pictures become clean, cluttered and composite views, the frozen part of the network turns
//! each view into features once, the plain network's own answer on the clean picture is the teacher, and only the
//! attention learns. [`supervised()`] is the usual training with labels.
//!
//! | module | what |
//! |---|---|
//! | `distill`, `views`, `canvas`, `features`, `teacher`, `loss`, `validate` | a recipe: what is shown, and what is asked of it |
//! | `supervised` | another |
//! | `run` | the machinery of both: checkpoints, logs, an end at any moment |
//! | [`optim`] | optimizers whose state can be saved |
//! | `source`, `loader` | pictures, and reading them ahead |
//!
//! A training that is killed goes on from its checkpoint as if nothing had happened: on a CPU, with the same number of threads,
//! the weights at the end are the same, bit for bit. All randomness derives from the seed and the number of what is drawn.

mod distill;
mod features;
mod loader;
mod loss;
pub mod optim;
mod random;
mod run;
mod schedule;
mod source;
mod supervised;
mod teacher;
mod validate;
mod views;

use std::collections::BTreeSet;

pub use distill::{DistillOptions, DistillReport, Losses, distill};
pub use loader::LoaderReport;
pub use run::{ComputePrecision, Observer, RunOptions, StepReport};
pub use schedule::Schedule;
pub use source::Pictures;
pub use supervised::{
    OptimizerKind, Start, SupervisedOptions, SupervisedReport, TrainPart, class_names, loader_speed, supervised,
    supervised_network,
};
pub use validate::{MapScore, Validation};

use tch::Tensor;

use crate::Result;
use crate::network::Network;

/// The parameter group of the 7×7 convolutions of spatial attention, which learn faster than the rest of it.
const CONVOLUTION_GROUP: usize = 1;

/// Lets only the parameters of these names learn; running statistics are no parameters.
fn trainable(network: &Network, learns: impl Fn(&str) -> bool) -> Result<()> {
    let parameters: BTreeSet<_> = network.variables().trainable_variables().iter().map(Tensor::data_ptr).collect();
    for (name, value) in network.variables().variables() {
        let _ = value.f_set_requires_grad(parameters.contains(&value.data_ptr()) && learns(&name))?;
    }
    Ok(())
}
