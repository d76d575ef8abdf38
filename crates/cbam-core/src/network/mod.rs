//! Networks: which backbone, with which attention.

mod config;

pub use crate::classes::Outputs;
pub use crate::maps::{HEAD, STEM};
pub use config::{NetworkConfig, StageAttention};
