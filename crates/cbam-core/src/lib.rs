//! Seeing where a network looks, as far as that needs no tensors: pictures, maps and what is made of them.
//!
//! path → [`photo`] (decode, orient, resize) → [`model`] (look) → [`maps`] → [`render`] → file
//!
//! A [`model::Model`] is whatever looks at pictures; [`pipeline`] takes many of them through one, [`explain`] holds the explanation
//! methods, for anything that is [`Features`](explain::Features), and [`eval`] measures. [`weights`] reads weights files
//! and tells which [`network`] one is of. Everything here works on arrays, and nothing needs libtorch: networks that train, and those
//! on a GPU, are in the crate `cbam`, which shows all of this as its own.

pub mod attention;
pub mod backbone;
pub mod classes;
mod error;
pub mod eval;
pub mod explain;
pub mod files;
pub mod kernels;
pub mod maps;
pub mod model;
pub mod network;
pub mod photo;
pub mod pipeline;
pub mod render;
#[doc(hidden)]
pub mod simd;
pub mod text;
pub mod weights;

pub use error::{Error, Remedy, Result};
