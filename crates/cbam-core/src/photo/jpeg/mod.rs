//! JPEG: the usual ones by a fast decoder that is strict, all others by libjpeg, which is the measure of what can be read.
//!
//! What the fast decoder takes, it must take as libjpeg does; see [`Header::is_usual`]. What it refuses, and what is cut
//! off, libjpeg reads as far as it can, and says what was wrong. On WebAssembly there is no libjpeg, and all that is refused.

pub(super) mod decoded;
mod header;
#[cfg_attr(target_family = "wasm", path = "without_libjpeg.rs")]
pub(super) mod libjpeg;
mod watched;

use std::cell::Cell;

use zune_core::{colorspace::ColorSpace, options::DecoderOptions};

use super::buffer;
use super::colour::{InkSamples, Inks, Pixels};
use super::decode::{Declared, Picture, SMALL};
use super::orientation::{orientation, swaps};
use decoded::Colours;
use header::Header;
use watched::Watched;

/// The least share of a large picture that must be there.
const LEAST_SHARE: f64 = 0.01;

/// The size that the header declares, and the bytes that decoding takes.
pub(super) fn declared(bytes: &[u8]) -> Result<Declared, String> {
    let header = Header::read(bytes)?;
    if let Some(share) = header.most_that_is_there()
        && share < LEAST_SHARE
        && header.size.pixels() > SMALL
    {
        let size = header.size;
        return Err(format!("truncated JPEG: the file can hold no more than {:.2} % of {size} pixels", 100.0 * share));
    }
    let pixels = header.size.pixels() * header.channels();
    // Inks become another picture too.
    let again = header.has_profile() || header.channels() == 4 || swaps(orientation(header.exif(), header.xmp()));
    Ok(Declared { size: header.size, pixels, needs: header.needs() }.held_twice(again))
}

/// Decodes a JPEG.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let header = Header::read(bytes)?;
    let end = if header.is_usual() { header.end() } else { None };
    let fast = end.and_then(|end| decode_fast(&bytes[..end.at], &end.restarts, &header));
    let mut notes = Vec::new();
    let (pixels, damage) = if let Some(pixels) = fast {
        (pixels, None)
    } else {
        let (pixels, damage) = decode_any(bytes, &header, &mut notes)?;
        // Zeros in the place of the end, as a broken download leaves them, are as good as any data.
        let lost = || (!header.has_end()).then(|| "the end is missing".to_owned());
        (pixels, damage.or_else(lost))
    };
    if header.coding.is_arithmetic() {
        notes.push("it has arithmetic coding, which few programs read or write".to_owned());
    }
    let profile = header.profile().unwrap_or_else(|why| {
        notes.push(format!("its ICC profile was passed over: {why}"));
        None
    });
    let (profile, orientation) = (profile.map(Into::into), orientation(header.exif(), header.xmp()));
    Ok(Picture { pixels, profile, orientation, damage, notes })
}

/// By zune-jpeg; `None` if it finds anything wrong, or has not used up the data, which end before the end marker.
fn decode_fast(data: &[u8], restarts: &[usize], header: &Header<'_>) -> Option<Pixels> {
    let grey = header.components.len() == 1;
    let colours = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(colours);
    let options = options.set_max_width(usize::MAX).set_max_height(usize::MAX);
    let used_up = Cell::new(true);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(Watched::new(data, restarts, &used_up), options);
    let samples = decoder.decode().ok()?;
    drop(decoder);
    if !used_up.get() {
        return None;
    }
    let (width, height) = (header.size.width, header.size.height);
    buffer::of_eight(width, height, header.components.len(), samples).map(Pixels::Image)
}

/// By libjpeg, with what was wrong; `notes` say what was assumed.
fn decode_any(bytes: &[u8], header: &Header<'_>, notes: &mut Vec<String>) -> Result<(Pixels, Option<String>), String> {
    if cfg!(target_family = "wasm") {
        let what = if header.is_usual() { "a damaged JPEG" } else { "a JPEG of an unusual kind" };
        return Err(format!("{what} is read by libjpeg alone, which there is not on WebAssembly; convert it to PNG"));
    }
    let decoded = libjpeg::decode(bytes, Colours::AsMarked, [header.size.width, header.size.height]);
    let decoded = decoded.map_err(|message| format!("broken JPEG: {message}"))?;
    let damage = decoded.damage.as_ref();
    if damage.is_some_and(|damage| damage.read == 0.0) {
        return Err("truncated JPEG: nothing of the picture can be read".to_owned());
    }
    let damage = damage.map(|damage| {
        let part = match damage.read {
            read if damage.cut_off && read < 1.0 => {
                format!("the end is missing, about {:.0} % is there: ", 100.0 * read)
            }
            _ if damage.cut_off => "the end is missing: ".to_owned(),
            _ => String::new(),
        };
        format!("{part}{}", damage.message)
    });
    if let Some(message) = decoded.guessed {
        let colours = if decoded.channels == 4 { "YCCK" } else { "YCbCr" };
        notes.push(format!("its colours are taken for {colours}: {message}"));
    }
    let (width, height, samples) = (decoded.width, decoded.height, decoded.samples);
    let pixels = if decoded.channels == 4 {
        // Adobe's programs write inks inverted, and so does everyone after them.
        let samples = InkSamples::Eight(samples.into_iter().map(|ink| 255 - ink).collect());
        Some(Pixels::Inks(Inks { width, height, samples }))
    } else {
        buffer::of_eight(width, height, decoded.channels, samples).map(Pixels::Image)
    };
    Ok((pixels.ok_or("broken JPEG: its size is wrong")?, damage))
}
