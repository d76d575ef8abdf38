//! Training the attention on a frozen backbone, without labels.
//!
//! Read [`distill()`] from top to bottom: pictures become clean, cluttered and composite views ([`views`](self)), the frozen part
//! of the network turns each view into features once, the plain network's own answer on the clean picture is the
//! teacher, and only the attention learns.

pub(crate) mod canvas;
mod distill;
mod features;
mod loss;
mod schedule;
mod source;
mod teacher;
mod validate;
mod views;

pub use distill::{DistillOptions, DistillReport, Losses, Observer, distill};
pub use schedule::Schedule;
pub use source::Pictures;
pub use validate::{MapScore, Validation};
