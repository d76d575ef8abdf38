//! The integration tests, in one binary: each further one would link libtorch again.

mod attention;
mod backbone;
mod command;
#[cfg(feature = "cli")]
mod deterministic;
mod eval;
mod explain;
mod foreign;
mod maps;
mod network;
mod photo;
mod precision;
mod reference;
mod render;
mod surroundings;
mod torchscript;
mod torchvision;
mod train;
mod weights;
