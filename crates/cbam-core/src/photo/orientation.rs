//! Which way up a picture is: EXIF, or else XMP, wherever a format keeps it.

use bytemuck::Zeroable;
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, Pixel, imageops};

use super::buffer::{self, Of};
use super::ifd::Directory;

/// The tag of the orientation.
const TAG: u16 = 274;

/// Whether width and height change places.
pub(super) fn swaps(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// The picture upright, in memory that may be refused.
pub(super) fn turn(mut image: DynamicImage, orientation: Orientation) -> Result<DynamicImage, String> {
    if !swaps(orientation) {
        image.apply_orientation(orientation);
        return Ok(image);
    }
    Ok(match image {
        DynamicImage::ImageLuma8(image) => on_its_side(&image, orientation)?.into(),
        DynamicImage::ImageLumaA8(image) => on_its_side(&image, orientation)?.into(),
        DynamicImage::ImageRgb8(image) => on_its_side(&image, orientation)?.into(),
        DynamicImage::ImageRgba8(image) => on_its_side(&image, orientation)?.into(),
        DynamicImage::ImageLuma16(image) => on_its_side(&image, orientation)?.into(),
        DynamicImage::ImageLumaA16(image) => on_its_side(&image, orientation)?.into(),
        DynamicImage::ImageRgb16(image) => on_its_side(&image, orientation)?.into(),
        DynamicImage::ImageRgba16(image) => on_its_side(&image, orientation)?.into(),
        mut other => {
            other.apply_orientation(orientation);
            other
        }
    })
}

fn on_its_side<P>(image: &Of<P>, orientation: Orientation) -> Result<Of<P>, String>
where
    P: Pixel<Subpixel: Zeroable> + 'static,
{
    let mut out = ImageBuffer::from_raw(image.height(), image.width(), buffer::zeroed(image.as_raw().len())?)
        .ok_or("broken: its size is wrong")?;
    let turned = match orientation {
        Orientation::Rotate90 | Orientation::Rotate90FlipH => imageops::rotate90_in(image, &mut out),
        _ => imageops::rotate270_in(image, &mut out),
    };
    turned.map_err(|error| error.to_string())?;
    if matches!(orientation, Orientation::Rotate90FlipH | Orientation::Rotate270FlipH) {
        imageops::flip_horizontal_in_place(&mut out);
    }
    Ok(out)
}

/// The orientation that EXIF says, or else XMP; upright if neither does. A value out of range is none.
pub(super) fn orientation(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    let orientation = exif.and_then(of_exif).or_else(|| xmp.and_then(of_xmp));
    orientation.unwrap_or(Orientation::NoTransforms)
}

/// Of EXIF data, with or without the `Exif\0\0` that some writers put before it.
fn of_exif(mut exif: &[u8]) -> Option<Orientation> {
    while let Some(rest) = exif.strip_prefix(b"Exif\0\0") {
        exif = rest;
    }
    of_number(Directory::read(exif)?.number(TAG)?)
}

/// Of a TIFF's own directory.
pub(super) fn of_directory(directory: &Directory<'_>) -> Option<Orientation> {
    of_number(directory.number(TAG)?)
}

/// Of an XMP packet: `tiff:Orientation`, as an attribute or as an element.
pub(super) fn of_xmp(xmp: &[u8]) -> Option<Orientation> {
    let name = b"tiff:Orientation";
    memchr::memmem::find_iter(xmp, name).find_map(|at| {
        let value = match xmp.get(at + name.len()..)?.trim_ascii_start() {
            [b'=', value @ ..] => {
                value.trim_ascii_start().strip_prefix(b"\"").or(value.trim_ascii_start().strip_prefix(b"'"))?
            }
            [b'>', value @ ..] => value,
            _ => return None,
        };
        let digit = value.trim_ascii_start().first()?;
        of_number(u64::from(digit.wrapping_sub(b'0')))
    })
}

fn of_number(number: u64) -> Option<Orientation> {
    Orientation::from_exif(u8::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_turned_as_the_image_crate_turns_them() {
        let image = DynamicImage::from(image::RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8, y as u8, 9])));
        for orientation in (1..=8).filter_map(Orientation::from_exif) {
            let mut expected = image.clone();
            expected.apply_orientation(orientation);
            assert_eq!(turn(image.clone(), orientation).unwrap(), expected, "{orientation:?}");
            assert_eq!(swaps(orientation), expected.width() == 3, "{orientation:?}");
        }
    }

    #[test]
    fn exif_comes_before_xmp() {
        let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let prefixed = [&b"Exif\0\0Exif\0\0"[..], exif].concat();
        let xmp = &b"<x tiff:Orientation=\"3\"/>"[..];
        assert_eq!(orientation(Some(exif), Some(xmp)), Orientation::Rotate90);
        assert_eq!(orientation(Some(&prefixed), None), Orientation::Rotate90);
        assert_eq!(orientation(None, Some(xmp)), Orientation::Rotate180);
        assert_eq!(
            orientation(Some(b"II*\0"), Some(b"<tiff:Orientation>8</tiff:Orientation>")),
            Orientation::Rotate270
        );
        assert_eq!(orientation(None, Some(b"x\n tiff:Orientation = '6'")), Orientation::Rotate90);
        assert_eq!(orientation(None, Some(b"<tiff:Orientation>\n  6\n</tiff:Orientation>")), Orientation::Rotate90);
        for nothing in [&b""[..], b"tiff:Orientation", b"tiff:Orientation=\"9\"", b"tiff:Orientation>0"] {
            assert_eq!(orientation(Some(nothing), Some(nothing)), Orientation::NoTransforms);
        }
    }
}
