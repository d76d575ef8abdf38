//! The recipe of clutter, for training and evaluation alike: what a picture is put on, how large it is there, and how much of it
//! is hidden. Who draws decides the order of the random numbers.

use std::fmt;
use std::ops::RangeInclusive;

use image::RgbImage;
use rand::Rng;

use super::{ImageSize, compose};
use crate::Result;

/// What part of the sides of the ground a picture takes.
pub const SIDE: RangeInclusive<f64> = 0.4..=1.0;
/// How likely a picture is mirrored.
pub const MIRRORED: f64 = 0.5;
/// How likely a rectangle hides a part of it.
pub const HIDDEN: f64 = 0.4;
/// What part of the picture's sides that takes.
pub const HIDDEN_SIDE: RangeInclusive<f64> = 0.15..=0.4;

/// What a picture is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClutterKind {
    /// A part of a wallpaper.
    Wallpaper,
    /// A small part of another picture, enlarged.
    Texture,
    /// Another picture of which only large patches of colour are left.
    Blurred,
    /// Another picture cut into tiles, shuffled.
    Tiles,
    /// Stripes, and bright shapes behind and over the picture. Training never uses it.
    Shapes,
}

impl ClutterKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Wallpaper, Self::Texture, Self::Blurred, Self::Tiles, Self::Shapes];
    /// Those that are made of a picture that is no wallpaper, each as often as the others.
    pub const OF_PICTURES: [Self; 3] = [Self::Texture, Self::Blurred, Self::Tiles];
    /// How many grounds of five are wallpapers.
    pub const WALLPAPERS_OF_FIVE: u32 = 2;

    /// A ground of this kind, made of a picture; [`Shapes`](Self::Shapes) are made of none, and leave it as it is.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) if resizing fails.
    pub fn ground(self, of: &RgbImage, size: ImageSize, rng: &mut impl Rng) -> Result<RgbImage> {
        match self {
            Self::Wallpaper => compose::random_part(of, rng.random_range(0.4..=1.0), size, rng),
            Self::Texture => compose::random_part(of, rng.random_range(0.1..=0.3), size, rng),
            Self::Blurred => compose::blurred(&compose::centre(of, size)?, rng),
            Self::Tiles => Ok(compose::shuffled_tiles(&compose::centre(of, size)?, rng)),
            Self::Shapes => compose::centre(of, size),
        }
    }
}

impl fmt::Display for ClutterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Wallpaper => "wallpaper",
            Self::Texture => "texture",
            Self::Blurred => "blurred",
            Self::Tiles => "tiles",
            Self::Shapes => "shapes",
        })
    }
}
