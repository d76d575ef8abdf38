//! In the place of `OpenEXR` on WebAssembly. The crate `exr` turns on relaxed SIMD there, which many browsers refuse together with the
//! whole program, and whose results differ between machines.

use super::decode::Declared;

/// # Errors
/// Always: that the format is not read.
pub(super) fn declared(_: &[u8]) -> Result<Declared, String> {
    Err("OpenEXR is not read on WebAssembly; convert it to PNG or TIFF".to_owned())
}
