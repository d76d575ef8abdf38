//! Square RGB pictures of the training size, and what the views do to them.

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, Pixel, RgbImage, Rgba, RgbaImage, imageops};
use rand::Rng;
use rand::seq::SliceRandom;

use crate::{Error, Result};

/// Resizes the part `[left, top, width, height]` of a picture, in pixels.
pub(super) fn resize_part(picture: &RgbImage, part: [f64; 4], width: u32, height: u32) -> Result<RgbImage> {
    let pixels = resize(picture.as_raw(), picture.dimensions(), PixelType::U8x3, part, (width, height))?;
    RgbImage::from_raw(width, height, pixels).ok_or_else(wrong_size)
}

/// Resizes a whole picture.
pub(super) fn resize_to(picture: &RgbImage, width: u32, height: u32) -> Result<RgbImage> {
    let (from_width, from_height) = picture.dimensions();
    resize_part(picture, [0.0, 0.0, f64::from(from_width), f64::from(from_height)], width, height)
}

/// Resizes a whole picture with its alpha.
pub(super) fn resize_rgba(picture: &RgbaImage, width: u32, height: u32) -> Result<RgbaImage> {
    let (from_width, from_height) = picture.dimensions();
    let whole = [0.0, 0.0, f64::from(from_width), f64::from(from_height)];
    let pixels = resize(picture.as_raw(), picture.dimensions(), PixelType::U8x4, whole, (width, height))?;
    RgbaImage::from_raw(width, height, pixels).ok_or_else(wrong_size)
}

fn resize(
    pixels: &[u8],
    from: (u32, u32),
    kind: PixelType,
    [left, top, width, height]: [f64; 4],
    to: (u32, u32),
) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| Error::argument("resize", error);
    let source = fast_image_resize::images::ImageRef::new(from.0, from.1, pixels, kind).map_err(|e| failed(&e))?;
    let mut target = Image::new(to.0, to.1, kind);
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).crop(left, top, width, height);
    Resizer::new().resize(&source, &mut target, &options).map_err(|e| failed(&e))?;
    Ok(target.into_vec())
}

fn wrong_size() -> Error {
    Error::argument("resize", "the resizer returned a picture of another size")
}

/// The largest square in the middle of a picture, resized.
pub(super) fn centre_square(picture: &RgbImage, side: u32) -> Result<RgbImage> {
    let (width, height) = picture.dimensions();
    let square = f64::from(width.min(height));
    let part = [(f64::from(width) - square) / 2.0, (f64::from(height) - square) / 2.0, square, square];
    resize_part(picture, part, side, side)
}

/// A picture no larger than it needs to be: its short side at most `side`.
pub(super) fn shrink(picture: &DynamicImage, side: u32) -> Result<RgbImage> {
    let rgb = picture.to_rgb8();
    let (width, height) = rgb.dimensions();
    let factor = f64::from(side) / f64::from(width.min(height));
    if factor >= 1.0 {
        return Ok(rgb);
    }
    let scaled = |length: u32| ((f64::from(length) * factor).round() as u32).max(1);
    resize_to(&rgb, scaled(width), scaled(height))
}

/// A random square of `share` of the short side, resized.
pub(super) fn random_square(picture: &RgbImage, share: f64, side: u32, rng: &mut impl Rng) -> Result<RgbImage> {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let square = (width.min(height) * share).max(1.0);
    let left = rng.random_range(0.0..=(width - square).max(0.0));
    let top = rng.random_range(0.0..=(height - square).max(0.0));
    resize_part(picture, [left, top, square.min(width - left), square.min(height - top)], side, side)
}

/// A picture of which only the large patches of colour are left.
pub(super) fn blurred(picture: &RgbImage, rng: &mut impl Rng) -> Result<RgbImage> {
    let (width, height) = picture.dimensions();
    let coarse = rng.random_range(6..=16);
    resize_to(&resize_to(picture, coarse, coarse)?, width, height)
}

/// A picture cut into tiles that are put back in random order.
pub(super) fn shuffled_tiles(picture: &RgbImage, rng: &mut impl Rng) -> RgbImage {
    let count = *[4, 7, 8].get(rng.random_range(0..3)).unwrap_or(&4);
    let side = picture.width() / count;
    let mut order: Vec<u32> = (0..count * count).collect();
    order.shuffle(rng);
    let mut out = picture.clone();
    for (to, from) in order.into_iter().enumerate() {
        let to = to as u32;
        let tile = imageops::crop_imm(picture, from % count * side, from / count * side, side, side).to_image();
        imageops::replace(&mut out, &tile, i64::from(to % count * side), i64::from(to / count * side));
    }
    out
}

/// Lays a picture with alpha over another, its corner at `left`, `top`.
pub(super) fn lay_over(picture: &mut RgbImage, stamp: &RgbaImage, left: u32, top: u32) {
    for (x, y, &Rgba([r, g, b, alpha])) in stamp.enumerate_pixels() {
        if let Some(pixel) = picture.get_pixel_mut_checked(left + x, top + y) {
            let mut blended = Rgba([pixel[0], pixel[1], pixel[2], 255]);
            blended.blend(&Rgba([r, g, b, alpha]));
            pixel.0 = [blended[0], blended[1], blended[2]];
        }
    }
}

/// Brightness, contrast and colour, each changed by up to 30 % with chance ½.
pub(super) fn jitter(picture: &mut RgbImage, rng: &mut impl Rng) {
    let mut factor = || if rng.random_bool(0.5) { rng.random_range(0.7..=1.3) } else { 1.0f32 };
    let (brightness, contrast, colour) = (factor(), factor(), factor());
    let luma = |[r, g, b]: [f32; 3]| 0.299 * r + 0.587 * g + 0.114 * b;
    let count = (picture.width() * picture.height()) as f32;
    let mean = picture.pixels().map(|pixel| luma(pixel.0.map(f32::from))).sum::<f32>() / count * brightness;
    for pixel in picture.pixels_mut() {
        let bright = pixel.0.map(|value| f32::from(value) * brightness);
        let contrasted = bright.map(|value| mean + (value - mean) * contrast);
        let grey = luma(contrasted);
        pixel.0 = contrasted.map(|value| (grey + (value - grey) * colour).round().clamp(0.0, 255.0) as u8);
    }
}
