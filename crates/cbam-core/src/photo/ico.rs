//! Windows icons: which of several pictures is shown.

/// The PNG in an icon, if the largest of its pictures is one; it is decoded as any other PNG.
///
/// Of several, that with the most pixels is shown, then that with the most bits, as Pillow and the `image` crate do.
pub(super) fn largest_png(bytes: &[u8]) -> Option<&[u8]> {
    let count = usize::from(u16::from_le_bytes(*bytes.get(4..)?.first_chunk()?));
    let entries = bytes.get(6..)?.as_chunks::<16>().0.iter().take(count);
    let side = |byte: u8| if byte == 0 { 256_u32 } else { u32::from(byte) };
    let rank = |entry: &&[u8; 16]| (side(entry[0]) * side(entry[1]), u16::from_le_bytes([entry[6], entry[7]]));
    // `max_by_key` takes the last of equals; the first is wanted.
    let entry = entries.rev().max_by_key(rank)?;
    let number = |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]) as usize;
    let (length, start) = (number(8), number(12));
    let data = bytes.get(start..start.checked_add(length)?.min(bytes.len()))?;
    data.starts_with(b"\x89PNG\r\n\x1a\n").then_some(data)
}
