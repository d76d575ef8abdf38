//! Pictures: decoding under limits, upright, and preparing them for a network.
//!
//! | step | what it does |
//! |---|---|
//! | [`is_picture`], [`is_system`] | which files of a folder are pictures, and which are the system's own |
//! | [`open`], [`decode`] | a file or bytes to an upright [`Photo`] in sRGB, within [`Limits`] |
//! | [`Encoded`] | the same in two steps: read, with the memory that decoding will take; then decoded |
//! | [`Preprocess::network_size`] | the size that the network sees: the whole picture, no crop, no padding |
//! | [`Preprocess::apply`] | a [`Photo`] to a [`Prepared`] array `[3, H, W]` and its [`Geometry`] |
//! | [`Geometry`] | from pixels of the picture to fractions of it, and back |

mod buffer;
pub mod clutter;
mod colour;
pub mod compose;
mod decode;
#[cfg_attr(target_family = "wasm", path = "without_exr.rs")]
mod exr;
mod folder;
mod format;
mod generic;
mod gif;
mod ico;
mod ifd;
mod jpeg;
mod limits;
mod orientation;
mod png;
mod preprocess;
mod resize;
mod size;
mod srgb;
mod tiff;
mod webp;

pub use clutter::ClutterKind;
pub use decode::{Encoded, Photo, decode, is_decoding, open};
pub use folder::{LeftOut, is_picture, is_system};
pub use limits::Limits;
pub use preprocess::{Channels, FixedSize, Prepared, Preprocess, Resampled};
pub(crate) use resize::{resize, resize_as_it_is, rgb_on_white};
pub use size::{Geometry, ImageSize, Part};
