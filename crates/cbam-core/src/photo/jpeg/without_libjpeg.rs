//! In the place of libjpeg, which is C code and is not compiled for WebAssembly: what it alone reads is refused.

use super::decoded::{Colours, Decoded};

/// Decodes nothing.
///
/// # Errors
/// Always: that libjpeg is missing.
pub(crate) fn decode(_: &[u8], _: Colours, _: [u32; 2]) -> Result<Decoded, String> {
    Err("there is no libjpeg on WebAssembly".to_owned())
}
