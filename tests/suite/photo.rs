//! Pictures: formats, orientation, limits, broken files, and what preprocessing makes of them.

#![allow(clippy::float_cmp)] // exact values are meant to be exact

mod decoding;
mod preprocessing;

use image::{Rgb, RgbImage};
use serde_json::Value;

/// What `tests/golden/pixels/gen.py` wrote.
pub(crate) fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/pixels/pillow.json")).unwrap()
}

/// The picture that `gen.py` makes by the same formula.
fn formula(height: u32, width: u32) -> RgbImage {
    let value = |x: u32, y: u32, c: u32| ((x * 5 + y * 9 + c * 40 + (x * y) % 17 * 6) % 128 + 64) as u8;
    RgbImage::from_fn(width, height, |x, y| Rgb([value(x, y, 0), value(x, y, 1), value(x, y, 2)]))
}
