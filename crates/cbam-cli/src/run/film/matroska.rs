//! Uncompressed frames with their times, as a stream of Matroska, which ffmpeg reads from a pipe. (A raw pipe carries no times.)
//!
//! As much of RFC 8794 (EBML) and RFC 9559 (Matroska) as that takes: a header, one track, and a cluster for each frame.

use std::io::{self, Write};
use std::num::NonZeroU64;

use cbam_core::photo::ImageSize;

const EBML: &[u8] = &[0x1A, 0x45, 0xDF, 0xA3];
const SEGMENT: &[u8] = &[0x18, 0x53, 0x80, 0x67];
const INFO: &[u8] = &[0x15, 0x49, 0xA9, 0x66];
const TRACKS: &[u8] = &[0x16, 0x54, 0xAE, 0x6B];
const CLUSTER: &[u8] = &[0x1F, 0x43, 0xB6, 0x75];
const SIMPLE_BLOCK: &[u8] = &[0xA3];
/// The size of what ends with the stream.
const UNKNOWN: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

/// What stands before the first frame. Times are in nanoseconds; a frame usually lasts `usual` of them.
pub(super) fn header(to: &mut impl Write, size: ImageSize, usual: Option<NonZeroU64>) -> io::Result<()> {
    let head = [
        number(&[0x42, 0x86], 1),
        number(&[0x42, 0xF7], 1),
        number(&[0x42, 0xF2], 4),
        number(&[0x42, 0xF3], 8),
        element(&[0x42, 0x82], b"matroska"),
        number(&[0x42, 0x87], 4),
        number(&[0x42, 0x85], 2),
    ];
    to.write_all(&element(EBML, &head.concat()))?;
    to.write_all(SEGMENT)?;
    to.write_all(&UNKNOWN)?;
    let info = [number(&[0x2A, 0xD7, 0xB1], 1), element(&[0x4D, 0x80], b"cbam"), element(&[0x57, 0x41], b"cbam")];
    to.write_all(&element(INFO, &info.concat()))?;
    let video = [
        number(&[0xB0], u64::from(size.width)),
        number(&[0xBA], u64::from(size.height)),
        element(&[0x2E, 0xB5, 0x24], b"RGB\x18"),
    ];
    let track = [
        number(&[0xD7], 1),
        number(&[0x73, 0xC5], 1),
        number(&[0x83], 1),
        number(&[0x9C], 0),
        element(&[0x22, 0xB5, 0x9C], b"und"), // its language, which is English otherwise
        usual.map(|usual| number(&[0x23, 0xE3, 0x83], usual.get())).unwrap_or_default(),
        element(&[0x86], b"V_UNCOMPRESSED"),
        element(&[0xE0], &video.concat()),
    ];
    to.write_all(&element(TRACKS, &element(&[0xAE], &track.concat())))
}

/// A frame `[H, W, 3]` at a time.
pub(super) fn frame(to: &mut impl Write, nanoseconds: u64, pixels: &[u8]) -> io::Result<()> {
    let time = number(&[0xE7], nanoseconds);
    let before = [0x81, 0, 0, 0x80]; // of track 1, at the cluster's own time, a picture of its own
    let block = (before.len() + pixels.len()) as u64;
    let cluster = (time.len() + SIMPLE_BLOCK.len() + 8) as u64 + block;
    to.write_all(CLUSTER)?;
    to.write_all(&size_of_element(cluster))?;
    to.write_all(&time)?;
    to.write_all(SIMPLE_BLOCK)?;
    to.write_all(&size_of_element(block))?;
    to.write_all(&before)?;
    to.write_all(pixels)
}

fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    [id, &size_of_element(content.len() as u64), content].concat()
}

fn number(id: &[u8], value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

/// A size in eight bytes.
fn size_of_element(bytes: u64) -> [u8; 8] {
    ((1 << 56) | bytes).to_be_bytes()
}
