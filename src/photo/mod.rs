//! Pictures: decoding under limits, upright, and preparing them for a network.
//!
//! | step | what it does |
//! |---|---|
//! | [`is_picture`], [`is_system`] | which files of a folder are pictures, and which are the system's own |
//! | [`open`], [`decode`] | a file or bytes to an upright [`Photo`], within [`Limits`] |
//! | [`Preprocess::network_size`] | the size that the network sees: the whole picture, no crop, no padding |
//! | [`Preprocess::apply`] | a [`Photo`] to a [`Prepared`] array `[3, H, W]` and its [`Geometry`] |
//! | [`Geometry`] | from pixels of the picture to fractions of it, and back |

mod decode;
mod folder;
mod jpeg;
mod limits;
mod preprocess;
mod resize;
mod size;
mod srgb;

pub use decode::{Photo, decode, open};
pub use folder::{LeftOut, is_picture, is_system};
pub use limits::Limits;
pub use preprocess::{Prepared, Preprocess, Resampled};
pub(crate) use resize::resize;
pub use size::{Geometry, ImageSize};
