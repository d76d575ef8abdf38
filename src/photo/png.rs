//! PNG, with what stands beside the pixels: profile, EXIF, XMP.

use std::borrow::Cow;
use std::io::Cursor;

use image::{DynamicImage, ImageBuffer};
use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};

use super::ImageSize;
use super::colour::Pixels;
use super::decode::{Declared, Picture};
use super::orientation::orientation;

/// The most bytes of a profile or a text, unpacked. Real profiles have up to 3 MB.
const LARGEST_CHUNK: usize = 16 << 20;

/// The size that the header declares, and the bytes that decoding takes.
pub(super) fn declared(bytes: &[u8]) -> Result<Declared, String> {
    let header =
        bytes.get(12..29).filter(|header| header.starts_with(b"IHDR")).ok_or("truncated PNG: it has no header")?;
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let size = ImageSize::new(number(4), number(8));
    let (depth, colours) = (header[12], header[13]);
    // A colour that is transparent gives the picture an alpha channel.
    let clear = chunks(bytes).take_while(|(kind, _)| kind != b"IDAT").any(|(kind, _)| &kind == b"tRNS");
    let channels = u64::from(clear)
        + match colours {
            0 => 1,
            4 => 2,
            6 => 4,
            _ => 3,
        };
    let pixels = size.pixels().saturating_mul(if depth == 16 { 2 * channels } else { channels });
    Ok(Declared { size, pixels, needs: pixels.saturating_add(1 << 20) })
}

/// Decodes a PNG; of an animation, what is shown where animations are not.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: 64 << 20 });
    decoder.set_transformations(Transformations::EXPAND);
    // Read below, within bounds.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(describe)?;
    let (width, height) = reader.info().size();
    let (colours, depth) = reader.output_color_type();
    let size = reader.output_buffer_size().ok_or("PNG over the limits: too large for this machine")?;
    let mut samples = Vec::new();
    samples.try_reserve_exact(size).map_err(|_| "PNG over the limits: not enough memory for its pixels")?;
    samples.resize(size, 0);
    reader.next_frame(&mut samples).map_err(describe)?;
    let image = image(width, height, colours, depth, samples).ok_or("broken PNG: its size is wrong")?;
    let beside = Beside::read(bytes);
    let orientation = orientation(beside.exif.as_deref(), beside.xmp.as_deref());
    Ok(Picture {
        pixels: Pixels::Image(image),
        profile: beside.profile,
        orientation,
        damage: None,
        notes: beside.notes,
    })
}

fn image(width: u32, height: u32, colours: ColorType, depth: BitDepth, samples: Vec<u8>) -> Option<DynamicImage> {
    if depth == BitDepth::Sixteen {
        let samples = samples.as_chunks::<2>().0.iter().map(|sample| u16::from_be_bytes(*sample)).collect();
        return match colours {
            ColorType::Grayscale => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16),
            ColorType::GrayscaleAlpha => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA16),
            ColorType::Rgb => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb16),
            ColorType::Rgba => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba16),
            ColorType::Indexed => None,
        };
    }
    match colours {
        ColorType::Grayscale => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma8),
        ColorType::GrayscaleAlpha => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA8),
        ColorType::Rgb => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb8),
        ColorType::Rgba => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba8),
        ColorType::Indexed => None,
    }
}

fn describe(error: DecodingError) -> String {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "truncated PNG: the end of the picture is missing".to_owned()
        }
        DecodingError::LimitsExceeded => "PNG over the limits: a chunk of it is too large".to_owned(),
        error => format!("broken PNG: {error}"),
    }
}

/// The chunks: their kinds and data.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, data) = rest.split_first_chunk::<8>()?;
        let [l0, l1, l2, l3, kind @ ..] = *head;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let chunk = data.get(..length)?;
        rest = data.get(length + 4..).unwrap_or_default(); // a check sum follows
        Some((kind, chunk))
    })
}

/// What stands beside the pixels, wherever in the file.
#[derive(Debug, Default)]
struct Beside<'a> {
    profile: Option<Vec<u8>>,
    exif: Option<Cow<'a, [u8]>>,
    xmp: Option<Cow<'a, [u8]>>,
    notes: Vec<String>,
}

impl<'a> Beside<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let mut beside = Self::default();
        chunks(bytes).for_each(|(kind, chunk)| beside.take(kind, chunk));
        beside
    }

    fn take(&mut self, kind: [u8; 4], chunk: &'a [u8]) {
        match &kind {
            b"iCCP" if self.profile.is_none() => match field(chunk).and_then(|(_, packed)| unpack(packed.get(1..)?)) {
                Some(profile) => self.profile = Some(profile),
                None => self.notes.push("its ICC profile was passed over: it cannot be unpacked".to_owned()),
            },
            b"eXIf" => self.exif = Some(chunk.into()),
            b"iTXt" => self.international(chunk),
            b"tEXt" => {
                if let Some((key, text)) = field(chunk) {
                    self.raw_profile(key, text);
                }
            }
            b"zTXt" => {
                if let Some((key, packed)) = field(chunk)
                    && is_raw_profile(key)
                    && let Some(text) = packed.get(1..).and_then(unpack)
                {
                    self.raw_profile(key, &text);
                }
            }
            _ => {}
        }
    }

    /// An `iTXt` chunk: XMP.
    fn international(&mut self, chunk: &'a [u8]) {
        let text = || {
            let (b"XML:com.adobe.xmp", rest) = field(chunk)? else { return None };
            let [is_packed, _, rest @ ..] = rest else { return None };
            let (_, rest) = field(rest)?; // the language
            let (_, text) = field(rest)?; // the key in that language
            if *is_packed == 0 { Some(Cow::Borrowed(text)) } else { unpack(text).map(Cow::Owned) }
        };
        self.xmp = text().or(self.xmp.take());
    }

    /// EXIF as `ImageMagick` wrote it: a text of a name, a length and hexadecimal digits.
    fn raw_profile(&mut self, key: &[u8], text: &[u8]) {
        if !is_raw_profile(key) || self.exif.is_some() {
            return;
        }
        let digits = text.trim_ascii_start().splitn(3, |byte| *byte == b'\n').nth(2).unwrap_or_default();
        let digits: Vec<u8> =
            digits.iter().filter_map(|digit| char::from(*digit).to_digit(16)).map(|n| n as u8).collect();
        self.exif =
            Some(digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect::<Vec<_>>().into());
    }
}

fn is_raw_profile(key: &[u8]) -> bool {
    [&b"Raw profile type exif"[..], b"Raw profile type APP1"].contains(&key)
}

/// A text up to its 0, and what follows.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    fdeflate::decompress_to_vec_bounded(packed, LARGEST_CHUNK).ok()
}
