//! Colours to sRGB: embedded ICC profiles, and inks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use bytemuck::Zeroable;
use image::{DynamicImage, ImageBuffer, Pixel};
use moxcms::{CmsError, ColorProfile, DataColorSpace, Layout, ToneReprCurve, TransformExecutor, TransformOptions};

use super::buffer::{self, Of};
use super::srgb::transfer;

/// A picture of inks: cyan, magenta, yellow and black, `[height, width, 4]`; 0 is none.
#[derive(Debug, Clone)]
pub(super) struct Inks {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) samples: InkSamples,
}

#[derive(Debug, Clone)]
pub(super) enum InkSamples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
}

/// A decoded picture, not yet in sRGB.
#[derive(Debug, Clone)]
pub(super) enum Pixels {
    Image(DynamicImage),
    Inks(Inks),
}

impl Pixels {
    /// As sRGB: by the profile, or, without one (or with one that cannot be used, which `notes` then say), as it is.
    pub(super) fn into_srgb(self, profile: Option<&[u8]>, notes: &mut Vec<String>) -> DynamicImage {
        let converted = profile.map(|profile| {
            // A profile is a program for a machine of the colour library's; none of them may cost the picture.
            let converted = catch_unwind(AssertUnwindSafe(|| self.converted(profile)));
            converted.unwrap_or_else(|_| Err("the colour library failed on it".to_owned()))
        });
        match converted {
            Some(Ok(Some(image))) => return image,
            Some(Err(why)) => notes.push(format!("its ICC profile was passed over: {why}")),
            Some(Ok(None)) | None => {}
        }
        match self {
            Self::Image(image) => image,
            Self::Inks(inks) => inks.into_rgb(),
        }
    }

    /// The picture in sRGB; `None` if it is so already.
    fn converted(&self, profile: &[u8]) -> Result<Option<DynamicImage>, String> {
        Ok(match self {
            Self::Image(DynamicImage::ImageLuma8(image)) => convert(image, profile, Layout::Gray)?.map(Into::into),
            Self::Image(DynamicImage::ImageLumaA8(image)) => {
                convert(image, profile, Layout::GrayAlpha)?.map(Into::into)
            }
            Self::Image(DynamicImage::ImageRgb8(image)) => convert(image, profile, Layout::Rgb)?.map(Into::into),
            Self::Image(DynamicImage::ImageRgba8(image)) => convert(image, profile, Layout::Rgba)?.map(Into::into),
            Self::Image(DynamicImage::ImageLuma16(image)) => convert(image, profile, Layout::Gray)?.map(Into::into),
            Self::Image(DynamicImage::ImageLumaA16(image)) => {
                convert(image, profile, Layout::GrayAlpha)?.map(Into::into)
            }
            Self::Image(DynamicImage::ImageRgb16(image)) => convert(image, profile, Layout::Rgb)?.map(Into::into),
            Self::Image(DynamicImage::ImageRgba16(image)) => convert(image, profile, Layout::Rgba)?.map(Into::into),
            Self::Image(_) => return Err("it is not for such pixels".to_owned()), // floats: linear light
            Self::Inks(Inks { width, height, samples: InkSamples::Eight(samples) }) => {
                let rgb = converted_samples(samples, 3, profile, Kind::INKS)?.unwrap_or_default();
                buffer::of_eight(*width, *height, 3, rgb)
            }
            Self::Inks(Inks { width, height, samples: InkSamples::Sixteen(samples) }) => {
                let rgb = converted_samples(samples, 3, profile, Kind::INKS)?.unwrap_or_default();
                buffer::of_sixteen(*width, *height, 3, rgb)
            }
        })
    }
}

impl Inks {
    /// What Pillow makes of inks without a profile: each takes its share of what black leaves.
    fn into_rgb(self) -> DynamicImage {
        let Self { width, height, samples } = self;
        let image = match samples {
            InkSamples::Eight(samples) => {
                let rgb = samples.as_chunks::<4>().0.iter().flat_map(|&[inks @ .., black]| {
                    inks.map(|ink| ((255 - u32::from(black)) * (255 - u32::from(ink)) + 127).div_euclid(255) as u8)
                });
                buffer::of_eight(width, height, 3, rgb.collect())
            }
            InkSamples::Sixteen(samples) => {
                let rgb = samples.as_chunks::<4>().0.iter().flat_map(|&[inks @ .., black]| {
                    inks.map(|ink| {
                        ((65_535 - u64::from(black)) * (65_535 - u64::from(ink)) + 32_767).div_euclid(65_535) as u16
                    })
                });
                buffer::of_sixteen(width, height, 3, rgb.collect())
            }
        };
        image.unwrap_or_default()
    }
}

fn convert<P>(image: &Of<P>, profile: &[u8], layout: Layout) -> Result<Option<Of<P>>, String>
where
    P: Pixel<Subpixel: Sample>,
{
    let colours =
        if matches!(layout, Layout::Gray | Layout::GrayAlpha) { DataColorSpace::Gray } else { DataColorSpace::Rgb };
    let kind = Kind { colours, layout, out: layout };
    let samples = converted_samples(image.as_raw(), P::CHANNEL_COUNT.into(), profile, kind)?;
    Ok(samples.and_then(|samples| ImageBuffer::from_raw(image.width(), image.height(), samples)))
}

/// The samples in sRGB (grey stays grey); `None` if the profile is sRGB's own.
fn converted_samples<T: Sample>(
    samples: &[T],
    channels: usize,
    profile: &[u8],
    kind: Kind,
) -> Result<Option<Vec<T>>, String> {
    let Some(transform) = T::transform(profile, kind)? else { return Ok(None) };
    let length = samples.len() / kind.channels() * channels;
    let mut out = buffer::zeroed(length).map_err(|_| "not enough memory for the converted picture")?;
    transform.transform(samples, &mut out).map_err(|error| error.to_string())?;
    Ok(Some(out))
}

/// What a profile must be for, and how the samples lie.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Kind {
    colours: DataColorSpace,
    layout: Layout,
    out: Layout,
}

impl Kind {
    const INKS: Self = Self { colours: DataColorSpace::Cmyk, layout: Layout::Rgba, out: Layout::Rgb };

    fn channels(self) -> usize {
        match self.layout {
            Layout::Gray => 1,
            Layout::GrayAlpha => 2,
            Layout::Rgb => 3,
            _ => 4,
        }
    }

    /// The profile, if it is for such samples; `None` if it is sRGB's own, or that of a grey with its curve.
    fn source(self, profile: &[u8]) -> Result<Option<ColorProfile>, String> {
        let source = ColorProfile::new_from_slice(profile).map_err(|error| format!("it is broken ({error})"))?;
        if source.color_space != self.colours {
            return Err(format!("it is for {:?}, and the picture is {:?}", source.color_space, self.colours));
        }
        Ok((!is_srgb(&source)).then_some(source))
    }

    fn target(self) -> ColorProfile {
        let srgb = ColorProfile::new_srgb();
        if self.colours != DataColorSpace::Gray {
            return srgb;
        }
        let mut grey = ColorProfile::new_gray_with_gamma(2.2);
        grey.gray_trc = srgb.red_trc;
        grey
    }
}

/// Samples that profiles are for.
trait Sample: Copy + Default + Zeroable + Send + Sync + 'static {
    /// The way from the profile to sRGB; `None` if there is nothing to do.
    fn transform(profile: &[u8], kind: Kind) -> Result<Option<Transform<Self>>, String>;
}

type Transform<T> = Arc<dyn TransformExecutor<T> + Send + Sync>;

impl Sample for u8 {
    fn transform(profile: &[u8], kind: Kind) -> Result<Option<Transform<Self>>, String> {
        static KEPT: Kept<u8> = Mutex::new(Vec::new());
        keep(&KEPT, profile, kind, |source, target| {
            source.create_transform_8bit(kind.layout, target, kind.out, TransformOptions::default())
        })
    }
}

impl Sample for u16 {
    fn transform(profile: &[u8], kind: Kind) -> Result<Option<Transform<Self>>, String> {
        static KEPT: Kept<u16> = Mutex::new(Vec::new());
        keep(&KEPT, profile, kind, |source, target| {
            source.create_transform_16bit(kind.layout, target, kind.out, TransformOptions::default())
        })
    }
}

/// The last few profiles and the tables that were made of them: the pictures of a folder often have the same.
type Kept<T> = Mutex<Vec<(Vec<u8>, Kind, Option<Transform<T>>)>>;

/// How many are kept, and the bytes of the largest that is.
const KEPT: usize = 8;
const LARGEST_KEPT: usize = 1 << 20;

fn keep<T: Copy + Default>(
    kept: &Kept<T>,
    profile: &[u8],
    kind: Kind,
    make: impl FnOnce(&ColorProfile, &ColorProfile) -> Result<Transform<T>, CmsError>,
) -> Result<Option<Transform<T>>, String> {
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner); // pushed and removed in one step each
    if let Some((.., transform)) = lock().iter().find(|(known, of, _)| *of == kind && known == profile) {
        return Ok(transform.clone());
    }
    let source = kind.source(profile)?;
    let transform = source.map(|source| make(&source, &kind.target())).transpose();
    let transform = transform.map_err(|error| format!("it cannot be used ({error})"))?;
    if profile.len() <= LARGEST_KEPT {
        let mut kept = lock();
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((profile.to_vec(), kind, transform.clone()));
    }
    Ok(transform)
}

/// Whether a profile's colours are sRGB's own, to less than a level of 8 bits.
fn is_srgb(profile: &ColorProfile) -> bool {
    /// How far a primary may be off, in XYZ.
    const NEAR: f64 = 0.002;
    let luts = [&profile.lut_a_to_b_perceptual, &profile.lut_a_to_b_colorimetric, &profile.lut_a_to_b_saturation];
    if profile.pcs != DataColorSpace::Xyz || luts.into_iter().any(Option::is_some) {
        return false;
    }
    if profile.color_space == DataColorSpace::Gray {
        return profile.gray_trc.as_ref().is_some_and(is_srgb_curve);
    }
    let srgb = ColorProfile::new_srgb();
    let primaries = |profile: &ColorProfile| {
        [profile.red_colorant, profile.green_colorant, profile.blue_colorant]
            .map(|primary| [primary.x, primary.y, primary.z])
    };
    let near = primaries(profile)
        .as_flattened()
        .iter()
        .zip(primaries(&srgb).as_flattened())
        .all(|(a, b)| (a - b).abs() < NEAR);
    let curves = [&profile.red_trc, &profile.green_trc, &profile.blue_trc];
    near && curves.into_iter().all(|curve| curve.as_ref().is_some_and(is_srgb_curve))
}

fn is_srgb_curve(curve: &ToneReprCurve) -> bool {
    /// Less than a level of 8 bits.
    const NEAR: f32 = 0.6 / 255.0;
    (0..=32_u8).map(|step| f32::from(step) / 32.0).all(|value| (transfer(light(curve, value)) - value).abs() < NEAR)
}

/// The light of a value by a profile's curve (ICC.1, 10.6 and 10.18); NaN if it has none.
fn light(curve: &ToneReprCurve, value: f32) -> f32 {
    match curve {
        ToneReprCurve::Lut(table) if table.is_empty() => value,
        ToneReprCurve::Lut(table) if table.len() == 1 => value.powf(f32::from(table[0]) / 256.0),
        ToneReprCurve::Lut(table) => {
            let place = value * (table.len() - 1) as f32;
            let (low, high) = (place.floor() as usize, place.ceil() as usize);
            let (low, high) = (f32::from(table[low]), f32::from(table[high]));
            (low + (high - low) * place.fract()) / 65_535.0
        }
        ToneReprCurve::Parametric(p) => match p[..] {
            [g] => value.powf(g),
            [g, a, b] if value >= -b / a => (a * value + b).powf(g),
            [_, _, _] => 0.0,
            [g, a, b, c] if value >= -b / a => (a * value + b).powf(g) + c,
            [_, _, _, c] => c,
            [g, a, b, _, d] if value >= d => (a * value + b).powf(g),
            [_, _, _, c, _] => c * value,
            [g, a, b, _, d, e, _] if value >= d => (a * value + b).powf(g) + e,
            [_, _, _, c, _, _, f] => c * value + f,
            _ => f32::NAN,
        },
    }
}
