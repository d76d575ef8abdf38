//! WebP: what its headers say beside what the decoder looks at before it takes memory.

use super::ImageSize;

/// Bytes that the decoder works in for each pixel of the canvas, beside the picture.
///
/// # Errors
/// If a picture inside is larger than the canvas: the decoder would take memory for it first, and compare afterwards.
pub(super) fn works_in(bytes: &[u8], canvas: ImageSize) -> Result<u64, String> {
    let animated = bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0);
    let larger = |size: ImageSize| size.width > canvas.width || size.height > canvas.height;
    let mut first_frame = true;
    for (kind, data) in chunks(bytes.get(12..).unwrap_or_default()) {
        let inside = if &kind == b"ANMF" && std::mem::take(&mut first_frame) {
            // The decoder takes what stands behind an alpha chunk for a lossy picture, whatever it is called.
            let frame = chunks(data.get(16..).unwrap_or_default()).take(2);
            frame
                .enumerate()
                .any(|(index, (kind, data))| (index == 1 || &kind == b"VP8 ") && lossy(data).is_some_and(larger))
        } else {
            &kind == b"VP8 " && lossy(data).is_some_and(larger)
        };
        if inside {
            return Err(format!("broken WebP: a picture in it is larger than {canvas} pixels, which it declares"));
        }
    }
    // Luma and chroma, or a lossless picture, with its alpha packed and unpacked; of an animation, the canvas and a frame too.
    Ok(if animated { 11 } else { 7 })
}

/// What an extended file says of its picture in the first chunk of this kind; `None` if the chunk is not whole. The decoder would take
/// as much memory as the chunk claims, up to 4 GiB, before it looks whether the file has as much.
pub(super) fn said(bytes: &[u8], wanted: [u8; 4]) -> Option<&[u8]> {
    let rest = bytes.get(12..).filter(|rest| rest.starts_with(b"VP8X"))?;
    let length = u32::from_le_bytes(*rest.get(4..)?.first_chunk()?) as usize;
    let behind = length.checked_add(length % 2)?.checked_add(8)?;
    let mut rest = rest.get(behind..)?;
    loop {
        let (head, data) = rest.split_first_chunk::<8>()?;
        let [kind @ .., l0, l1, l2, l3] = *head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if kind == wanted {
            return data.get(..length);
        }
        rest = data.get(length.checked_add(length % 2)?..)?;
    }
}

/// The size that a lossy picture gives itself (RFC 6386, 9.1).
fn lossy(data: &[u8]) -> Option<ImageSize> {
    let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = *data else { return None };
    let side = |bytes| u32::from(u16::from_le_bytes(bytes) & 0x3FFF);
    Some(ImageSize::new(side([w0, w1]), side([h0, h1])))
}

/// The chunks of a RIFF file, or of a chunk, with as much of their data as there is.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (head, data) = rest.split_first_chunk::<8>()?;
        let [kind @ .., l0, l1, l2, l3] = *head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        rest = data.get(length.checked_add(length % 2)?..).unwrap_or_default();
        Some((kind, data.get(..length).unwrap_or(data)))
    })
}
