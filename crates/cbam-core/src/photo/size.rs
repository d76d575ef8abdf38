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

/// A part of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Part {
    /// The columns left of it.
    pub left: u32,
    /// The rows above it.
    pub top: u32,
    /// Its size.
    pub size: ImageSize,
}

impl Part {
    /// All of a picture.
    pub const fn whole(picture: ImageSize) -> Self {
        Self { left: 0, top: 0, size: picture }
    }

    /// The largest part of a picture that has the shape of `shape`, in the middle; at least one pixel of a picture that has any.
    pub fn middle(picture: ImageSize, shape: ImageSize) -> Self {
        let scaled = |side: u32, by: u32, of: u32| {
            let side = (u64::from(side) * u64::from(by) + u64::from(of) / 2) / u64::from(of.max(1));
            u32::try_from(side).unwrap_or(u32::MAX).max(1)
        };
        let width = scaled(picture.height, shape.width, shape.height).min(picture.width);
        let height = scaled(picture.width, shape.height, shape.width).min(picture.height);
        let size = ImageSize::new(width, height);
        Self { left: (picture.width - width) / 2, top: (picture.height - height) / 2, size }
    }
}

impl fmt::Display for Part {
    /// `40x30+5+0`: its size, and the columns and rows before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}+{}", self.size, self.left, self.top)
    }
}

/// How a picture became the network's input: it travels with the pixels, so that a map lies exactly over what the network saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Geometry {
    /// The upright picture.
    pub picture: ImageSize,
    /// The network's input.
    pub network: ImageSize,
    /// The part of the picture that was stretched to it; mostly all of it.
    pub seen: Part,
}

impl Geometry {
    /// All of a picture, stretched to a network's input.
    pub const fn whole(picture: ImageSize, network: ImageSize) -> Self {
        Self { picture, network, seen: Part::whole(picture) }
    }

    /// Whether all of the picture was seen.
    pub fn is_whole(&self) -> bool {
        self.seen == Part::whole(self.picture)
    }

    /// Network pixels per picture pixel, `[horizontally, vertically]`.
    ///
    /// The two differ slightly, because each side of the network's input is a multiple of its stride.
    pub fn scale(&self) -> [f64; 2] {
        [
            f64::from(self.network.width) / f64::from(self.seen.size.width),
            f64::from(self.network.height) / f64::from(self.seen.size.height),
        ]
    }

    /// The centre of the picture's pixel `(x, y)` as fractions of the width and height of what was seen.
    ///
    /// Fractions are the same in what was seen, in the network's input and in every map.
    ///
    /// # Errors
    /// [`Error::Argument`] if the pixel is outside the picture, or outside the part of it that was seen.
    pub fn fraction(&self, x: u32, y: u32) -> Result<[f32; 2]> {
        let outside = |message: String| Err(Error::argument(format!("point {x},{y}"), message));
        if x >= self.picture.width || y >= self.picture.height {
            return outside(format!("outside the picture, which has {} pixels", self.picture));
        }
        let Part { left, top, size } = self.seen;
        match (x.checked_sub(left), y.checked_sub(top)) {
            (Some(x), Some(y)) if x < size.width && y < size.height => Ok(size.fraction(x, y)),
            _ => outside(format!("outside the part of the picture that the network sees, {}", self.seen)),
        }
    }

    /// The picture's pixel `[x, y]` at a point given as fractions of what was seen; see [`ImageSize::pixel`].
    pub fn pixel(&self, fraction: [f32; 2]) -> [u32; 2] {
        let [x, y] = self.seen.size.pixel(fraction);
        [x + self.seen.left, y + self.seen.top]
    }
}
