//! A picture at another size, on a white ground.

use std::borrow::Cow;

use bytemuck::Zeroable;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, RgbImage};

use super::{ImageSize, buffer};
use crate::{Error, Result};

/// Resamples a picture to `size`, composited on white; 8 or 16 bits are kept, grey stays grey on the way.
pub(crate) fn resize(image: &DynamicImage, size: ImageSize) -> Result<DynamicImage> {
    let opaque = composite_on_white(image);
    let image = opaque.as_ref().unwrap_or(image);
    let mut out = DynamicImage::new(size.width, size.height, image.color());
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).use_alpha(false);
    resample(image, &mut out, &options)?;
    Ok(if let DynamicImage::ImageLuma16(_) = out { DynamicImage::ImageRgb16(out.into_rgb16()) } else { out })
}

/// Resamples a picture to `size`; its kind of pixels is kept, with what is transparent.
pub(crate) fn resize_as_it_is(image: &DynamicImage, size: ImageSize) -> Result<DynamicImage> {
    let mut out = DynamicImage::new(size.width, size.height, image.color());
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    resample(image, &mut out, &options)?;
    Ok(out)
}

fn resample(image: &DynamicImage, out: &mut DynamicImage, options: &ResizeOptions) -> Result<()> {
    let size = ImageSize::new(out.width(), out.height());
    let wrong = |error| Error::argument("size", format!("cannot resample to {size}: {error}"));
    Resizer::new().resize(image, out, options).map_err(wrong)
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
