//! A picture at another size, on a white ground.

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, ImageBuffer, Rgb, RgbImage};

use super::ImageSize;
use crate::{Error, Result};

type Rgb16Image = ImageBuffer<Rgb<u16>, Vec<u16>>;

/// Resamples a picture to `size`, composited on white; 8 or 16 bits are kept, grey stays grey on the way.
pub(crate) fn resize(image: &DynamicImage, size: ImageSize) -> Result<DynamicImage> {
    let opaque = composite_on_white(image);
    let image = opaque.as_ref().unwrap_or(image);
    let mut out = DynamicImage::new(size.width, size.height, image.color());
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).use_alpha(false);
    Resizer::new()
        .resize(image, &mut out, &options)
        .map_err(|error| Error::argument("size", format!("cannot resample to {size}: {error}")))?;
    Ok(if let DynamicImage::ImageLuma16(_) = out { DynamicImage::ImageRgb16(out.into_rgb16()) } else { out })
}

/// The picture on a white ground; none if it has no alpha channel.
fn composite_on_white(image: &DynamicImage) -> Option<DynamicImage> {
    match image {
        DynamicImage::ImageLumaA8(_) => composite_on_white(&image.to_rgba8().into()),
        DynamicImage::ImageLumaA16(_) => composite_on_white(&image.to_rgba16().into()),
        DynamicImage::ImageRgba8(pixels) => {
            let mut out = RgbImage::new(image.width(), image.height());
            for (out, [colour @ .., alpha]) in out.as_chunks_mut::<3>().0.iter_mut().zip(pixels.as_chunks::<4>().0) {
                let alpha = u32::from(*alpha);
                // (c * a + 255 * (255 - a)) / 255, rounded
                *out = colour.map(|c| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
            }
            Some(out.into())
        }
        DynamicImage::ImageRgba16(pixels) => {
            let mut out = Rgb16Image::new(image.width(), image.height());
            for (out, [colour @ .., alpha]) in out.as_chunks_mut::<3>().0.iter_mut().zip(pixels.as_chunks::<4>().0) {
                let alpha = u64::from(*alpha);
                let white = 65_535 * (65_535 - alpha);
                *out = colour.map(|c| ((u64::from(c) * alpha + white + 32_767) / 65_535) as u16);
            }
            Some(out.into())
        }
        _ => None,
    }
}
