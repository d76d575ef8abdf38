//! TIFFs whose strips or tiles are JPEGs.

use std::borrow::Cow;

use super::layout::{Format, Layout, photometric, refused};
use super::tag;
use crate::photo::ImageSize;
use crate::photo::buffer;
use crate::photo::ifd::Directory;
use crate::photo::jpeg::decoded::Colours;
use crate::photo::jpeg::libjpeg;

/// Strips or tiles that are JPEGs, with their tables in common.
pub(super) fn read(
    bytes: &[u8],
    directory: &Directory<'_>,
    layout: &Layout,
) -> Result<(Vec<u8>, Option<String>), String> {
    if layout.bits != 8 || layout.format != Format::Unsigned {
        return Err(refused(&format!("JPEGs of {} bits a sample", layout.bits)));
    }
    let tables =
        directory.bytes(tag::JPEG_TABLES).and_then(|tables| tables.strip_suffix(b"\xff\xd9")).unwrap_or_default();
    let colours =
        if layout.photometric == photometric::YCBCR && !layout.planar { Colours::Luma } else { Colours::Plain };
    let [across, down] = layout.chunks();
    let (samples, width) = (layout.samples, layout.size.width as usize);
    let within = if layout.planar { 1 } else { samples };
    let size = usize::try_from(layout.bytes()).map_err(|_| "TIFF over the limits: too large for this machine")?;
    let mut out: Vec<u8> = buffer::zeroed(size).map_err(|why| format!("TIFF {why}"))?;
    let (mut damage, mut read) = (None, false);
    for (index, (offset, length)) in layout.offsets.iter().zip(&layout.lengths).enumerate() {
        let count = across as usize * down as usize;
        let (plane, place) = (index / count, (index % count) as u32);
        let [left, top] = [place % across * layout.chunk.width, place / across * layout.chunk.height];
        let start = usize::try_from(*offset).unwrap_or(usize::MAX);
        let chunk = bytes.get(start..start.saturating_add(*length as usize).min(bytes.len())).unwrap_or_default();
        let jpeg: Cow<'_, [u8]> =
            if tables.is_empty() { chunk.into() } else { [tables, chunk.get(2..).unwrap_or_default()].concat().into() };
        let decoded = libjpeg::decode(&jpeg, colours, [layout.chunk.width, layout.chunk.height]);
        let decoded = decoded.map_err(|message| {
            if message.starts_with("Unsupported") {
                return refused(&format!("a JPEG of another kind ({message})")); // lossless, in raw pictures above all
            }
            format!("broken TIFF: a JPEG in it: {message}")
        })?;
        if decoded.channels != within {
            return Err(format!("broken TIFF: a JPEG in it has {} samples a pixel", decoded.channels));
        }
        read |= decoded.damage.as_ref().is_none_or(|damage| damage.read > 0.0);
        let wanted = ImageSize::new(layout.chunk.width.min(layout.size.width - left), layout.rows(index));
        let whole = decoded.width >= wanted.width && decoded.height >= wanted.height;
        let small = || format!("a JPEG in it has {}x{} pixels, in place of {wanted}", decoded.width, decoded.height);
        damage = damage.or(decoded.damage.map(|damage| damage.message)).or_else(|| (!whole).then(small));
        let columns = decoded.width.min(wanted.width) as usize;
        let rows = decoded.height.min(wanted.height) as usize;
        for (y, row) in decoded.samples.chunks_exact(decoded.width as usize * within).take(rows).enumerate() {
            let first = ((top as usize + y) * width + left as usize) * samples + plane;
            if within == samples {
                out[first..first + columns * samples].copy_from_slice(&row[..columns * samples]);
            } else {
                out[first..].iter_mut().step_by(samples).zip(&row[..columns]).for_each(|(to, from)| *to = *from);
            }
        }
    }
    if read { Ok((out, damage)) } else { Err("truncated TIFF: nothing of the picture can be read".to_owned()) }
}
