//! A picture at another size, on a white ground.

use std::borrow::Cow;
use std::fmt::Display;

use bytemuck::Zeroable;
use image::{DynamicImage, RgbImage};

use super::{ImageSize, buffer};
use crate::{Error, Result};

/// Resamples a picture to `size`, composited on white; 8 or 16 bits are kept, grey stays grey on the way.
pub(crate) fn resize(image: &DynamicImage, size: ImageSize) -> Result<DynamicImage> {
    let opaque = composite_on_white(image);
    let out = resample(opaque.as_ref().unwrap_or(image), size, false)?;
    Ok(if let DynamicImage::ImageLuma16(_) = out { DynamicImage::ImageRgb16(out.into_rgb16()) } else { out })
}

/// Resamples a picture to `size`; its kind of pixels is kept, with what is transparent.
pub(crate) fn resize_as_it_is(image: &DynamicImage, size: ImageSize) -> Result<DynamicImage> {
    resample(image, size, true)
}

/// Resamples a picture of whole numbers; `alpha` says whether what is transparent has no part in colours.
fn resample(image: &DynamicImage, size: ImageSize, alpha: bool) -> Result<DynamicImage> {
    let [old, new] = [[image.width(), image.height()], [size.width, size.height]];
    let (kind, bytes) = (image.color(), image.as_bytes());
    let channels = kind.channel_count();
    let wrong = |error: &dyn Display| Error::argument("size", format!("cannot resample to {size}: {error}"));
    let resampled = match kind.bytes_per_pixel() / channels {
        1 => {
            let out = cbam_resample::eight(bytes, old, new, channels, alpha).map_err(|error| wrong(&error))?;
            buffer::of_eight(size.width, size.height, channels.into(), out)
        }
        2 => {
            let samples = bytemuck::cast_slice(bytes); // they are samples of 16 bits
            let out = cbam_resample::sixteen(samples, old, new, channels, alpha).map_err(|error| wrong(&error))?;
            buffer::of_sixteen(size.width, size.height, channels.into(), out)
        }
        _ => None,
    };
    resampled.ok_or_else(|| wrong(&"its samples are no whole numbers"))
}

/// The picture in colour and 8 bit, on a white ground.
pub(crate) fn rgb_on_white(image: &DynamicImage) -> Cow<'_, RgbImage> {
    match (image.as_rgb8(), composite_on_white(image)) {
        (Some(rgb), _) => Cow::Borrowed(rgb),
        (None, Some(opaque)) => Cow::Owned(opaque.into_rgb8()),
        (None, None) => Cow::Owned(image.to_rgb8()),
    }
}

/// The picture on a white ground; `None` if it has no alpha channel.
fn composite_on_white(image: &DynamicImage) -> Option<DynamicImage> {
    // (c * a + full * (full - a)) / full, rounded
    let eight = |c: u8, a: u8| {
        let (c, a) = (u32::from(c), u32::from(a));
        ((c * a + 255 * (255 - a) + 127) / 255) as u8
    };
    let sixteen = |c: u16, a: u16| {
        let (c, a) = (u64::from(c), u64::from(a));
        ((c * a + 65_535 * (65_535 - a) + 32_767) / 65_535) as u16
    };
    let (width, height) = (image.width(), image.height());
    match image {
        DynamicImage::ImageLumaA8(image) => buffer::of_eight(width, height, 1, opaque::<_, 2, 1>(image, eight)),
        DynamicImage::ImageLumaA16(image) => buffer::of_sixteen(width, height, 1, opaque::<_, 2, 1>(image, sixteen)),
        DynamicImage::ImageRgba8(image) => buffer::of_eight(width, height, 3, opaque::<_, 4, 3>(image, eight)),
        DynamicImage::ImageRgba16(image) => buffer::of_sixteen(width, height, 3, opaque::<_, 4, 3>(image, sixteen)),
        _ => None,
    }
}

/// `C` colours of `N` samples, of which the last is alpha.
fn opaque<T: Copy + Zeroable, const N: usize, const C: usize>(samples: &[T], mix: impl Fn(T, T) -> T) -> Vec<T> {
    let pixels = samples.as_chunks::<N>().0;
    let mut out = bytemuck::zeroed_vec(C * pixels.len());
    for (to, from) in out.as_chunks_mut::<C>().0.iter_mut().zip(pixels) {
        if let (Some(colours), Some(alpha)) = (from.first_chunk(), from.last()) {
            *to = colours.map(|colour| mix(colour, *alpha));
        }
    }
    out
}
