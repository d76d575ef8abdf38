//! Pictures to PNG, in bands: each is filtered and compressed on its own, on as many threads as have nothing else to do.
//!
//! The bands are blocks of one zlib stream (RFC 1950), each in an IDAT chunk of its own, so any reader takes them.

mod deflate;
mod filter;

use std::borrow::Cow;
use std::io::Write;
use std::ops::Range;

use image::{ColorType, DynamicImage};
use png::{BitDepth, ColorType as PngColor, EncodingError};
use rayon::prelude::*;

/// About how many bytes of pixels a band has: few enough for a core's own cache, enough to be worth codes of its own.
const BAND: usize = 1 << 17;
/// Bands that stay on one thread: sharing less gains nothing.
const TOGETHER: usize = 8;

/// Writes an 8 or 16-bit picture. `painted` may give the bytes of some rows of it, to be written in place of its own; it is
/// asked twice for the last row of each band, which the next one is predicted from. `words` say what it is.
///
/// # Errors
/// What `to` returns; a floating-point picture, or one without pixels, is refused.
pub(super) fn write(
    image: &DynamicImage,
    painted: impl Fn(Range<usize>) -> Option<Vec<u8>> + Sync,
    words: Option<&str>,
    to: impl Write,
) -> Result<(), EncodingError> {
    let refuse = |what: &str| EncodingError::IoError(std::io::Error::new(std::io::ErrorKind::InvalidInput, what));
    let (color, depth) = match image.color() {
        ColorType::L8 => (PngColor::Grayscale, BitDepth::Eight),
        ColorType::La8 => (PngColor::GrayscaleAlpha, BitDepth::Eight),
        ColorType::Rgb8 => (PngColor::Rgb, BitDepth::Eight),
        ColorType::Rgba8 => (PngColor::Rgba, BitDepth::Eight),
        ColorType::L16 => (PngColor::Grayscale, BitDepth::Sixteen),
        ColorType::La16 => (PngColor::GrayscaleAlpha, BitDepth::Sixteen),
        ColorType::Rgb16 => (PngColor::Rgb, BitDepth::Sixteen),
        ColorType::Rgba16 => (PngColor::Rgba, BitDepth::Sixteen),
        _ => return Err(refuse("PNG has no floating-point pixels")),
    };
    let mut encoder = png::Encoder::new(to, image.width(), image.height());
    encoder.set_color(color);
    encoder.set_depth(depth);
    if let Some(words) = words {
        encoder.add_itxt_chunk("Description".to_owned(), words.to_owned())?;
    }
    let mut writer = encoder.write_header()?; // refuses an empty picture

    let pixel = usize::from(image.color().bytes_per_pixel());
    let row = image.width() as usize * pixel;
    let samples = |rows: Range<usize>| {
        let own = || Cow::Borrowed(&image.as_bytes()[rows.start * row..rows.end * row]);
        let samples = painted(rows.clone()).map_or_else(own, Cow::Owned);
        if depth == BitDepth::Sixteen { Cow::Owned(big_endian(&samples)) } else { samples }
    };
    let filter = match pixel {
        1 => filter::paeth::<1>,
        2 => filter::paeth::<2>,
        3 => filter::paeth::<3>,
        4 => filter::paeth::<4>,
        6 => filter::paeth::<6>,
        _ => filter::paeth::<8>,
    };
    let bands = bands(image.height() as usize, row, samples, filter);
    let mut checksum = 1;
    let count = bands.len();
    for (index, mut band) in bands.into_iter().enumerate() {
        checksum = adler_of_both(checksum, band.checksum, band.length);
        if index + 1 == count {
            band.stream.extend_from_slice(&u32::to_be_bytes(checksum));
        }
        writer.write_chunk(png::chunk::IDAT, &band.stream)?;
    }
    writer.finish()
}

struct Band {
    /// The deflated rows, after zlib's header in the first band.
    stream: Vec<u8>,
    /// Adler-32 of the filtered rows, and their length.
    checksum: u32,
    length: usize,
}

/// One row less what is predicted: the row above, the row, and where it goes.
type Filter = fn(&[u8], &[u8], &mut [u8]);

fn bands<'a>(
    height: usize,
    row: usize,
    samples: impl Fn(Range<usize>) -> Cow<'a, [u8]> + Sync,
    filter: Filter,
) -> Vec<Band> {
    const PAETH: u8 = 4;
    /// Deflate with a window of 32 kB, compressed for speed.
    const ZLIB: [u8; 2] = [0x78, 0x01];
    let at_once = (BAND / row).max(1);
    let count = height.div_ceil(at_once);
    let first_row = vec![0; row];
    let indices = (0..count).into_par_iter().with_min_len(TOGETHER);
    let band = |filtered: &mut Vec<u8>, index: usize| {
        let first = index * at_once;
        let samples = samples(first.saturating_sub(1)..(first + at_once).min(height));
        let (above, rows) = if index == 0 { (&*first_row, &*samples) } else { samples.split_at(row) };
        filtered.resize(rows.len() / row * (row + 1), 0);
        let aboves = std::iter::once(above).chain(rows.chunks_exact(row));
        for ((out, current), above) in filtered.chunks_exact_mut(row + 1).zip(rows.chunks_exact(row)).zip(aboves) {
            out[0] = PAETH;
            filter(above, current, &mut out[1..]);
        }
        let mut stream = Vec::with_capacity(filtered.len() / 2);
        if index == 0 {
            stream.extend_from_slice(&ZLIB);
        }
        deflate::block(filtered, index + 1 == count, &mut stream);
        Band { stream, checksum: simd_adler32::adler32(&filtered.as_slice()), length: filtered.len() }
    };
    indices.map_init(Vec::new, band).collect()
}

/// Adler-32 of two parts of which one follows the other: `second` is the checksum of `length` bytes.
fn adler_of_both(first: u32, second: u32, length: usize) -> u32 {
    const BASE: u64 = 65_521;
    let parts = |sum: u32| (u64::from(sum & 0xFFFF), u64::from(sum >> 16));
    let ((low, high), (second_low, second_high)) = (parts(first), parts(second));
    // Every byte of the second part is counted on top of what the first came to, less the 1 that each starts from.
    let before = low + BASE - 1;
    let low = (before + second_low) % BASE;
    let high = (high + second_high + length as u64 % BASE * (before % BASE)) % BASE;
    (high << 16 | low) as u32
}

/// PNG's order of the bytes of 16-bit samples.
fn big_endian(samples: &[u8]) -> Vec<u8> {
    let (pairs, _) = samples.as_chunks::<2>();
    pairs.iter().flat_map(|pair| u16::from_ne_bytes(*pair).to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn checksums_join(bytes in proptest::collection::vec(any::<u8>(), 0..9000), part in 0.0..=1.0) {
            let (first, second) = bytes.split_at((bytes.len() as f64 * part) as usize);
            let [first, both] = [first, &bytes].map(|bytes| simd_adler32::adler32(&bytes));
            prop_assert_eq!(adler_of_both(first, simd_adler32::adler32(&second), second.len()), both);
        }
    }

    #[test]
    fn every_band_comes_back() {
        // 1 row a band, many bands, and a last one that is shorter.
        for (width, height) in [(70_000, 3), (1000, 500), (1, 70_000), (1, 1)] {
            let sample = |x: u32, y: u32, c: u32| (x * 7 + y * 3 + (x * y + c * 31) % 11 * (x / 90 % 3)) as u8;
            let picture =
                image::RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|c| sample(x, y, c))));
            let mut bytes = Vec::new();
            write(&picture.clone().into(), |_| None, None, &mut bytes).unwrap();
            // The decoder checks the checksums of the chunks and of the stream.
            let mut decoder = png::Decoder::new(std::io::Cursor::new(&bytes));
            decoder.ignore_checksums(false);
            let mut reader = decoder.read_info().unwrap();
            let mut samples = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut samples).unwrap();
            reader.finish().unwrap();
            assert!(samples == picture.into_raw(), "{width}x{height}");
        }
    }

    #[test]
    fn what_png_cannot_hold_is_refused() {
        for image in [DynamicImage::new_rgb8(0, 0), DynamicImage::new_rgb32f(2, 2)] {
            assert!(write(&image, |_| None, None, Vec::new()).is_err());
        }
    }
}
