//! Linear light to sRGB.

use image::{DynamicImage, ImageBuffer, Pixel, Rgb, Rgba};

/// A picture of linear light (`OpenEXR`, Radiance HDR) as 16-bit sRGB; other pictures unchanged.
///
/// Light over 1 is clipped to white. Networks and screens take sRGB, so this is done once, on decoding.
pub(super) fn encode(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageRgb32F(pixels) => DynamicImage::ImageRgb16(map::<Rgb<f32>, Rgb<u16>>(&pixels, 3)),
        DynamicImage::ImageRgba32F(pixels) => DynamicImage::ImageRgba16(map::<Rgba<f32>, Rgba<u16>>(&pixels, 4)),
        other => other,
    }
}

/// What is no number in a picture of linear light, and is drawn black; `None` if nothing is.
pub(super) fn note(image: &DynamicImage) -> Option<String> {
    let samples = match image {
        DynamicImage::ImageRgb32F(pixels) => pixels.as_raw(),
        DynamicImage::ImageRgba32F(pixels) => pixels.as_raw(),
        _ => return None,
    };
    let nans = samples.iter().filter(|sample| sample.is_nan()).count();
    (nans > 0).then(|| format!("{nans} of its values are no numbers (NaN), and are drawn black"))
}

fn map<From, To>(pixels: &ImageBuffer<From, Vec<f32>>, channels: usize) -> ImageBuffer<To, Vec<u16>>
where
    From: Pixel<Subpixel = f32>,
    To: Pixel<Subpixel = u16>,
{
    let mut out = ImageBuffer::<To, _>::new(pixels.width(), pixels.height());
    for (index, (to, from)) in out.iter_mut().zip(pixels.iter()).enumerate() {
        let coverage = index % channels == 3; // alpha is linear in sRGB too
        *to = (if coverage { from.clamp(0.0, 1.0) } else { transfer(*from) } * 65535.0).round() as u16;
    }
    out
}

/// The sRGB transfer function (IEC 61966-2-1), `[0, 1]` to `[0, 1]`.
pub(super) fn transfer(light: f32) -> f32 {
    let light = light.clamp(0.0, 1.0);
    if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}
