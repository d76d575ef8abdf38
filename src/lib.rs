//! See where a convolutional network looks.

pub mod attention;
pub mod backbone;
mod error;
pub mod eval;
pub mod explain;
pub mod maps;
pub mod network;
pub mod photo;
pub mod pipeline;
pub mod render;
pub mod sys;
pub mod train;
pub mod weights;

pub use error::{Error, Result};
