//! Networks: which backbone, with which attention.

mod config;
mod site;

pub use crate::classes::Outputs;
pub use crate::maps::{HEAD, STEM};
pub use config::{NetworkConfig, StageAttention};
