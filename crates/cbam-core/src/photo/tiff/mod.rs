//! TIFF: the strips and tiles are unpacked by the `tiff` crate (JPEG by libjpeg) as plain samples, whatever they mean; what
//! they mean, the colours, is said here.
//!
//! The crate knows few kinds of colours and fails on some layouts, so it is shown a TIFF of one grey plane at a time, made
//! of the same strips or tiles; see [`chunks`].

mod alpha;
mod chunks;
mod colours;
mod jpegs;
mod layout;
mod numbers;
mod old_lzw;

use super::decode::{Declared, Picture};
use super::ifd::Directory;
use super::orientation::{self, swaps};
use image::metadata::Orientation;
use layout::Layout;

/// A tag of a directory.
mod tag {
    pub(super) const SUBFILE: u16 = 254;
    pub(super) const WIDTH: u16 = 256;
    pub(super) const HEIGHT: u16 = 257;
    pub(super) const BITS: u16 = 258;
    pub(super) const COMPRESSION: u16 = 259;
    pub(super) const PHOTOMETRIC: u16 = 262;
    pub(super) const FILL_ORDER: u16 = 266;
    pub(super) const STRIP_OFFSETS: u16 = 273;
    pub(super) const SAMPLES: u16 = 277;
    pub(super) const ROWS_PER_STRIP: u16 = 278;
    pub(super) const STRIP_BYTES: u16 = 279;
    pub(super) const PLANAR: u16 = 284;
    pub(super) const PREDICTOR: u16 = 317;
    pub(super) const COLOUR_MAP: u16 = 320;
    pub(super) const TILE_WIDTH: u16 = 322;
    pub(super) const TILE_HEIGHT: u16 = 323;
    pub(super) const TILE_OFFSETS: u16 = 324;
    pub(super) const TILE_BYTES: u16 = 325;
    pub(super) const SUB_DIRECTORIES: u16 = 330;
    pub(super) const INK_SET: u16 = 332;
    pub(super) const EXTRA_SAMPLES: u16 = 338;
    pub(super) const SAMPLE_FORMAT: u16 = 339;
    pub(super) const JPEG_TABLES: u16 = 347;
    pub(super) const OLD_JPEG: u16 = 513;
    pub(super) const YCBCR_COEFFICIENTS: u16 = 529;
    pub(super) const YCBCR_SUBSAMPLING: u16 = 530;
    pub(super) const BLACK_AND_WHITE: u16 = 532;
    pub(super) const XMP: u16 = 700;
    pub(super) const PROFILE: u16 = 34_675;
    /// GDAL's.
    pub(super) const NO_DATA: u16 = 42_113;
    pub(super) const DNG_VERSION: u16 = 50_706;
}

/// The size that the header declares, and the bytes that decoding takes.
pub(super) fn declared(bytes: &[u8]) -> Result<Declared, String> {
    let directory = directory(bytes)?;
    let again = directory.has(tag::PROFILE) || swaps(turned(bytes, &directory));
    if let Some(jpeg) = old_jpeg(bytes, &directory) {
        return Ok(super::jpeg::declared(jpeg)?.held_twice(again));
    }
    let layout = Layout::read(&directory, bytes)?;
    // More samples than a colour has: an alpha, perhaps, or inks.
    Ok(layout.declared(bytes.len())?.held_twice(again || matches!(layout.samples, 2 | 4..)))
}

/// Decodes the first picture of a TIFF.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let directory = directory(bytes)?;
    let orientation = turned(bytes, &directory);
    if let Some(jpeg) = old_jpeg(bytes, &directory) {
        return Ok(Picture { orientation, ..super::jpeg::decode(jpeg)? });
    }
    let layout = Layout::read(&directory, bytes)?;
    let (samples, damage) = chunks::read(bytes, &directory, &layout)?;
    let (pixels, notes) = colours::pixels(&directory, &layout, samples)?;
    let profile = directory.bytes(tag::PROFILE).map(<[u8]>::to_vec);
    Ok(Picture { pixels, profile, orientation, damage, notes })
}

/// The directory of the first picture that is not a small one of another.
fn directory(bytes: &[u8]) -> Result<Directory<'_>, String> {
    let first = Directory::read(bytes).ok_or("truncated TIFF: its directory is missing")?;
    refuse_raw(bytes, &first)?;
    Ok(if is_small(&first) { Directory::all(bytes).find(|other| !is_small(other)).unwrap_or(first) } else { first })
}

/// Whether a directory's picture is a small one of another in the file.
fn is_small(directory: &Directory<'_>) -> bool {
    directory.number(tag::SUBFILE).is_some_and(|kind| kind & 1 == 1)
}

/// Raw pictures of cameras are TIFFs too; the picture in front is a small preview.
fn refuse_raw(bytes: &[u8], directory: &Directory<'_>) -> Result<(), String> {
    let preview = is_small(directory) && directory.has(tag::SUB_DIRECTORIES);
    let sensor = matches!(directory.number(tag::PHOTOMETRIC), Some(32_803 | 34_892));
    let canon = bytes.get(8..10) == Some(b"CR");
    if directory.has(tag::DNG_VERSION) || preview || sensor || canon {
        let what = "a raw picture of a camera (CR2, DNG, NEF, ARW, …)";
        return Err(format!("{what} is not read here; convert it to JPEG, PNG or TIFF"));
    }
    Ok(())
}

/// Which way up the picture is, by its own directory or by the first.
fn turned(bytes: &[u8], directory: &Directory<'_>) -> Orientation {
    let of = |directory: &Directory<'_>| {
        orientation::of_directory(directory).or_else(|| orientation::of_xmp(directory.bytes(tag::XMP)?))
    };
    of(directory).or_else(|| of(&Directory::read(bytes)?)).unwrap_or(Orientation::NoTransforms)
}

/// The JPEG file that a TIFF of the old kind of JPEG holds, if it is whole.
fn old_jpeg<'a>(bytes: &'a [u8], directory: &Directory<'_>) -> Option<&'a [u8]> {
    if directory.number(tag::COMPRESSION) != Some(6) {
        return None;
    }
    let at = directory.number(tag::OLD_JPEG).or_else(|| directory.number(tag::STRIP_OFFSETS))?;
    bytes.get(usize::try_from(at).ok()?..).filter(|jpeg| jpeg.starts_with(b"\xff\xd8\xff"))
}
