//! A map laid over its picture.

use std::{fmt, str::FromStr};

use image::DynamicImage;
use ndarray::{Array2, Axis};
use rayon::{
    iter::{IndexedParallelIterator, ParallelIterator},
    slice::ParallelSliceMut,
};

use super::{Colormap, contour::Contour};
use crate::{
    Error, Result,
    maps::{AttentionMap, Resample, ScaleLimits},
    photo::Photo,
};

/// What the strength of an overlay depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Opacity {
    /// The same everywhere: `(1 - alpha) · picture + alpha · colour`.
    #[default]
    Constant,
    /// Grows with the scaled map: `alpha · value` in place of `alpha`, so the picture stays clear where it is low.
    Attention,
}

impl fmt::Display for Opacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Constant => "constant",
            Self::Attention => "attention",
        })
    }
}

impl FromStr for Opacity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "constant" => Ok(Self::Constant),
            "attention" => Ok(Self::Attention),
            _ => Err(Error::argument("opacity", format!("{text:?} is not constant or attention"))),
        }
    }
}

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
}

impl Default for Overlay {
    /// Turbo at constant strength 0.5, bicubic, without a contour.
    fn default() -> Self {
        Self {
            colormap: Colormap::default(),
            alpha: 0.5,
            opacity: Opacity::default(),
            contour: None,
            resample: Resample::Bicubic,
        }
    }
}

/// Colours in the look-up table: enough that 8-bit colours never skip a step.
const COLOURS: usize = 1024;

impl Overlay {
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

    /// The picture with the map over it, at the picture's own size.
    ///
    /// Depth (8 or 16 bit) and alpha channel are the picture's; grey becomes colour. The map is resampled to the full
    /// size before it is scaled by `limits` and coloured. With `alpha` 0 and no contour the result is the picture
    /// itself, bit for bit.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`Error::Input`] if the picture is empty or floating-point, which a decoded
    /// [`Photo`] never is.
    pub fn apply(&self, photo: &Photo, map: &AttentionMap, limits: ScaleLimits) -> Result<DynamicImage> {
        self.check()?;
        let size = photo.size();
        let wrong = |got: String| Error::Input { layer: "overlay", expected: "an 8 or 16-bit picture".to_owned(), got };
        if size.pixels() == 0 {
            return Err(wrong(size.to_string()));
        }
        if self.alpha == 0.0 && self.contour.is_none() {
            return Ok(photo.image.clone());
        }
        let map = map.resample(size, self.resample)?;
        let paint = Paint {
            overlay: self,
            limits,
            colours: self.colormap.table(),
            contour: self.contour.map(|mass| Contour::new(map.values(), map.mass_threshold(mass))),
            map: map.values(),
        };
        let mut image = in_colour(&photo.image);
        match &mut image {
            DynamicImage::ImageRgb8(pixels) => paint.over::<u8, 3>(pixels),
            DynamicImage::ImageRgba8(pixels) => paint.over::<u8, 4>(pixels),
            DynamicImage::ImageRgb16(pixels) => paint.over::<u16, 3>(pixels),
            DynamicImage::ImageRgba16(pixels) => paint.over::<u16, 4>(pixels),
            other => return Err(wrong(format!("{:?}", other.color()))),
        }
        Ok(image)
    }
}

/// The picture with three colour channels, its depth and alpha kept.
fn in_colour(image: &DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageLuma8(_) => DynamicImage::ImageRgb8(image.to_rgb8()),
        DynamicImage::ImageLumaA8(_) => DynamicImage::ImageRgba8(image.to_rgba8()),
        DynamicImage::ImageLuma16(_) => DynamicImage::ImageRgb16(image.to_rgb16()),
        DynamicImage::ImageLumaA16(_) => DynamicImage::ImageRgba16(image.to_rgba16()),
        other => other.clone(),
    }
}

/// One sample of a picture.
trait Sample: Copy + Send {
    /// White, over 255.
    const UNIT: f32;
    fn to_f32(self) -> f32;
    /// Rounds.
    fn from_f32(value: f32) -> Self;
}

impl Sample for u8 {
    const UNIT: f32 = 1.0;
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
    fn from_f32(value: f32) -> Self {
        (value + 0.5) as Self
    }
}

impl Sample for u16 {
    const UNIT: f32 = 257.0;
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
    fn from_f32(value: f32) -> Self {
        (value + 0.5) as Self
    }
}

/// Everything that a row needs.
struct Paint<'a> {
    overlay: &'a Overlay,
    limits: ScaleLimits,
    colours: [[u8; 3]; COLOURS],
    contour: Option<Contour>,
    map: &'a Array2<f32>,
}

impl Paint<'_> {
    /// Paints over `samples`, `CHANNELS` to a pixel; a fourth channel is left as it is.
    fn over<T: Sample, const CHANNELS: usize>(&self, samples: &mut [T]) {
        let colours = self.colours.map(|colour| colour.map(|c| f32::from(c) * T::UNIT));
        let rows = samples.par_chunks_mut(self.map.ncols() * CHANNELS).enumerate();
        rows.for_each(|(y, row)| {
            let values = self.map.index_axis(Axis(0), y);
            for (x, (pixel, value)) in row.chunks_exact_mut(CHANNELS).zip(values).enumerate() {
                let value = self.limits.apply(*value);
                let colour = &colours[(value * (COLOURS - 1) as f32 + 0.5) as usize];
                let weight = match self.overlay.opacity {
                    Opacity::Constant => self.overlay.alpha,
                    Opacity::Attention => self.overlay.alpha * value,
                };
                let line = self.contour.as_ref().and_then(|contour| contour.coverage(self.map, y, x));
                for (sample, colour) in pixel.iter_mut().zip(colour) {
                    let picture = sample.to_f32();
                    let mut mixed = picture + (colour - picture) * weight;
                    if let Some((halo, line)) = line {
                        mixed *= 1.0 - 0.6 * halo;
                        mixed += (255.0 * T::UNIT - mixed) * line;
                    }
                    *sample = T::from_f32(mixed);
                }
            }
        });
    }
}
