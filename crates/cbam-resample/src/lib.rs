//! Pixels at another size, by the Catmull-Rom spline.
//!
//! A crate of its own, since `fast_image_resize` is generic: it is compiled anew for every kind of pixels where it is called, which was two
//! fifths of what `cbam-core` took to compile, in each of its builds.
//!
//! ```
//! let grey = [0, 100, 200, 100];
//! let wider = cbam_resample::eight(&grey, [2, 2], [4, 2], 1, false)?;
//! assert_eq!(wider.len(), 8);
//! # Ok::<(), cbam_resample::ResizeError>(())
//! ```

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x2, U8x3, U8x4, U16, U16x2, U16x3, U16x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

pub use fast_image_resize::ResizeError;

/// Resamples samples of 8 bits from a width and height to others, `[width, height]`. Those of a pixel stand together: 1 is grey, 3 are red,
/// green and blue; 2 and 4 have alpha behind. With `alpha` what is transparent has no part in the colours beside it.
///
/// # Errors
/// Where there are fewer samples than the size takes, or a pixel of so many channels is none.
pub fn eight(samples: &[u8], old: [u32; 2], new: [u32; 2], channels: u8, alpha: bool) -> Result<Vec<u8>, ResizeError> {
    let mut out = bytemuck::zeroed_vec(count(new, channels));
    match channels {
        1 => into::<U8>(samples, old, &mut out, new, alpha),
        2 => into::<U8x2>(samples, old, &mut out, new, alpha),
        3 => into::<U8x3>(samples, old, &mut out, new, alpha),
        4 => into::<U8x4>(samples, old, &mut out, new, alpha),
        _ => Err(ResizeError::PixelTypesAreDifferent),
    }?;
    Ok(out)
}

/// As [`eight`], of samples of 16 bits.
///
/// # Errors
/// As [`eight`].
pub fn sixteen(
    samples: &[u16],
    old: [u32; 2],
    new: [u32; 2],
    channels: u8,
    alpha: bool,
) -> Result<Vec<u16>, ResizeError> {
    let mut out = bytemuck::zeroed_vec::<u16>(count(new, channels));
    let (from, to) = (bytemuck::cast_slice(samples), bytemuck::cast_slice_mut(&mut out));
    match channels {
        1 => into::<U16>(from, old, to, new, alpha),
        2 => into::<U16x2>(from, old, to, new, alpha),
        3 => into::<U16x3>(from, old, to, new, alpha),
        4 => into::<U16x4>(from, old, to, new, alpha),
        _ => Err(ResizeError::PixelTypesAreDifferent),
    }?;
    Ok(out)
}

fn count([width, height]: [u32; 2], channels: u8) -> usize {
    width as usize * height as usize * usize::from(channels)
}

fn into<P: PixelTrait>(
    from: &[u8],
    old: [u32; 2],
    to: &mut [u8],
    new: [u32; 2],
    alpha: bool,
) -> Result<(), ResizeError> {
    let other = |_| ResizeError::PixelTypesAreDifferent; // fewer bytes than the size takes
    let from = TypedImageRef::<P>::from_buffer(old[0], old[1], from).map_err(other)?;
    let mut to = TypedImage::<P>::from_buffer(new[0], new[1], to).map_err(other)?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).use_alpha(alpha);
    Resizer::new().resize_typed(&from, &mut to, &options)
}
