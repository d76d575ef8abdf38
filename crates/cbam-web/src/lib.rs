//! The engine of the live page: a photo that is dropped into a page is looked at in the browser.
//!
//! Built for `wasm32-unknown-unknown` (`scripts/wasm.sh -p cbam-web`) it is one file, with the bundled weights in it, that needs
//! nothing of whoever loads it: no imports, no generated script.
//!
//! | module | what |
//! |---|---|
//! | [`abi`] | the functions that a script calls; the only place of `unsafe` |
//! | [`engine`] | a network that is open: what it is, and what it sees in a photo |
//! | [`options`] | what a script says about a head or a look, as JSON |
//! | [`buffers`] | memory that a script fills |
//!
//! What it answers is what an interactive page reads ([`cbam_core::render::page`]). Time, threads, files and randomness, which a
//! browser does not give, are used nowhere here.

pub mod abi;
pub mod buffers;
pub mod engine;
pub mod options;

pub use engine::Engine;
pub use options::{HeadOptions, LookOptions};
