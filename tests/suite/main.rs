//! The integration tests, in one binary: each further one would link libtorch again.

mod attention;
mod backbone;
mod command;
mod eval;
mod explain;
mod foreign;
mod maps;
mod network;
mod photo;
mod pictures;
mod precision;
mod render;
mod torchscript;
mod torchvision;
mod train;
mod weights;
