//! A map laid over its picture.
// What is not inlined into a dispatched task loses that task's instructions.
#![allow(clippy::inline_always)]

use std::ops::Range;

use image::DynamicImage;
use ndarray::Array2;
use pulp::{Simd, WithSimd};
use rayon::{
    iter::{IndexedParallelIterator, ParallelIterator},
    slice::ParallelSliceMut,
};

use super::{Colormap, contour::Contour, sample::Sample};
use crate::{
    Error, Result,
    maps::{AttentionMap, Resample, Rows, Scale, ScaleLimits},
    photo::{ImageSize, Part, Photo},
    simd::dispatch,
    text::named,
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
    /// size before it is scaled by `limits` and coloured. With `alpha` 0 and no contour the result is the picture
    /// itself, bit for bit.
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
        let size = ImageSize::new(image.width(), image.height());
        let wrong = |got: String| Error::Input { layer: "overlay", expected: "an 8 or 16-bit picture".to_owned(), got };
        if size.pixels() == 0 {
            return Err(wrong(size.to_string()));
        }
        if self.alpha == 0.0 && self.contour.is_none() {
            return Ok(image.into());
        }
        let image = in_colour(image);
        if matches!(image, DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)) {
            return Err(wrong(format!("{:?}", image.color())));
        }
        let part = map.part_of(size).unwrap_or(Part::whole(size));
        let map = match self.contour {
            None => Map::Rows(map.rows(part.size, self.resample)?),
            Some(mass) => {
                let map = map.clone().of_input().resample(part.size, self.resample)?;
                let contour = Contour::new(map.values(), map.mass_threshold(mass));
                Map::Whole(map.into_values(), contour)
            }
        };
        let colours = self.colormap.table().map(|[red, green, blue]| [red, green, blue, 0]);
        let (alpha, opacity, width) = (self.alpha, self.opacity, part.size.width as usize);
        let whole = size.width as usize;
        Ok(Painting { image, paint: Some(Paint { alpha, opacity, limits, colours, map, width, whole, part }) })
    }
}

/// A picture with a map over it, painted where and when its rows are wanted.
#[derive(Debug)]
pub(crate) struct Painting {
    /// As it was; in colour and of 8 or 16 bit if there is something to paint.
    image: DynamicImage,
    paint: Option<Paint>,
}

impl Painting {
    /// The picture below, whose size and kind of pixels are the painting's.
    pub(crate) fn ground(&self) -> &DynamicImage {
        &self.image
    }

    /// The bytes of painted rows; nothing, if they are the picture's.
    pub(crate) fn rows(&self, rows: Range<usize>) -> Option<Vec<u8>> {
        let paint = self.paint.as_ref()?;
        match &self.image {
            DynamicImage::ImageRgb8(pixels) => Some(paint.rows::<u8, 3>(pixels, rows)),
            DynamicImage::ImageRgba8(pixels) => Some(paint.rows::<u8, 4>(pixels, rows)),
            DynamicImage::ImageRgb16(pixels) => Some(paint.rows::<u16, 3>(pixels, rows)),
            DynamicImage::ImageRgba16(pixels) => Some(paint.rows::<u16, 4>(pixels, rows)),
            _ => None,
        }
    }

    /// All of it, in the picture's own memory.
    pub(crate) fn into_image(self) -> DynamicImage {
        let Self { mut image, paint } = self;
        match (paint, &mut image) {
            (Some(paint), DynamicImage::ImageRgb8(pixels)) => paint.over::<u8, 3>(pixels),
            (Some(paint), DynamicImage::ImageRgba8(pixels)) => paint.over::<u8, 4>(pixels),
            (Some(paint), DynamicImage::ImageRgb16(pixels)) => paint.over::<u16, 3>(pixels),
            (Some(paint), DynamicImage::ImageRgba16(pixels)) => paint.over::<u16, 4>(pixels),
            _ => {}
        }
        image
    }
}

impl From<DynamicImage> for Painting {
    /// With nothing over it.
    fn from(image: DynamicImage) -> Self {
        Self { image, paint: None }
    }
}

/// The picture with three colour channels, its depth and alpha kept.
fn in_colour(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageLuma8(_) => DynamicImage::ImageRgb8(image.into_rgb8()),
        DynamicImage::ImageLumaA8(_) => DynamicImage::ImageRgba8(image.into_rgba8()),
        DynamicImage::ImageLuma16(_) => DynamicImage::ImageRgb16(image.into_rgb16()),
        DynamicImage::ImageLumaA16(_) => DynamicImage::ImageRgba16(image.into_rgba16()),
        other => other,
    }
}

/// The map at the picture's size.
#[derive(Debug)]
enum Map {
    /// A piece of a row at a time.
    Rows(Rows),
    /// All of it, with the line that is drawn on it.
    Whole(Array2<f32>, Contour),
}

/// Everything that a row needs.
#[derive(Debug)]
struct Paint {
    alpha: f32,
    opacity: Opacity,
    limits: ScaleLimits,
    /// Red, green, blue, and nothing.
    colours: [[u8; 4]; COLOURS],
    map: Map,
    /// The map's, in pixels.
    width: usize,
    /// The picture's, in pixels.
    whole: usize,
    /// Where in the picture the map lies.
    part: Part,
}

/// A band of rows, for all the SIMD that the machine has.
struct Band<'a, T, const CHANNELS: usize> {
    paint: &'a Paint,
    samples: &'a mut [T],
    first: usize,
    map: &'a Rows,
}

impl<T: Sample, const CHANNELS: usize> WithSimd for Band<'_, T, CHANNELS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        self.paint.colour::<T, CHANNELS>(self.samples, self.first, self.map);
    }
}

/// About how many pixels a band has.
const BAND: usize = 1 << 15;
/// Bands that stay on one thread: sharing less gains nothing.
const TOGETHER: usize = 16;
/// Pixels whose colours are looked up, one by one, before they are mixed, many at once.
const PIECE: usize = 512;

impl Paint {
    /// Paints over a picture of `CHANNELS` samples to a pixel; a fourth channel is left as it is.
    fn over<T: Sample, const CHANNELS: usize>(&self, samples: &mut [T]) {
        let rows = (BAND / self.whole).max(1);
        let bands = samples.par_chunks_mut(rows * self.whole * CHANNELS).enumerate().with_min_len(TOGETHER);
        bands.for_each(|(band, samples)| self.band::<T, CHANNELS>(samples, band * rows));
    }

    /// The bytes of painted rows of the picture.
    fn rows<T: Sample, const CHANNELS: usize>(&self, picture: &[T], rows: Range<usize>) -> Vec<u8> {
        let row = self.whole * CHANNELS;
        let mut samples = picture[rows.start * row..rows.end * row].to_vec();
        self.band::<T, CHANNELS>(&mut samples, rows.start);
        T::into_bytes(samples)
    }

    /// Paints over rows of the picture from `first` on, where the map lies.
    fn band<T: Sample, const CHANNELS: usize>(&self, samples: &mut [T], first: usize) {
        let [left, top, height] = [self.part.left, self.part.top, self.part.size.height].map(|side| side as usize);
        if self.width == self.whole && top == 0 {
            return self.lines::<T, CHANNELS>(samples, first);
        }
        for (row, samples) in samples.chunks_exact_mut(self.whole * CHANNELS).enumerate() {
            if let Some(line) = (first + row).checked_sub(top).filter(|line| *line < height) {
                self.lines::<T, CHANNELS>(&mut samples[left * CHANNELS..(left + self.width) * CHANNELS], line);
            }
        }
    }

    /// Paints over lines of the map from `first` on.
    fn lines<T: Sample, const CHANNELS: usize>(&self, samples: &mut [T], first: usize) {
        match &self.map {
            Map::Rows(map) => dispatch(Band::<T, CHANNELS> { paint: self, samples, first, map }),
            Map::Whole(map, contour) => self.colour_with_line::<T, CHANNELS>(samples, first, map, contour),
        }
    }

    /// How strong the colour of a scaled value is.
    fn share(&self, value: f32) -> f32 {
        match self.opacity {
            Opacity::Constant => self.alpha,
            Opacity::Attention => self.alpha * value,
        }
    }

    #[inline(always)]
    fn colour<T: Sample, const CHANNELS: usize>(&self, samples: &mut [T], first: usize, map: &Rows) {
        let mut values = [0.0; PIECE];
        let mut places = [0; PIECE];
        let mut colours = [0; 4 * PIECE];
        let mut shares = [[T::Share::default(); CHANNELS]; PIECE]; // a fourth channel's stay 0
        let of_all = T::share(self.alpha);
        for shares in &mut shares {
            shares[..3].fill(of_all);
        }
        for (row, samples) in samples.chunks_exact_mut(self.width * CHANNELS).enumerate() {
            for (piece, samples) in samples.chunks_mut(PIECE * CHANNELS).enumerate() {
                let values = &mut values[..samples.len() / CHANNELS];
                map.fill(first + row, piece * PIECE, values);
                for (place, value) in places.iter_mut().zip(&mut *values) {
                    *value = self.limits.apply(*value);
                    *place = place_of(*value);
                }
                for (index, place) in places[..values.len()].iter().enumerate() {
                    // Four bytes are written at once; where three are wanted, the next colour goes over the fourth.
                    let colour = &self.colours[usize::from(*place)];
                    colours[index * CHANNELS..index * CHANNELS + 4].copy_from_slice(colour);
                }
                if self.opacity == Opacity::Attention {
                    for (shares, value) in shares.iter_mut().zip(values) {
                        shares[..3].fill(T::share(self.share(*value)));
                    }
                }
                T::mix(samples, &colours, shares.as_flattened());
            }
        }
    }

    fn colour_with_line<T: Sample, const CHANNELS: usize>(
        &self,
        samples: &mut [T],
        first: usize,
        map: &Array2<f32>,
        contour: &Contour,
    ) {
        for (y, row) in samples.chunks_exact_mut(self.width * CHANNELS).enumerate() {
            for (x, pixel) in row.chunks_exact_mut(CHANNELS).enumerate() {
                let value = self.limits.apply(map[[first + y, x]]);
                let (colour, share) = (self.colours[usize::from(place_of(value))], self.share(value));
                let line = contour.coverage(map, first + y, x);
                for (sample, colour) in pixel.iter_mut().zip(&colour[..3]) {
                    let picture = sample.to_f32();
                    let mut mixed = picture + (f32::from(*colour) * T::UNIT - picture) * share;
                    if let Some((halo, line)) = line {
                        mixed *= 1.0 - 0.6 * halo;
                        mixed += (255.0 * T::UNIT - mixed) * line;
                    }
                    *sample = T::from_f32(mixed);
                }
            }
        }
    }
}

/// Where in the table the colour of a scaled value is: the nearest place.
#[inline(always)]
fn place_of(value: f32) -> u16 {
    /// From here on to twice as much, an f32's last bits count whole numbers. (A cast, which must also do for what no whole
    /// number can hold, is not done to many values at once.)
    const WHOLE: f32 = 8_388_608.0;
    (value * (COLOURS - 1) as f32 + WHOLE).to_bits() as u16
}
