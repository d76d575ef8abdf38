//! What an `OpenEXR`'s header declares: its decoder takes memory for whatever that is.

use std::io::Cursor;

use exr::meta::MetaData;

use super::ImageSize;
use super::decode::{Declared, SMALL};

/// The most bytes of one block of lines or one tile, unpacked.
const LARGEST_BLOCK: u64 = 256 << 20;
/// The pixels of a byte of the file, at most, for a picture over [`SMALL`]: run lengths and zip pack no more than 1 : 1032.
const MOST_PACKED: u64 = 1032;

/// The size that the header declares, and the bytes that decoding takes.
pub(super) fn declared(bytes: &[u8]) -> Result<Declared, String> {
    let meta =
        MetaData::read_from_buffered(Cursor::new(bytes), false).map_err(|error| format!("broken EXR: {error}"))?;
    let mut deep = false;
    let header = meta.headers.iter().find(|header| {
        deep |= header.deep;
        let has = |name: &str| header.channels.list.iter().any(|channel| channel.name.eq(name));
        !header.deep && has("R") && has("G") && has("B")
    });
    let Some(header) = header else {
        let what = if deep { "deep data" } else { "no red, green and blue" };
        return Err(format!("EXR with {what} is not read here; convert it to PNG or TIFF"));
    };
    let shown = header.shared_attributes.display_window.size;
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let size = ImageSize::new(side(shown.width()), side(shown.height()));
    let stored = ImageSize::new(side(header.layer_size.width()), side(header.layer_size.height()));
    let block = header.max_block_byte_size() as u64;
    if block > LARGEST_BLOCK
        || (stored.pixels() > SMALL && stored.pixels() > (bytes.len() as u64).saturating_mul(MOST_PACKED))
    {
        return Err(format!(
            "broken EXR: it declares {stored} pixels, more than a file of {} bytes can hold",
            bytes.len()
        ));
    }
    let channels = if header.channels.list.iter().any(|channel| channel.name.eq("A")) { 4 } else { 3 };
    let pixels = size.pixels().saturating_mul(4 * channels);
    // The decoder's copy, the picture in 16 bits, and blocks on their way.
    Ok(Declared { size, pixels, needs: pixels.saturating_mul(2).saturating_add(block.saturating_mul(4)) })
}
