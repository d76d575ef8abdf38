//! The formats that the `image` crate reads as they are.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::{
    bmp::BmpDecoder, dds::DdsDecoder, farbfeld::FarbfeldDecoder, gif::GifDecoder, hdr::HdrDecoder, ico::IcoDecoder,
    pnm::PnmDecoder, qoi::QoiDecoder, tga::TgaDecoder, webp::WebPDecoder,
};
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageResult};

use super::colour::Pixels;
use super::decode::{Declared, Picture, SMALL};
use super::orientation::{orientation, swaps};
use super::{ImageSize, buffer, gif, ico, webp};

/// The pixels of a byte of the file, at most, for a picture over [`SMALL`]; `None` where nothing bounds them.
fn most_of_a_byte(format: ImageFormat, bytes: &[u8]) -> Option<u64> {
    let packed_bmp = || bytes.get(14).is_some_and(|header| *header >= 40) && matches!(bytes.get(30), Some(1 | 2));
    Some(match format {
        ImageFormat::Farbfeld => 1,
        ImageFormat::Dds => 2,
        ImageFormat::Pnm => 8,
        ImageFormat::Bmp if !packed_bmp() => 8,
        ImageFormat::Qoi => 62,
        ImageFormat::Tga => 64, // runs of 128, of two bytes
        _ => return None,
    })
}

/// The size that the header declares, and the bytes that decoding takes.
pub(super) fn declared(format: ImageFormat, bytes: &[u8]) -> Result<Declared, String> {
    if format == ImageFormat::Ico
        && let Some(png) = ico::largest_png(bytes)
    {
        return super::png::declared(png);
    }
    let bytes = &mend(format, bytes)?;
    let mut decoder = decoder(format, bytes).map_err(|error| describe(format, error))?;
    let (width, height) = decoder.dimensions();
    let (size, pixels) = (ImageSize::new(width, height), decoder.total_bytes());
    if let Some(most) = most_of_a_byte(format, bytes)
        && size.pixels() > SMALL
        && size.pixels() > most * bytes.len() as u64
    {
        let (name, file) = (name_of(format), bytes.len());
        return Err(format!("truncated {name}: it declares {size} pixels, more than a file of {file} bytes can hold"));
    }
    // Bytes for each pixel that a decoder works in, beside the picture itself.
    let works_in = match format {
        ImageFormat::WebP => webp::works_in(bytes, size)?,
        // The same in sRGB.
        ImageFormat::Hdr => 6,
        // A frame.
        ImageFormat::Gif | ImageFormat::Tga => 4,
        _ => 0,
    };
    let needs = pixels.saturating_add(size.pixels().saturating_mul(works_in));
    let profile = profile(format, bytes, decoder.as_mut()).is_some();
    let again = decoder.color_type().has_alpha() || profile || swaps(turned(format, bytes));
    Ok(Declared { size, pixels, needs }.held_twice(again))
}

/// Decodes a picture of any of these formats.
pub(super) fn decode(format: ImageFormat, bytes: &[u8]) -> Result<Picture, String> {
    if format == ImageFormat::Ico
        && let Some(png) = ico::largest_png(bytes)
    {
        return super::png::decode(png);
    }
    let bytes = &mend(format, bytes)?;
    let mut decoder = decoder(format, bytes).map_err(|error| describe(format, error))?;
    let profile = profile(format, bytes, decoder.as_mut());
    let orientation = turned(format, bytes);
    let mut image = read(format, decoder)?;
    if format == ImageFormat::OpenExr {
        divide_by_alpha(&mut image);
    }
    let (image, note) = without_alpha(format, bytes, image);
    Ok(Picture { pixels: Pixels::Image(image), profile, orientation, damage: None, notes: note.into_iter().collect() })
}

/// The profile of its colours. A damaged one is no reason to refuse the pixels.
fn profile(format: ImageFormat, bytes: &[u8], decoder: &mut dyn ImageDecoder) -> Option<Vec<u8>> {
    if format == ImageFormat::WebP {
        return webp::said(bytes, *b"ICCP").map(<[u8]>::to_vec);
    }
    decoder.icc_profile().unwrap_or_default()
}

/// Which way up it is: what EXIF or XMP say where programs heed them, in WebP.
fn turned(format: ImageFormat, bytes: &[u8]) -> Orientation {
    if format != ImageFormat::WebP {
        return Orientation::NoTransforms;
    }
    orientation(webp::said(bytes, *b"EXIF"), webp::said(bytes, *b"XMP "))
}

/// The pixels, in memory that may be refused.
fn read(format: ImageFormat, decoder: Box<dyn ImageDecoder + '_>) -> Result<DynamicImage, String> {
    let (width, height) = decoder.dimensions();
    let (colours, bytes) = (decoder.color_type(), decoder.total_bytes());
    let samples =
        usize::try_from(bytes / u64::from(colours.bytes_per_pixel() / colours.channel_count())).unwrap_or(usize::MAX);
    let channels = usize::from(colours.channel_count());
    let no_room = |why: String| format!("{} {why}", name_of(format));
    let fail = |error| describe(format, error);
    let image = match colours {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {
            let mut out = buffer::zeroed::<u8>(samples).map_err(no_room)?;
            decoder.read_image_boxed(&mut out).map_err(fail)?;
            buffer::of_eight(width, height, channels, out)
        }
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            let mut out = buffer::zeroed::<u16>(samples).map_err(no_room)?;
            decoder.read_image_boxed(bytemuck::cast_slice_mut(&mut out)).map_err(fail)?;
            buffer::of_sixteen(width, height, channels, out)
        }
        ColorType::Rgb32F | ColorType::Rgba32F => {
            let mut out = buffer::zeroed::<f32>(samples).map_err(no_room)?;
            decoder.read_image_boxed(bytemuck::cast_slice_mut(&mut out)).map_err(fail)?;
            if channels == 3 {
                ImageBuffer::from_raw(width, height, out).map(DynamicImage::ImageRgb32F)
            } else {
                ImageBuffer::from_raw(width, height, out).map(DynamicImage::ImageRgba32F)
            }
        }
        _ => None,
    };
    image.ok_or_else(|| format!("{} of a kind that is not read here; convert it to PNG", name_of(format)))
}

/// `OpenEXR`'s colours are multiplied by their alpha; light that shines through what is clear stays as it is.
fn divide_by_alpha(image: &mut DynamicImage) {
    let DynamicImage::ImageRgba32F(pixels) = image else { return };
    for [colours @ .., alpha] in pixels.as_chunks_mut::<4>().0 {
        if *alpha > 0.0 {
            *colours = colours.map(|colour| colour / *alpha);
        }
    }
}

/// The file as the decoder must see it.
fn mend(format: ImageFormat, bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    match format {
        ImageFormat::Bmp => Ok(mend_bmp(bytes)),
        ImageFormat::Gif => gif::mend(bytes),
        _ => Ok(bytes.into()),
    }
}

/// A BMP whose pixels are said to begin where its palette does: they begin behind it, as Pillow and Windows take it.
fn mend_bmp(bytes: &[u8]) -> Cow<'_, [u8]> {
    let number = |at: usize| bytes.get(at..)?.first_chunk().map(|n| u32::from_le_bytes(*n));
    let mended = || {
        let (offset, header) = (number(10)?, number(14)?);
        let bits = u32::from(u16::from_le_bytes(*bytes.get(if header == 12 { 24 } else { 28 }..)?.first_chunk()?));
        let colours = if header == 12 { 0 } else { number(46)? };
        let colours = if colours == 0 { 1_u32.checked_shl(bits)? } else { colours.min(256) };
        if bits > 8 || offset != header.checked_add(14)? {
            return None;
        }
        offset.checked_add(colours * if header == 12 { 3 } else { 4 })
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

/// The picture without an alpha that is none, and what was assumed: writers of BMP, TGA and icons often leave it at 0, and a
/// TGA says how many of its bits are alpha.
fn without_alpha(format: ImageFormat, bytes: &[u8], image: DynamicImage) -> (DynamicImage, Option<String>) {
    let alphas = match &image {
        DynamicImage::ImageRgba8(pixels) => pixels.as_raw().iter().skip(3).step_by(4),
        DynamicImage::ImageLumaA8(pixels) => pixels.as_raw().iter().skip(1).step_by(2),
        _ => return (image, None),
    };
    let tga = format == ImageFormat::Tga;
    let note = if tga && bytes.get(17).is_some_and(|descriptor| descriptor.trailing_zeros() >= 4) {
        "its header says that it has no alpha: the samples behind its colours are left out"
    } else if (tga || matches!(format, ImageFormat::Bmp | ImageFormat::Ico)) && { alphas }.all(|alpha| *alpha == 0) {
        "its alpha is 0 everywhere: taken as none"
    } else {
        return (image, None);
    };
    let opaque = if image.color().has_color() { image.into_rgb8().into() } else { image.into_luma8().into() };
    (opaque, Some(note.to_owned()))
}

fn decoder(format: ImageFormat, bytes: &[u8]) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    let reader = Cursor::new(bytes);
    Ok(match format {
        ImageFormat::Bmp => Box::new(BmpDecoder::new(reader)?),
        ImageFormat::Dds => Box::new(DdsDecoder::new(reader)?),
        ImageFormat::Farbfeld => Box::new(FarbfeldDecoder::new(reader)?),
        ImageFormat::Gif => Box::new(GifDecoder::new(reader)?),
        // Old files are signed by their kind of pixels, which only the lenient decoder takes.
        ImageFormat::Hdr if bytes.starts_with(b"#?RGBE") => Box::new(HdrDecoder::new_nonstrict(reader)?),
        ImageFormat::Hdr => Box::new(HdrDecoder::new(reader)?),
        ImageFormat::Ico => Box::new(IcoDecoder::new(reader)?),
        #[cfg(not(target_family = "wasm"))]
        ImageFormat::OpenExr => Box::new(image::codecs::openexr::OpenExrDecoder::new(reader)?),
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
