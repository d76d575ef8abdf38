//! Pictures made of others: parts, tiles, blur, what is laid over them, changed colours.

use image::{DynamicImage, ImageBuffer, Pixel, RgbImage, Rgba, RgbaImage, imageops};
use rand::Rng;
use rand::seq::SliceRandom;

use super::ImageSize;
use crate::{Error, Result};

/// Resizes the part `[left, top, width, height]` of a picture, to the nearest whole pixel.
///
/// The part is cut out first: with a crop box between pixels, `fast_image_resize` 6.1 can read past the end of a row.
///
/// # Errors
/// [`Error::Internal`] if resizing fails, for a picture or a size without pixels, say.
pub fn resize_part(picture: &RgbImage, part: [f64; 4], width: u32, height: u32) -> Result<RgbImage> {
    let [left, top, part_width, part_height] = part.map(|length| length.round().max(0.0) as u32);
    let left = left.min(picture.width().saturating_sub(1));
    let top = top.min(picture.height().saturating_sub(1));
    // It ends where the picture does.
    let part = imageops::crop_imm(picture, left, top, part_width.max(1), part_height.max(1)).to_image();
    resize_to(&part, width, height)
}

/// Resizes a whole picture.
///
/// # Errors
/// [`Error::Internal`] if resizing fails, for a picture or a size without pixels, say.
pub fn resize_to(picture: &RgbImage, width: u32, height: u32) -> Result<RgbImage> {
    resized(picture, ImageSize::new(width, height))
}

/// Resizes a whole picture with its alpha.
///
/// # Errors
/// [`Error::Internal`] if resizing fails, for a picture or a size without pixels, say.
pub fn resize_rgba(picture: &RgbaImage, width: u32, height: u32) -> Result<RgbaImage> {
    resized(picture, ImageSize::new(width, height))
}

fn resized<P: Pixel<Subpixel = u8>>(
    picture: &ImageBuffer<P, Vec<u8>>,
    size: ImageSize,
) -> Result<ImageBuffer<P, Vec<u8>>> {
    let [old, new] = [[picture.width(), picture.height()], [size.width, size.height]];
    let samples = cbam_resample::eight(picture.as_raw(), old, new, P::CHANNEL_COUNT, true).map_err(Error::internal)?;
    let resized = ImageBuffer::from_raw(size.width, size.height, samples);
    resized.ok_or_else(|| Error::internal("a picture of another size"))
}

/// The largest part in the middle of a picture that has the shape of `size`, resized to it.
///
/// # Errors
/// [`Error::Internal`] if resizing fails, for a picture or a size without pixels, say.
pub fn centre(picture: &RgbImage, size: ImageSize) -> Result<RgbImage> {
    let [width, height] = largest_part(picture, size);
    let (left, top) = ((f64::from(picture.width()) - width) / 2.0, (f64::from(picture.height()) - height) / 2.0);
    resize_part(picture, [left, top, width, height], size.width, size.height)
}

/// A part anywhere in a picture with `share` of the sides of the largest that has the shape of `size`, resized to it.
///
/// # Errors
/// [`Error::Internal`] if resizing fails, for a picture or a size without pixels, say.
pub fn random_part(picture: &RgbImage, share: f64, size: ImageSize, rng: &mut impl Rng) -> Result<RgbImage> {
    let [width, height] = largest_part(picture, size).map(|side| (side * share).max(1.0));
    let left = rng.random_range(0.0..=(f64::from(picture.width()) - width).max(0.0));
    let top = rng.random_range(0.0..=(f64::from(picture.height()) - height).max(0.0));
    resize_part(picture, [left, top, width, height], size.width, size.height)
}

/// Width and height of the largest part of a picture that has the shape of `size`.
fn largest_part(picture: &RgbImage, size: ImageSize) -> [f64; 2] {
    let [width, height] = [size.width, size.height].map(f64::from);
    let factor = (f64::from(picture.width()) / width).min(f64::from(picture.height()) / height);
    [width * factor, height * factor]
}

/// A picture no larger than it needs to be: its short side at most `side`.
///
/// # Errors
/// [`Error::Internal`] if resizing fails, for a picture or a size without pixels, say.
pub fn shrink(picture: &DynamicImage, side: u32) -> Result<RgbImage> {
    let rgb = picture.to_rgb8();
    let (width, height) = rgb.dimensions();
    let factor = f64::from(side) / f64::from(width.min(height));
    if factor >= 1.0 {
        return Ok(rgb);
    }
    let scaled = |length: u32| ((f64::from(length) * factor).round() as u32).max(1);
    resize_to(&rgb, scaled(width), scaled(height))
}

/// A picture of which only the large patches of colour are left.
///
/// # Errors
/// [`Error::Internal`] if resizing fails, for a picture or a size without pixels, say.
pub fn blurred(picture: &RgbImage, rng: &mut impl Rng) -> Result<RgbImage> {
    let (width, height) = picture.dimensions();
    let coarse = rng.random_range(6..=16);
    resize_to(&resize_to(picture, coarse, coarse)?, width, height)
}

/// A picture cut into 4×4 or 8×8 tiles that are put back in random order.
pub fn shuffled_tiles(picture: &RgbImage, rng: &mut impl Rng) -> RgbImage {
    let count = if rng.random_bool(0.5) { 4 } else { 8 };
    let (width, height) = (picture.width() / count, picture.height() / count);
    let mut order: Vec<u32> = (0..count * count).collect();
    order.shuffle(rng);
    let mut out = picture.clone();
    for (to, from) in (0..).zip(order) {
        let tile = imageops::crop_imm(picture, from % count * width, from / count * height, width, height).to_image();
        imageops::replace(&mut out, &tile, i64::from(to % count * width), i64::from(to / count * height));
    }
    out
}

/// Lays a picture with alpha over another, its corner at `left`, `top`.
pub fn lay_over(picture: &mut RgbImage, stamp: &RgbaImage, left: u32, top: u32) {
    for (x, y, &Rgba([r, g, b, alpha])) in stamp.enumerate_pixels() {
        if let Some(pixel) = picture.get_pixel_mut_checked(left + x, top + y) {
            let mut blended = Rgba([pixel[0], pixel[1], pixel[2], 255]);
            blended.blend(&Rgba([r, g, b, alpha]));
            pixel.0 = [blended[0], blended[1], blended[2]];
        }
    }
}

/// Brightness, contrast and colour, each changed by up to 30 % with chance ½.
pub fn jitter(picture: &mut RgbImage, rng: &mut impl Rng) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_between_pixels_is_resized_like_one_on_them() {
        // A crop box of these lengths puts the first sample where the filter is 0 at the border.
        let picture = RgbImage::from_fn(8, 6, |x, y| image::Rgb([(20 * x) as u8, (20 * y) as u8, 7]));
        let out = resize_part(&picture, [1.25, 1.25, 4.0, 4.0], 8, 8).unwrap();
        assert_eq!(out, resize_part(&picture, [1.0, 1.0, 4.0, 4.0], 8, 8).unwrap());
        assert!(out.rows().next().unwrap().is_sorted_by_key(|pixel| pixel[0]));
        assert!(out.pixels().all(|pixel| (15..=85).contains(&pixel[0]) && pixel[2] == 7));
        // Parts that reach over the border end there.
        assert_eq!(resize_part(&picture, [7.9, 5.9, 9.0, 9.0], 2, 2).unwrap().get_pixel(1, 1)[0], 140);
    }
}
