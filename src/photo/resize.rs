//! A picture at another size, on a white ground.

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::DynamicImage;

use super::ImageSize;
use crate::{Error, Result};

/// Resamples a picture to `size`, composited on white; 8 or 16 bits are kept, grey stays grey on the way.
pub(crate) fn resize(image: &DynamicImage, size: ImageSize) -> Result<DynamicImage> {
    let opaque = composite_on_white(image);
    let image = opaque.as_ref().unwrap_or(image);
    let mut out = DynamicImage::new(size.width, size.height, image.color());
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).use_alpha(false);
    Resizer::new()
        .resize(image, &mut out, &options)
        .map_err(|error| Error::argument("size", format!("cannot resample to {size}: {error}")))?;
    Ok(if let DynamicImage::ImageLuma16(_) = out { DynamicImage::ImageRgb16(out.to_rgb16()) } else { out })
}

/// The picture on a white ground; none if it has no alpha channel.
fn composite_on_white(image: &DynamicImage) -> Option<DynamicImage> {
    match image {
        DynamicImage::ImageLumaA8(_) | DynamicImage::ImageRgba8(_) => {
            let mut pixels = image.to_rgba8();
            for pixel in pixels.pixels_mut() {
                let [colour @ .., alpha] = &mut pixel.0;
                let alpha = u32::from(*alpha);
                // (c * a + 255 * (255 - a)) / 255, rounded
                for c in colour {
                    *c = ((u32::from(*c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
                }
            }
            Some(DynamicImage::ImageRgb8(DynamicImage::ImageRgba8(pixels).into_rgb8()))
        }
        DynamicImage::ImageLumaA16(_) | DynamicImage::ImageRgba16(_) => {
            let mut pixels = image.to_rgba16();
            for pixel in pixels.pixels_mut() {
                let [colour @ .., alpha] = &mut pixel.0;
                let alpha = u64::from(*alpha);
                let white = 65_535 * (65_535 - alpha);
                for c in colour {
                    *c = ((u64::from(*c) * alpha + white + 32_767) / 65_535) as u16;
                }
            }
            Some(DynamicImage::ImageRgb16(DynamicImage::ImageRgba16(pixels).into_rgb16()))
        }
        _ => None,
    }
}
