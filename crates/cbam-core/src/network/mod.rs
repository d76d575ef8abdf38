//! Networks: which backbone, with which attention; and their form for inference, which needs no libtorch.

mod activation;
mod attention;
mod backbone;
mod config;
mod describe;
mod file;
mod fit;
mod found;
mod inference;
mod look;
mod options;
mod parameters;
mod pass;
mod precision;
mod randomise;
mod readout;
mod reference;
mod site;

pub use crate::classes::Outputs;
pub use crate::maps::{HEAD, STEM};
pub use config::{NetworkConfig, StageAttention};
pub use file::{BUNDLED, BUNDLED_NAME, CONFIG, NetworkFile, TRAINED};
pub use inference::InferenceNetwork;
pub use options::OpenOptions;
pub use parameters::Parameters;
pub use pass::{BlockPass, GatePass, Pass, PatchPass};
pub use randomise::RandomLevel;
pub use reference::{Agreement, Answer, Reference};
pub use site::Site;
