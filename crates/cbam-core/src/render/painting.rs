//! The pixels of a picture with a map over it.
// What is not inlined into a dispatched task loses that task's instructions.
#![allow(clippy::inline_always)]

use std::ops::Range;

use image::DynamicImage;
use ndarray::{Array2, s};
use pulp::{Simd, WithSimd};
use rayon::{
    iter::{IndexedParallelIterator, ParallelIterator},
    slice::ParallelSliceMut,
};

use super::{
    Opacity, Overlay,
    contour::{Contour, Outline},
    refine::refined,
    sample::Sample,
};
use crate::{
    Error, Result,
    maps::{AttentionMap, Rows, ScaleLimits, mass_threshold},
    photo::{ImageSize, Part},
    simd::dispatch,
};

/// Colours in the look-up table: enough that 8-bit colours never skip a step.
const COLOURS: usize = 1024;

/// A picture with a map over it, painted where and when its rows are wanted.
#[derive(Debug)]
pub(crate) struct Painting {
    /// As it was; in colour and of 8 or 16 bit if there is something to paint.
    image: DynamicImage,
    paint: Option<Paint>,
}

impl Painting {
    /// See [`Overlay::apply`]; the overlay's numbers are in range.
    pub(super) fn new(overlay: &Overlay, image: DynamicImage, map: &AttentionMap, limits: ScaleLimits) -> Result<Self> {
        let size = ImageSize::new(image.width(), image.height());
        let wrong = |got: String| Error::Input { layer: "overlay", expected: "an 8 or 16-bit picture".to_owned(), got };
        if size.pixels() == 0 {
            return Err(wrong(size.to_string()));
        }
        if overlay.alpha == 0.0 && overlay.contour.is_none() && map.cell().is_none() {
            return Ok(image.into());
        }
        let image = in_colour(image);
        if matches!(image, DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)) {
            return Err(wrong(format!("{:?}", image.color())));
        }
        let part = map.part_of(size).unwrap_or(Part::whole(size));
        let outline = map.cell().map(|cell| Outline::new(cell, map.grid(), part.size));
        let map = match overlay.contour {
            _ if overlay.refine => Map::Whole(refined(map, &image, part, overlay.resample)?),
            Some(_) => Map::Whole(map.clone().of_input().resample(part.size, overlay.resample)?.into_values()),
            None => Map::Rows(map.rows(part.size, overlay.resample)?),
        };
        let contour = match (&map, overlay.contour) {
            (Map::Whole(map), Some(mass)) => Some(Contour::new(map, mass_threshold(map, mass))),
            _ => None,
        };
        let strength = |place| overlay.opacity.strength(overlay.alpha, place as f32 / (COLOURS - 1) as f32);
        let paint = Paint {
            alpha: overlay.alpha,
            opacity: overlay.opacity,
            limits,
            strengths: std::array::from_fn(strength),
            colours: overlay.colormap.table().map(|[red, green, blue]| [red, green, blue, 0]),
            map,
            contour,
            outline,
            width: part.size.width as usize,
            whole: size.width as usize,
            height: size.height as usize,
            part,
        };
        Ok(Self { image, paint: Some(paint) })
    }

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
pub(super) fn in_colour(image: DynamicImage) -> DynamicImage {
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
    /// All of it.
    Whole(Array2<f32>),
}

impl Map {
    /// The values of a row from a column on, as many as `out` has.
    #[inline(always)]
    fn fill(&self, row: usize, column: usize, out: &mut [f32]) {
        match self {
            Self::Rows(rows) => rows.fill(row, column, out),
            Self::Whole(map) => {
                let values = map.slice(s![row, column..column + out.len()]);
                out.iter_mut().zip(values).for_each(|(out, value)| *out = *value);
            }
        }
    }
}

/// Everything that a row needs.
#[derive(Debug)]
struct Paint {
    alpha: f32,
    opacity: Opacity,
    limits: ScaleLimits,
    /// How strong the colours are.
    strengths: [f32; COLOURS],
    /// Red, green, blue, and nothing.
    colours: [[u8; 4]; COLOURS],
    map: Map,
    /// The line around the map's highest part.
    contour: Option<Contour>,
    /// The line around the patch that looks.
    outline: Option<Outline>,
    /// The map's, in pixels.
    width: usize,
    /// The picture's, in pixels.
    whole: usize,
    height: usize,
    /// Where in the picture the map lies.
    part: Part,
}

/// A band of rows, for all the SIMD that the machine has.
struct Band<'a, T, const CHANNELS: usize> {
    paint: &'a Paint,
    samples: &'a mut [T],
    first: usize,
}

impl<T: Sample, const CHANNELS: usize> WithSimd for Band<'_, T, CHANNELS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        self.paint.colour::<T, CHANNELS>(self.samples, self.first);
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
        if self.width == self.whole && top == 0 && height == self.height {
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
        match (&self.map, &self.contour) {
            (Map::Whole(map), Some(contour)) => self.colour_with_line::<T, CHANNELS>(samples, first, map, contour),
            _ => dispatch(Band::<T, CHANNELS> { paint: self, samples: &mut *samples, first }),
        }
        if let Some(outline) = &self.outline {
            self.outline::<T, CHANNELS>(samples, first, outline);
        }
    }

    #[inline(always)]
    fn colour<T: Sample, const CHANNELS: usize>(&self, samples: &mut [T], first: usize) {
        let mut values = [0.0; PIECE];
        let mut places = [0; PIECE];
        // Of both four are written at once; where three are wanted, the next pixel's go over the fourth.
        let mut colours = [0; 4 * PIECE];
        let mut shares = [T::Share::default(); 4 * PIECE];
        let of_pixel = |share: f32| [share, share, share, 0.0].map(T::share); // a fourth channel stays as it is
        for shares in shares.chunks_exact_mut(CHANNELS) {
            shares.copy_from_slice(&of_pixel(self.alpha)[..CHANNELS]);
        }
        let strengths = (self.opacity == Opacity::Attention).then(|| self.strengths.map(of_pixel));
        for (row, samples) in samples.chunks_exact_mut(self.width * CHANNELS).enumerate() {
            for (piece, samples) in samples.chunks_mut(PIECE * CHANNELS).enumerate() {
                let values = &mut values[..samples.len() / CHANNELS];
                self.map.fill(first + row, piece * PIECE, values);
                for (place, value) in places.iter_mut().zip(&*values) {
                    *place = place_of(self.limits.apply(*value));
                }
                let places = &places[..values.len()];
                for (index, place) in places.iter().enumerate() {
                    colours[index * CHANNELS..index * CHANNELS + 4].copy_from_slice(&self.colours[usize::from(*place)]);
                }
                if let Some(strengths) = &strengths {
                    for (index, place) in places.iter().enumerate() {
                        shares[index * CHANNELS..index * CHANNELS + 4].copy_from_slice(&strengths[usize::from(*place)]);
                    }
                }
                T::mix(samples, &colours, &shares);
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
                let (colour, share) =
                    (self.colours[usize::from(place_of(value))], self.opacity.strength(self.alpha, value));
                let line = contour.coverage(map, first + y, x);
                for (sample, colour) in pixel.iter_mut().zip(&colour[..3]) {
                    let picture = sample.to_f32();
                    let mut mixed = picture + (f32::from(*colour) * T::UNIT - picture) * share;
                    if let Some(line) = line {
                        mixed = line.over(mixed, 255.0 * T::UNIT);
                    }
                    *sample = T::from_f32(mixed);
                }
            }
        }
    }

    fn outline<T: Sample, const CHANNELS: usize>(&self, samples: &mut [T], first: usize, outline: &Outline) {
        for (y, row) in samples.chunks_exact_mut(self.width * CHANNELS).enumerate() {
            for x in outline.columns(first + y, self.width) {
                let Some(line) = outline.coverage(first + y, x) else { continue };
                for sample in &mut row[x * CHANNELS..x * CHANNELS + 3] {
                    *sample = T::from_f32(line.over(sample.to_f32(), 255.0 * T::UNIT));
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
