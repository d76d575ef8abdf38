//! The formats that the `image` crate reads as they are.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::{
    bmp::BmpDecoder, dds::DdsDecoder, farbfeld::FarbfeldDecoder, gif::GifDecoder, hdr::HdrDecoder, ico::IcoDecoder,
    openexr::OpenExrDecoder, pnm::PnmDecoder, qoi::QoiDecoder, tga::TgaDecoder, webp::WebPDecoder,
};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageResult};

use super::colour::Pixels;
use super::decode::{Declared, Picture};
use super::orientation::orientation;
use super::{ImageSize, ico};

/// The size that the header declares, and the bytes that decoding takes.
pub(super) fn declared(format: ImageFormat, bytes: &[u8]) -> Result<Declared, String> {
    if format == ImageFormat::Ico
        && let Some(png) = ico::largest_png(bytes)
    {
        return super::png::declared(png);
    }
    let decoder = decoder(format, bytes).map_err(|error| describe(format, error))?;
    let (width, height) = decoder.dimensions();
    let (size, pixels) = (ImageSize::new(width, height), decoder.total_bytes());
    // Bytes for each pixel that a decoder works in, beside the picture itself.
    let works_in = match format {
        // A frame of luma and chroma, or the canvas of an animation; the same in sRGB.
        ImageFormat::WebP | ImageFormat::Hdr => 6,
        // A frame.
        ImageFormat::Gif | ImageFormat::Tga => 4,
        _ => 0,
    };
    Ok(Declared { size, pixels, needs: pixels.saturating_add(size.pixels().saturating_mul(works_in)) })
}

/// Decodes a picture of any of these formats.
pub(super) fn decode(format: ImageFormat, bytes: &[u8]) -> Result<Picture, String> {
    if format == ImageFormat::Ico
        && let Some(png) = ico::largest_png(bytes)
    {
        return super::png::decode(png);
    }
    let fail = |error| describe(format, error);
    let mended = if format == ImageFormat::Bmp { mend_bmp(bytes) } else { bytes.into() };
    let mut decoder = decoder(format, &mended).map_err(fail)?;
    // Damaged metadata is no reason to refuse the pixels.
    let profile = decoder.icc_profile().unwrap_or_default();
    let exif = decoder.exif_metadata().unwrap_or_default();
    let xmp = decoder.xmp_metadata().unwrap_or_default();
    let orientation = orientation(exif.as_deref(), xmp.as_deref());
    let mut image = DynamicImage::from_decoder(decoder).map_err(fail)?;
    let mut notes = Vec::new();
    if has_no_alpha(format, bytes, &image) {
        image = image.into_rgb8().into();
        notes.push("its alpha is 0 everywhere: taken as none".to_owned());
    }
    Ok(Picture { pixels: Pixels::Image(image), profile, orientation, damage: None, notes })
}

/// A BMP whose pixels are said to begin where its palette does: they begin behind it, as Pillow and Windows take it.
fn mend_bmp(bytes: &[u8]) -> Cow<'_, [u8]> {
    let number = |at: usize| bytes.get(at..)?.first_chunk().map(|n| u32::from_le_bytes(*n));
    let mended = || {
        let (offset, header) = (number(10)?, number(14)?);
        let bits = u32::from(u16::from_le_bytes(*bytes.get(if header == 12 { 24 } else { 28 }..)?.first_chunk()?));
        let colours = if header == 12 { 0 } else { number(46)? };
        let colours = if colours == 0 { 1_u32.checked_shl(bits)? } else { colours.min(256) };
        (bits <= 8 && offset == header.checked_add(14)?).then(|| offset + colours * if header == 12 { 3 } else { 4 })
    };
    match mended() {
        Some(offset) => {
            let mut bytes = bytes.to_vec();
            bytes[10..14].copy_from_slice(&offset.to_le_bytes());
            bytes.into()
        }
        None => bytes.into(),
    }
}

/// Whether a fourth channel is none: writers of BMP, TGA and icons often leave it at 0, and a TGA says how many of its
/// bits are alpha.
fn has_no_alpha(format: ImageFormat, bytes: &[u8], image: &DynamicImage) -> bool {
    let DynamicImage::ImageRgba8(pixels) = image else { return false };
    let left_at_0 = || pixels.as_raw().iter().skip(3).step_by(4).all(|alpha| *alpha == 0);
    match format {
        ImageFormat::Tga => bytes.get(17).is_some_and(|descriptor| descriptor.trailing_zeros() >= 4) || left_at_0(),
        ImageFormat::Bmp | ImageFormat::Ico => left_at_0(),
        _ => false,
    }
}

fn decoder(format: ImageFormat, bytes: &[u8]) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    let reader = Cursor::new(bytes);
    Ok(match format {
        ImageFormat::Bmp => Box::new(BmpDecoder::new(reader)?),
        ImageFormat::Dds => Box::new(DdsDecoder::new(reader)?),
        ImageFormat::Farbfeld => Box::new(FarbfeldDecoder::new(reader)?),
        ImageFormat::Gif => Box::new(GifDecoder::new(reader)?),
        ImageFormat::Hdr => Box::new(HdrDecoder::new(reader)?),
        ImageFormat::Ico => Box::new(IcoDecoder::new(reader)?),
        ImageFormat::OpenExr => Box::new(OpenExrDecoder::new(reader)?),
        ImageFormat::Pnm => Box::new(PnmDecoder::new(reader)?),
        ImageFormat::Qoi => Box::new(QoiDecoder::new(reader)?),
        ImageFormat::Tga => Box::new(TgaDecoder::new(reader)?),
        ImageFormat::WebP => Box::new(WebPDecoder::new(reader)?),
        other => return Err(ImageError::Unsupported(image::error::ImageFormatHint::Exact(other).into())),
    })
}

/// A format's name in messages.
pub(super) fn name_of(format: ImageFormat) -> String {
    match format {
        ImageFormat::Jpeg => "JPEG".to_owned(),
        ImageFormat::WebP => "WebP".to_owned(),
        ImageFormat::Farbfeld => "farbfeld".to_owned(),
        ImageFormat::Pnm => "PNM".to_owned(),
        other => other.extensions_str().first().copied().unwrap_or("picture").to_uppercase(),
    }
}

fn describe(format: ImageFormat, error: ImageError) -> String {
    let name = name_of(format);
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            format!("truncated {name}: the end of the picture is missing")
        }
        ImageError::Limits(error) => format!("{name} over the limits: {error}"),
        ImageError::Unsupported(error) => {
            format!("{name} of a kind that is not read here ({error}); convert it to PNG")
        }
        error => format!("broken {name}: {error}"),
    }
}
