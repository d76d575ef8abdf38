//! See where a convolutional network looks.
//!
//! Attention blocks for any [tch](https://docs.rs/tch) CNN ([`attention`]), a network that has them ([`network`]), and the
//! maps that they leave behind ([`maps`]), drawn over the picture ([`render`]):
//!
//! path → [`photo`] (decode, orient, resize) → [`model`] (look) → [`maps`] → [`render`] → file
//!
//! A [`model::Model`] is a [`network`] ([`backbone`], CBAM, patch attention), somebody's [`torchscript`], or your own. [`pipeline`] does
//! all of that for many pictures, [`weights`] reads and writes networks, [`train`] makes them, [`eval`] measures them, [`study`]
//! measures any model on many pictures, and
//! [`explain`] holds the explanation methods that they are compared with.
//!
//! ```no_run
//! use cbam::maps::MapName;
//! use cbam::model::{Model, Question};
//! use cbam::network::Network;
//! use cbam::photo::{Limits, open};
//! use cbam::render::Overlay;
//!
//! # fn main() -> cbam::Result<()> {
//! let network = Network::pretrained(tch::Device::Cpu)?.for_inference()?;
//! let photo = open("photo.jpg".as_ref(), &Limits::default())?;
//! let picture = network.preprocess().resample(&photo)?;
//! let look = network.look(&[&picture], &Question::about(&[MapName::Fused]))?.remove(0);
//! let overlay = Overlay::default().draw(&photo, &look.map(&MapName::Fused)?)?;
//! println!("class {:?}, {}x{} pixels", look.likeliest, overlay.width(), overlay.height());
//! # Ok(())
//! # }
//! ```
//!
//! A map shows what the network attends to, not why it decided: attention is no complete explanation. That is why maps
//! are measured here, against boxes and against other methods, and not only drawn.

pub mod attention;
pub mod backbone;
mod error;
pub mod explain;
pub mod graph;
mod host;
pub mod network;
pub mod sys;
pub mod torchscript;
pub mod train;

/// Weights files: reading, fitting to a network, writing; and their tensors as libtorch's.
pub mod weights {
    pub use crate::host::{Apply, restore, restore_all, store, store_all};
    pub use cbam_core::weights::*;
}

#[doc(hidden)]
pub use cbam_core::simd;
pub use cbam_core::{Remedy, classes, device, eval, files, kernels, maps, model, photo, pipeline, render, study, text};
pub use error::{Error, ErrorKind, Result};
pub use host::{FromTensor, ToTensor};
/// The crates whose types stand in this one's functions, of the versions that it takes.
pub use {image, ndarray, tch};

/// The README's code runs as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
