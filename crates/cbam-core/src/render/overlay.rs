//! A map laid over its picture.

use image::DynamicImage;

use super::{Colormap, painting::Painting};
use crate::{
    Error, Result,
    maps::{AttentionMap, Resample, Scale, ScaleLimits},
    photo::Photo,
    text::named,
};

/// What the strength of an overlay depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Opacity {
    /// The same everywhere: `(1 - alpha) · picture + alpha · colour`.
    Constant,
    /// Grows with the scaled map: `alpha · value^0.6` in place of `alpha`. Where the map is 0 the picture is as it was, and
    /// a map that is flat leaves all of it so.
    #[default]
    Attention,
}

/// The power of the scaled value by which the strength grows: under 1, so that what is half as strong is well seen.
const GROWTH: f32 = 0.6;

named! { Opacity as "opacity"; Constant => "constant", Attention => "attention" }

/// How a map is laid over a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlay {
    /// The colours.
    pub colormap: Colormap,
    /// The strength, in `[0, 1]`; 0 is the picture itself.
    pub alpha: f32,
    /// Whether the strength is constant or grows with the map.
    pub opacity: Opacity,
    /// Draws a line around the highest part of the map that holds this fraction of its mass, in `[0, 1]`.
    pub contour: Option<f32>,
    /// How the map is brought to the picture's size.
    pub resample: Resample,
    /// Takes the map along the edges of the picture (guided filter, He, Sun, Tang 2010). The network does not see so finely:
    /// off, by default, the grid of the map is what is drawn.
    pub refine: bool,
}

impl Default for Overlay {
    /// Turbo, its strength growing with the attention up to 0.75, bicubic, without a contour.
    fn default() -> Self {
        Self {
            colormap: Colormap::default(),
            alpha: 0.75,
            opacity: Opacity::default(),
            contour: None,
            resample: Resample::Bicubic,
            refine: false,
        }
    }
}

impl Opacity {
    /// How strong the colour of a scaled value is, in `[0, 1]`.
    pub(super) fn strength(self, alpha: f32, value: f32) -> f32 {
        match self {
            Self::Constant => alpha,
            Self::Attention => alpha * value.powf(GROWTH),
        }
    }
}

impl Overlay {
    /// As by default, but at the same strength everywhere: 0.5.
    pub fn constant() -> Self {
        Self { alpha: 0.5, opacity: Opacity::Constant, ..Self::default() }
    }

    /// Checks that the numbers are in range.
    ///
    /// # Errors
    /// [`Error::Argument`] if `alpha` or `contour` is not in `[0, 1]`.
    pub fn check(&self) -> Result<()> {
        for (argument, value) in [("alpha", Some(self.alpha)), ("contour", self.contour)] {
            if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
                return Err(Error::argument(argument, format!("{value} is not in 0..=1")));
            }
        }
        Ok(())
    }

    /// The picture with the map over it, from the map's least value to its greatest; see [`apply`](Self::apply).
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn draw(&self, photo: &Photo, map: &AttentionMap) -> Result<DynamicImage> {
        self.apply(photo, map, Scale::Image.limits(map))
    }

    /// The picture with the map over it, at the picture's own size.
    ///
    /// Depth (8 or 16 bit) and alpha channel are the picture's; grey becomes colour. The map is resampled to the full
    /// size before it is scaled by `limits` and coloured. A map of where one patch looks has that patch's outline. With
    /// `alpha` 0 and no line to draw the result is the picture itself, bit for bit.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`Error::Input`] if the picture is empty or floating-point, which a decoded
    /// [`Photo`] never is.
    pub fn apply(&self, photo: &Photo, map: &AttentionMap, limits: ScaleLimits) -> Result<DynamicImage> {
        self.paint(photo.image.clone(), map, limits)
    }

    /// As [`apply`](Self::apply), in the picture's own memory: a large picture is not copied.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn paint(&self, image: DynamicImage, map: &AttentionMap, limits: ScaleLimits) -> Result<DynamicImage> {
        Ok(self.painting(image, map, limits)?.into_image())
    }

    /// As [`paint`](Self::paint), to be painted where and when the rows are wanted.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub(crate) fn painting(&self, image: DynamicImage, map: &AttentionMap, limits: ScaleLimits) -> Result<Painting> {
        self.check()?;
        Painting::new(self, image, map, limits)
    }
}
