//! The engine of the live page: a photo that is dropped into a page is looked at in the browser.
//!
//! Built for `wasm32-unknown-unknown` (`scripts/wasm.sh -p cbam-web`) it is one file, with the bundled weights in it, that needs
//! nothing of whoever loads it: no imports, no generated script.
//!
//! | module | what |
//! |---|---|
//! | [`abi`] | the functions that a script calls; the only place of `unsafe` |
//! | [`engine`] | the networks that are opened here |
//! | [`buffers`] | memory that a script fills |
//!
//! What it is asked and what it answers is what a live page asks any network ([`cbam_core::live`]). Time, threads, files and randomness, which a
//! browser does not give, are used nowhere here.

pub mod abi;
pub mod buffers;
pub mod engine;

pub use engine::Engine;
