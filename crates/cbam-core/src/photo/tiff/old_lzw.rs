//! LZW as TIFF 5.0 had it at first: codes from the lowest bit on, as in a GIF.

use weezl::{BitOrder, LzwStatus, decode::Decoder};

use super::layout::{Layout, compression};
use crate::photo::buffer;

/// The strips or tiles unpacked, one behind the other, and where they lie then; `None` if they are not of this kind.
pub(super) fn unpack(body: &[u8], layout: &Layout) -> Result<Option<(Vec<u8>, Layout)>, String> {
    let chunk = |index: usize| {
        let (start, length) = (layout.offsets.get(index)?, layout.lengths.get(index)?);
        let start = usize::try_from(*start).ok()?;
        body.get(start..start.saturating_add(*length as usize).min(body.len()))
    };
    if layout.compression != compression::OLD_LZW {
        return Ok(None);
    }
    let bytes = |rows: u32| usize::try_from(layout.rows_bytes(rows)).unwrap_or(usize::MAX);
    let size = bytes(layout.chunk.height);
    let total = size.checked_mul(layout.offsets.len()).ok_or("TIFF over the limits: too large for this machine")?;
    let mut out: Vec<u8> = buffer::zeroed(total).map_err(|why| format!("TIFF {why}"))?;
    for (index, to) in out.chunks_exact_mut(size.max(1)).enumerate() {
        let mut from = chunk(index).unwrap_or_default();
        let mut to = &mut to[..bytes(layout.rows(index))]; // rows below the picture need not be there
        let mut decoder = Decoder::new(BitOrder::Lsb, 8);
        loop {
            let done = decoder.decode_bytes(from, to);
            (from, to) = (&from[done.consumed_in..], &mut to[done.consumed_out..]);
            match done.status {
                Ok(_) if to.is_empty() => break,
                Ok(LzwStatus::Ok) => {}
                Ok(_) => return Err("truncated TIFF: the end of the picture is missing".to_owned()),
                Err(error) => return Err(format!("broken TIFF: {error}")),
            }
        }
    }
    let mut layout = layout.clone();
    layout.compression = compression::NONE;
    layout.offsets = (0..layout.offsets.len()).map(|index| (index * size) as u64).collect();
    layout.lengths.fill(size as u64);
    Ok(Some((out, layout)))
}
