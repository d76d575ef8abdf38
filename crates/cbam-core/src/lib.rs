//! Seeing where a network looks, as far as that needs no tensors: pictures, maps and what is made of them.
//!
//! path → [`photo`] (decode, orient, resize) → [`model`] (look) → [`maps`] → [`render`] → file
//!
//! A [`model::Model`] is whatever looks at pictures; [`pipeline`] takes many of them through one, [`explain`] holds the explanation
//! methods, for anything that is [`Features`](explain::Features), and [`eval`] measures; [`study`] measures a model on many pictures.
//! [`live`] answers a page that looks at photos as they come.
//! [`weights`] reads weights files and tells which network one is of; [`network`] holds the whole network in its form for inference.
//!
//! ```no_run
//! use cbam_core::maps::MapName;
//! use cbam_core::model::{Model, Question};
//! use cbam_core::network::NetworkFile;
//! use cbam_core::photo::{Limits, open};
//! use cbam_core::render::Overlay;
//!
//! # fn main() -> cbam_core::Result<()> {
//! let network = NetworkFile::pretrained()?.for_inference()?;
//! let photo = open("photo.jpg".as_ref(), &Limits::default())?;
//! let picture = network.preprocess().resample(&photo)?;
//! let look = network.look(&[&picture], &Question::about(&[MapName::Fused]))?.remove(0);
//! let overlay = Overlay::default().draw(&photo, &look.map(&MapName::Fused)?)?;
//! # Ok(())
//! # }
//! ```
//!
//! Everything here works on arrays, and nothing needs libtorch: networks that train, and those on a GPU, are in the crate `cbam`, which
//! shows all of this as its own.
//!
//! It builds for `wasm32-unknown-unknown` too. There everything runs on the calling thread; files and [`pipeline`], which needs
//! threads, are errors; EXR, and JPEGs that libjpeg alone reads, are refused; and a panic ends the instance, a decoder's too.

pub mod attention;
pub mod backbone;
pub mod classes;
pub mod device;
mod error;
pub mod eval;
pub mod explain;
pub mod files;
pub mod graph;
pub mod kernels;
pub mod live;
pub mod maps;
pub mod model;
pub mod network;
pub mod photo;
pub mod pipeline;
pub mod render;
#[doc(hidden)]
pub mod simd;
pub mod study;
pub mod text;
pub mod weights;

pub use error::{Error, Remedy, Result};
