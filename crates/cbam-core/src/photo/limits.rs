//! How large a picture may be; checked before its pixels are allocated.

use std::path::Path;

use super::ImageSize;
use crate::{Error, Result};

/// How large a picture may be.
///
/// The header's dimensions are checked before memory for the pixels is taken, so a file of a few bytes cannot claim
/// more than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest side, in pixels.
    pub max_side: u32,
    /// Width times height.
    pub max_pixels: u64,
    /// The bytes of the file, and the bytes of the decoded pixels, each; 512 MiB at most on a machine of 32 bits.
    pub max_bytes: u64,
}

/// The most bytes whose bits a `usize` counts: 512 MiB on a machine of 32 bits, and no limit on one of 64.
const COUNTABLE: u64 = usize::MAX as u64 / 8;

impl Default for Limits {
    /// 65,535 pixels a side (the most that a JPEG can have), 200 million pixels, 1 GiB.
    fn default() -> Self {
        Self { max_side: 65_535, max_pixels: 200_000_000, max_bytes: 1 << 30 }
    }
}

impl Limits {
    /// The default, for pictures of at most that many pixels. Where that is more than by default, sides may have any length, and a
    /// pixel four channels of 16 bits.
    pub fn of_pixels(max_pixels: u64) -> Self {
        let default = Self::default();
        if max_pixels <= default.max_pixels {
            return Self { max_pixels, ..default };
        }
        Self { max_side: u32::MAX, max_pixels, max_bytes: default.max_bytes.max(max_pixels.saturating_mul(8)) }
    }

    /// [`max_bytes`](Self::max_bytes), and what this machine can hold.
    fn most_bytes(&self) -> u64 {
        self.max_bytes.min(COUNTABLE)
    }

    /// Checks the size that a header declares, and the bytes that its pixels would take.
    pub(super) fn check(&self, name: &Path, size: ImageSize, bytes: u64) -> Result<()> {
        let over = |what: String| Err(Error::photo(name, format!("{size} pixels: {what}")));
        if size.width == 0 || size.height == 0 {
            return over("the picture is empty".to_owned());
        }
        if size.width.max(size.height) > self.max_side {
            return over(format!("a side is over the limit of {} pixels", self.max_side));
        }
        if size.pixels() > self.max_pixels {
            return over(format!("{} pixels are over the limit of {}", size.pixels(), self.max_pixels));
        }
        if bytes > self.most_bytes() {
            return over(format!("{bytes} bytes of pixels are over the limit of {}", self.most_bytes()));
        }
        Ok(())
    }

    /// Checks the size of the file.
    pub(super) fn check_file(&self, name: &Path, bytes: u64) -> Result<()> {
        if bytes > self.most_bytes() {
            return Err(Error::photo(name, format!("the file is over the limit of {} bytes", self.most_bytes())));
        }
        Ok(())
    }
}
