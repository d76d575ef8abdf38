//! PNG, with what stands beside the pixels: profile, EXIF, XMP.

use std::borrow::Cow;
use std::io::Cursor;

use png::{BitDepth, Decoder, DecodingError, Limits, Transformations};

use super::colour::Pixels;
use super::decode::{Declared, Picture};
use super::orientation::orientation;
use super::{ImageSize, buffer};

/// The most bytes of a profile or a text, unpacked. Real profiles have up to 3 MB.
const LARGEST_CHUNK: usize = 16 << 20;
/// How many chunks are unpacked: a profile, and a few texts.
const MOST_UNPACKED: usize = 8;

/// The size that the header declares, and the bytes that decoding takes.
pub(super) fn declared(bytes: &[u8]) -> Result<Declared, String> {
    if bytes.get(12..16) == Some(b"CgBI") {
        return Err("PNG in Apple's own form (CgBI, of an iPhone's program) is not read here; convert it back to PNG"
            .to_owned());
    }
    let header =
        bytes.get(12..29).filter(|header| header.starts_with(b"IHDR")).ok_or("truncated PNG: it has no header")?;
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let size = ImageSize::new(number(4), number(8));
    let (depth, colours) = (header[12], header[13]);
    // A colour that is transparent gives the picture an alpha channel.
    let clear = chunks(bytes).take_while(|(kind, _)| kind != b"IDAT").any(|(kind, _)| &kind == b"tRNS");
    let again = clear || matches!(colours, 4 | 6) || chunks(bytes).any(|(kind, chunk)| Beside::may_hold(kind, chunk));
    let channels = u64::from(clear)
        + match colours {
            0 => 1,
            4 => 2,
            6 => 4,
            _ => 3,
        };
    let pixels = size.pixels().saturating_mul(if depth == 16 { 2 * channels } else { channels });
    Ok(Declared { size, pixels, needs: pixels.saturating_add(1 << 20) }.held_twice(again))
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
    let no_room = |why| format!("PNG {why}");
    let image = if depth == BitDepth::Sixteen {
        let mut samples = buffer::zeroed::<u16>(size / 2).map_err(no_room)?;
        reader.next_frame(bytemuck::cast_slice_mut(&mut samples)).map_err(describe)?;
        for sample in &mut samples {
            *sample = u16::from_be(*sample);
        }
        buffer::of_sixteen(width, height, colours.samples(), samples)
    } else {
        let mut samples = buffer::zeroed::<u8>(size).map_err(no_room)?;
        reader.next_frame(&mut samples).map_err(describe)?;
        buffer::of_eight(width, height, colours.samples(), samples)
    };
    let image = image.ok_or("broken PNG: its size is wrong")?;
    let beside = Beside::read(bytes);
    let orientation = orientation(beside.exif.as_deref(), beside.xmp.as_deref());
    let notes = beside.note().into_iter().collect();
    Ok(Picture { pixels: Pixels::Image(image), profile: beside.profile, orientation, damage: None, notes })
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
    /// Whether there is a profile that cannot be unpacked.
    broken_profile: bool,
    /// How many chunks were unpacked.
    unpacked: usize,
}

impl<'a> Beside<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let mut beside = Self::default();
        chunks(bytes).for_each(|(kind, chunk)| beside.take(kind, chunk));
        beside
    }

    /// What was passed over.
    fn note(&self) -> Option<String> {
        let lost = self.broken_profile && self.profile.is_none();
        lost.then(|| "its ICC profile was passed over: it cannot be unpacked".to_owned())
    }

    /// Whether a chunk is of those that are looked into.
    fn may_hold(kind: [u8; 4], chunk: &[u8]) -> bool {
        match &kind {
            b"iCCP" | b"eXIf" => true,
            b"iTXt" => chunk.starts_with(XMP),
            b"tEXt" | b"zTXt" => field(chunk).is_some_and(|(key, _)| is_raw_profile(key)),
            _ => false,
        }
    }

    /// Of each kind the first that can be read counts, and no other is unpacked; but a chunk of EXIF goes before a text.
    fn take(&mut self, kind: [u8; 4], chunk: &'a [u8]) {
        match &kind {
            b"iCCP" if self.profile.is_none() => {
                self.profile = field(chunk).and_then(|(_, packed)| self.unpack(packed.get(1..)?));
                self.broken_profile |= self.profile.is_none();
            }
            b"eXIf" => self.exif = Some(chunk.into()),
            b"iTXt" if self.xmp.is_none() => self.xmp = self.international(chunk),
            b"tEXt" => {
                if let Some((key, text)) = field(chunk) {
                    self.raw_profile(key, text, false);
                }
            }
            b"zTXt" => {
                if let Some((key, [_, packed @ ..])) = field(chunk) {
                    self.raw_profile(key, packed, true);
                }
            }
            _ => {}
        }
    }

    /// EXIF or XMP as `ImageMagick` wrote them: a text of a name, a length and hexadecimal digits. What is called `APP1` may
    /// be either.
    fn raw_profile(&mut self, key: &[u8], text: &[u8], is_packed: bool) {
        let known = match key {
            EXIF_TEXT => self.exif.is_some(),
            XMP_TEXT => self.xmp.is_some(),
            APP1_TEXT => self.exif.is_some() && self.xmp.is_some(),
            _ => true,
        };
        if known {
            return;
        }
        let text = if is_packed { self.unpack(text).map(Cow::Owned) } else { Some(text.into()) };
        let Some(text) = text else { return };
        let digits = text.trim_ascii_start().splitn(3, |byte| *byte == b'\n').nth(2).unwrap_or_default();
        let digits: Vec<u8> =
            digits.iter().filter_map(|digit| char::from(*digit).to_digit(16)).map(|n| n as u8).collect();
        let data: Vec<u8> = digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect();
        let is_xmp = key == XMP_TEXT || data.starts_with(XMP_SEGMENT);
        let place = if is_xmp { &mut self.xmp } else { &mut self.exif };
        place.get_or_insert(data.into());
    }

    /// An `iTXt` chunk's XMP.
    fn international(&mut self, chunk: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let [is_packed, _, rest @ ..] = chunk.strip_prefix(XMP)? else { return None };
        let (_, rest) = field(rest)?; // the language
        let (_, text) = field(rest)?; // the key in that language
        if *is_packed == 0 { Some(text.into()) } else { self.unpack(text).map(Cow::Owned) }
    }

    /// What was packed, within bounds: of a few chunks, and each of [`LARGEST_CHUNK`] at most.
    fn unpack(&mut self, packed: &[u8]) -> Option<Vec<u8>> {
        self.unpacked += 1;
        (self.unpacked <= MOST_UNPACKED).then(|| fdeflate::decompress_to_vec_bounded(packed, LARGEST_CHUNK).ok())?
    }
}

/// The keys of texts that hold EXIF or XMP.
const EXIF_TEXT: &[u8] = b"Raw profile type exif";
const XMP_TEXT: &[u8] = b"Raw profile type xmp";
const APP1_TEXT: &[u8] = b"Raw profile type APP1";
const XMP: &[u8] = b"XML:com.adobe.xmp\0";
/// What an APP1 segment with XMP begins with.
const XMP_SEGMENT: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

fn is_raw_profile(key: &[u8]) -> bool {
    [EXIF_TEXT, XMP_TEXT, APP1_TEXT].contains(&key)
}

/// A text up to its 0, and what follows.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}
