//! Memory for pixels, which may be refused, and pictures of it.

use bytemuck::Zeroable;
use image::{DynamicImage, ImageBuffer, Pixel};

/// A picture of pixels of one kind.
pub(super) type Of<P> = ImageBuffer<P, Vec<<P as Pixel>::Subpixel>>;

/// So many samples, all 0.
pub(super) fn zeroed<T: Zeroable>(count: usize) -> Result<Vec<T>, String> {
    bytemuck::allocation::try_zeroed_vec(count)
        .map_err(|()| "over the limits: not enough memory for its pixels".to_owned())
}

/// Whether there are as many samples as a picture of that size has: `ImageBuffer` takes more, and shows the first of them.
fn fits<T>(width: u32, height: u32, channels: usize, samples: &[T]) -> bool {
    (u64::from(width) * u64::from(height)).checked_mul(channels as u64) == Some(samples.len() as u64)
}

/// A picture of samples of 8 bits: 1 grey, 3 red, green and blue; 2 and 4 have alpha behind. `None` if they are not as many as
/// they must be.
pub(super) fn of_eight(width: u32, height: u32, channels: usize, samples: Vec<u8>) -> Option<DynamicImage> {
    if !fits(width, height, channels, &samples) {
        return None;
    }
    match channels {
        1 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma8),
        2 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA8),
        3 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb8),
        4 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba8),
        _ => None,
    }
}

/// As [`of_eight`], of 16 bits.
pub(super) fn of_sixteen(width: u32, height: u32, channels: usize, samples: Vec<u16>) -> Option<DynamicImage> {
    if !fits(width, height, channels, &samples) {
        return None;
    }
    match channels {
        1 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16),
        2 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA16),
        3 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb16),
        4 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba16),
        _ => None,
    }
}
