//! TIFF: the strips and tiles are unpacked by the `tiff` crate (JPEG by libjpeg) as plain samples, whatever they mean; what
//! they mean, the colours, is told here.
//!
//! The crate knows few kinds of colours and fails on some layouts, so it is shown a TIFF of one grey plane at a time, made
//! of the same strips or tiles; see [`chunks`].

mod chunks;
mod colours;
mod layout;
mod numbers;

use super::decode::{Declared, Picture};
use super::ifd::Directory;
use super::orientation;
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
    pub(super) const DNG_VERSION: u16 = 50_706;
}

/// The size that the header declares, and the bytes that decoding takes.
pub(super) fn declared(bytes: &[u8]) -> Result<Declared, String> {
    let directory = directory(bytes)?;
    if let Some(jpeg) = old_jpeg(bytes, &directory) {
        return super::jpeg::declared(jpeg);
    }
    Layout::read(&directory, bytes.len())?.declared(bytes.len())
}

/// Decodes the first picture of a TIFF.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let directory = directory(bytes)?;
    let upright = orientation::of_directory(&directory).or_else(|| orientation::of_xmp(directory.bytes(tag::XMP)?));
    let orientation = upright.unwrap_or(Orientation::NoTransforms);
    if let Some(jpeg) = old_jpeg(bytes, &directory) {
        return Ok(Picture { orientation, ..super::jpeg::decode(jpeg)? });
    }
    let layout = Layout::read(&directory, bytes.len())?;
    let (samples, damage) = chunks::read(bytes, &directory, &layout)?;
    let (pixels, notes) = colours::pixels(&directory, &layout, samples)?;
    let profile = directory.bytes(tag::PROFILE).map(<[u8]>::to_vec);
    Ok(Picture { pixels, profile, orientation, damage, notes })
}

fn directory(bytes: &[u8]) -> Result<Directory<'_>, String> {
    Directory::read(bytes).ok_or_else(|| "truncated TIFF: its directory is missing".to_owned())
}

/// The JPEG file that a TIFF of the old kind of JPEG holds, if it is whole.
fn old_jpeg<'a>(bytes: &'a [u8], directory: &Directory<'_>) -> Option<&'a [u8]> {
    if directory.number(tag::COMPRESSION) != Some(6) {
        return None;
    }
    let at = directory.number(tag::OLD_JPEG).or_else(|| directory.number(tag::STRIP_OFFSETS))?;
    bytes.get(usize::try_from(at).ok()?..).filter(|jpeg| jpeg.starts_with(b"\xff\xd8\xff"))
}
