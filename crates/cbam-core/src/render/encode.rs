//! Pictures to bytes.

use std::io::{Cursor, Write};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::pnm::{PnmEncoder, PnmSubtype, SampleEncoding};
use image::codecs::webp::WebPEncoder;
use image::error::{EncodingError, ImageFormatHint};
use image::{ColorType, DynamicImage, ImageEncoder, ImageError, ImageFormat, RgbImage};

use super::{Painting, png};
use crate::text::named;

/// The formats that pictures are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PictureFormat {
    /// PNG: lossless, alpha, 8 and 16 bit.
    #[default]
    Png,
    /// JPEG: lossy, 8 bit, no alpha.
    Jpeg,
    /// WebP: lossless here, alpha, 8 bit.
    WebP,
    /// TIFF: uncompressed, alpha, 8 and 16 bit.
    Tiff,
    /// BMP: uncompressed, alpha, 8 bit.
    Bmp,
    /// GIF: 256 colours.
    Gif,
    /// QOI: lossless, alpha, 8 bit.
    Qoi,
    /// PPM: uncompressed, 8 bit, no alpha.
    Ppm,
    /// TGA: alpha, 8 bit.
    Tga,
}

named! {
    PictureFormat as "format", read by meant;
    Png => "png", Jpeg => "jpg", WebP => "webp", Tiff => "tiff", Bmp => "bmp", Gif => "gif", Qoi => "qoi", Ppm => "ppm", Tga => "tga",
}

fn meant(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let usual = match &*lower {
        "jpeg" => "jpg",
        "tif" => "tiff",
        "pnm" => "ppm",
        _ => return lower,
    };
    usual.to_owned()
}

impl PictureFormat {
    /// Whether a file of it can hold words about its picture; here PNG, JPEG and WebP do.
    pub const fn holds_words(self) -> bool {
        matches!(self, Self::Png | Self::Jpeg | Self::WebP)
    }

    /// The file name extension, without the dot, in lower case: its name.
    pub const fn extension(self) -> &'static str {
        self.name()
    }
}

/// Encodes a picture. Where the format has no alpha, the picture is laid on white; where it has no 16 bit, it goes to 8.
///
/// `jpeg_quality` is 1 to 100.
///
/// # Errors
/// What the encoder refuses, such as a side over the format's limit.
pub fn encode(image: &DynamicImage, format: PictureFormat, jpeg_quality: u8) -> image::ImageResult<Vec<u8>> {
    encode_with(image, format, jpeg_quality, None)
}

/// As [`encode`], with words about the picture where the format [holds them](PictureFormat::holds_words).
fn encode_with(
    image: &DynamicImage,
    format: PictureFormat,
    jpeg_quality: u8,
    words: Option<&str>,
) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    match format {
        PictureFormat::Png => write_png(image, words, &mut bytes)?,
        PictureFormat::Jpeg => {
            let mut encoder = JpegEncoder::new_with_quality(&mut bytes, jpeg_quality);
            words.map_or(Ok(()), |words| encoder.set_exif_metadata(exif(words))).map_err(unsupported)?;
            flat(image).write_with_encoder(encoder)?;
        }
        PictureFormat::Ppm => {
            let encoder = PnmEncoder::new(&mut bytes).with_subtype(PnmSubtype::Pixmap(SampleEncoding::Binary));
            flat(image).write_with_encoder(encoder)?;
        }
        PictureFormat::Tiff => match image.color() {
            ColorType::La8 => write(&image.to_rgba8().into(), ImageFormat::Tiff, &mut bytes)?,
            ColorType::La16 => write(&image.to_rgba16().into(), ImageFormat::Tiff, &mut bytes)?,
            _ => write(image, ImageFormat::Tiff, &mut bytes)?,
        },
        PictureFormat::WebP => {
            let mut encoder = WebPEncoder::new_lossless(&mut bytes);
            words.map_or(Ok(()), |words| encoder.set_exif_metadata(exif(words))).map_err(unsupported)?;
            eight_bit(image).write_with_encoder(encoder)?;
        }
        PictureFormat::Bmp => write(&eight_bit(image), ImageFormat::Bmp, &mut bytes)?,
        PictureFormat::Gif => write(&eight_bit(image), ImageFormat::Gif, &mut bytes)?,
        PictureFormat::Qoi => write(&eight_bit(image), ImageFormat::Qoi, &mut bytes)?,
        PictureFormat::Tga => write(&eight_bit(image), ImageFormat::Tga, &mut bytes)?,
    }
    Ok(bytes)
}

/// Words about a picture as Exif: a TIFF of one tag, `ImageDescription`.
fn exif(words: &str) -> Vec<u8> {
    const DESCRIPTION: [u8; 4] = [0x0E, 0x01, 2, 0]; // and that it is text
    const BEHIND: u32 = 8 + 2 + 12 + 4; // the header, and a directory of one entry
    let text = [words.as_bytes(), &[0; 4]].concat(); // 0 ends it; over four bytes stand behind the directory
    let parts: [&[u8]; 6] = [
        b"II*\0\x08\0\0\0\x01\0",
        &DESCRIPTION,
        &(text.len() as u32).to_le_bytes(),
        &BEHIND.to_le_bytes(),
        &[0; 4],
        &text,
    ];
    parts.concat()
}

fn unsupported(error: image::error::UnsupportedError) -> ImageError {
    ImageError::Unsupported(error)
}

/// As [`encode`], but a PNG, which may be large, is painted as it is written, and neither is held in memory as a whole; of
/// floating-point pixels, which no decoded photo has, none is made.
pub(crate) fn write_painting(
    painting: Painting,
    format: PictureFormat,
    jpeg_quality: u8,
    words: Option<&str>,
    mut to: impl Write,
) -> image::ImageResult<()> {
    match format {
        PictureFormat::Png => png::write(painting.ground(), |rows| painting.rows(rows), words, to).map_err(refused),
        other => {
            let bytes = encode_with(&painting.into_image(), other, jpeg_quality, words)?;
            to.write_all(&bytes).map_err(ImageError::IoError)
        }
    }
}

fn write_png(image: &DynamicImage, words: Option<&str>, to: impl Write) -> image::ImageResult<()> {
    let fitting = match image.color() {
        ColorType::Rgb32F => Some(image.to_rgb16().into()),
        ColorType::Rgba32F => Some(image.to_rgba16().into()),
        _ => None,
    };
    png::write(fitting.as_ref().unwrap_or(image), |_| None, words, to).map_err(refused)
}

fn refused(error: ::png::EncodingError) -> ImageError {
    match error {
        ::png::EncodingError::IoError(error) => ImageError::IoError(error),
        other => ImageError::Encoding(EncodingError::new(ImageFormatHint::Exact(ImageFormat::Png), other)),
    }
}

fn write(image: &DynamicImage, format: ImageFormat, bytes: &mut Vec<u8>) -> image::ImageResult<()> {
    image.write_to(Cursor::new(bytes), format)
}

/// In colour, 8 bit, alpha kept.
fn eight_bit(image: &DynamicImage) -> DynamicImage {
    if image.color().has_alpha() { image.to_rgba8().into() } else { image.to_rgb8().into() }
}

/// In colour, 8 bit, laid on white.
fn flat(image: &DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return image.to_rgb8().into();
    }
    let rgba = image.to_rgba8();
    let mut rgb = RgbImage::new(rgba.width(), rgba.height());
    for (to, from) in rgb.pixels_mut().zip(rgba.pixels()) {
        let alpha = u32::from(from[3]);
        for channel in 0..3 {
            to[channel] = ((u32::from(from[channel]) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    rgb.into()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::maps::{AttentionMap, MapRange, Scale};
    use crate::render::Overlay;

    /// Every colour type, 3 by 2, with a transparent pixel where there is alpha.
    fn pictures() -> Vec<DynamicImage> {
        let mut rgba = image::RgbaImage::from_fn(3, 2, |x, y| image::Rgba([x as u8 * 80, y as u8 * 90, 200, 255]));
        rgba[(1, 1)] = image::Rgba([10, 20, 30, 0]);
        let all = DynamicImage::from(rgba);
        vec![
            all.to_luma8().into(),
            all.to_luma_alpha8().into(),
            all.to_rgb8().into(),
            all.to_luma16().into(),
            all.to_luma_alpha16().into(),
            all.to_rgb16().into(),
            all.to_rgba16().into(),
            all.to_rgb32f().into(),
            all.to_rgba32f().into(),
            all,
        ]
    }

    #[test]
    fn every_format_takes_every_colour_type() {
        for picture in pictures() {
            for format in PictureFormat::ALL {
                let bytes =
                    encode(&picture, format, 90).unwrap_or_else(|e| panic!("{format} {:?}: {e}", picture.color()));
                let read_as = ImageFormat::from_extension(format.extension()).unwrap();
                let back = image::load_from_memory_with_format(&bytes, read_as).unwrap();
                assert_eq!((back.width(), back.height()), (3, 2), "{format}");
            }
        }
    }

    #[test]
    fn lossless_formats_give_the_pixels_back() {
        for picture in pictures() {
            let png = image::load_from_memory(&encode(&picture, PictureFormat::Png, 90).unwrap()).unwrap();
            if !matches!(picture.color(), ColorType::Rgb32F | ColorType::Rgba32F) {
                assert_eq!(png, picture);
            }
        }
        let rgba = pictures().pop().unwrap();
        for format in [PictureFormat::WebP, PictureFormat::Tiff, PictureFormat::Qoi, PictureFormat::Bmp] {
            let back = image::load_from_memory(&encode(&rgba, format, 90).unwrap()).unwrap();
            assert_eq!(back, rgba, "{format}");
        }
    }

    #[test]
    fn painted_as_it_is_written_is_painted_before() {
        let grey = image::GrayImage::from_fn(150, 700, |x, y| image::Luma([(x * y) as u8]));
        let colour = DynamicImage::from(grey.clone()).to_rgb8();
        let wide = image::RgbImage::from_fn(50_000, 3, |x, y| image::Rgb([x as u8, (x * y / 7) as u8, y as u8])); // a row a band
        let pictures = [grey.into(), DynamicImage::from(colour), wide.into()];
        let values = Array2::from_shape_fn((3, 4), |(y, x)| (3 * x + y) as f32 / 12.0);
        let map = AttentionMap::new(values, MapRange::Unit).unwrap();
        let (plain, limits) = (Overlay::default(), Scale::Image.limits(&map));
        for overlay in [Overlay { contour: Some(0.5), ..plain.clone() }, Overlay { alpha: 0.0, ..plain.clone() }, plain]
        {
            for picture in pictures.iter().flat_map(|picture| {
                [picture.clone(), picture.to_rgba8().into(), picture.to_rgb16().into(), picture.to_rgba16().into()]
            }) {
                let painting = overlay.painting(picture.clone(), &map, limits).unwrap();
                let mut png = Vec::new();
                write_painting(painting, PictureFormat::Png, 90, None, &mut png).unwrap();
                assert!(image::load_from_memory(&png).unwrap() == overlay.paint(picture, &map, limits).unwrap());
            }
        }
    }

    #[test]
    fn no_alpha_means_white() {
        let rgba = pictures().pop().unwrap();
        let back = image::load_from_memory(&encode(&rgba, PictureFormat::Ppm, 90).unwrap()).unwrap().to_rgb8();
        assert_eq!(back[(1, 1)], image::Rgb([255, 255, 255]));
        assert_eq!(back[(2, 1)], image::Rgb([160, 90, 200]));
    }

    #[test]
    fn names_go_there_and_back() {
        for format in PictureFormat::ALL {
            assert_eq!(format.to_string().parse::<PictureFormat>().unwrap(), format);
        }
        assert_eq!("JPEG".parse::<PictureFormat>().unwrap(), PictureFormat::Jpeg);
        let error = "docx".parse::<PictureFormat>().unwrap_err().to_string();
        assert!(error.contains("docx") && error.contains("png"), "{error}");
    }
}
