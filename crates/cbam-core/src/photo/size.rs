//! Sizes with names, and the way between a picture's pixels and fractions of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The size of a picture or a grid, in pixels or cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageSize {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl ImageSize {
    /// A size of `width` columns and `height` rows.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Columns times rows.
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// The shorter of the two sides.
    pub fn short_side(self) -> u32 {
        self.width.min(self.height)
    }

    /// The pixel `[x, y]` that holds a point given as fractions of width and height.
    ///
    /// Fractions outside `[0, 1]` give the nearest pixel of the border.
    pub fn pixel(self, fraction: [f32; 2]) -> [u32; 2] {
        let index = |fraction: f32, side: u32| {
            let position = (f64::from(fraction) * f64::from(side)).floor().max(0.0) as u32;
            position.min(side.saturating_sub(1))
        };
        [index(fraction[0], self.width), index(fraction[1], self.height)]
    }

    /// The centre of the pixel `(x, y)` as fractions of width and height.
    pub fn fraction(self, x: u32, y: u32) -> [f32; 2] {
        let centre = |position: u32, side: u32| ((f64::from(position) + 0.5) / f64::from(side)) as f32;
        [centre(x, self.width), centre(y, self.height)]
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// How a picture was stretched to the network's input: it travels with the pixels, so that a map lies exactly over the
/// original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Geometry {
    /// The upright picture.
    pub picture: ImageSize,
    /// The network's input.
    pub network: ImageSize,
}

impl Geometry {
    /// Network pixels per picture pixel, `[horizontally, vertically]`.
    ///
    /// The two differ slightly, because each side of the network's input is a multiple of its stride.
    pub fn scale(&self) -> [f64; 2] {
        [
            f64::from(self.network.width) / f64::from(self.picture.width),
            f64::from(self.network.height) / f64::from(self.picture.height),
        ]
    }

    /// The centre of the picture's pixel `(x, y)` as fractions of its width and height.
    ///
    /// Fractions are the same in the picture, in the network's input and in every map, as nothing is cropped or padded.
    ///
    /// # Errors
    /// [`Error::Argument`] if the pixel is outside the picture.
    pub fn fraction(&self, x: u32, y: u32) -> Result<[f32; 2]> {
        if x >= self.picture.width || y >= self.picture.height {
            return Err(Error::argument(
                format!("point {x},{y}"),
                format!("outside the picture, which has {} pixels", self.picture),
            ));
        }
        Ok(self.picture.fraction(x, y))
    }

    /// The picture's pixel `[x, y]` at a point given as fractions; see [`ImageSize::pixel`].
    pub fn pixel(&self, fraction: [f32; 2]) -> [u32; 2] {
        self.picture.pixel(fraction)
    }
}
