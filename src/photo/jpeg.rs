//! Is a JPEG whole?

/// Whether a JPEG's segments and scans run on to an end-of-image marker.
///
/// The decoder paints the missing part of a truncated file grey and reports success, and its strict mode, which the
/// `image` crate does not offer, would also refuse whole files with harmless oddities. A file that was cut off has lost
/// its end-of-image marker, so that is what is looked for, walking segment by segment: the thumbnail inside an EXIF
/// segment has such a marker too, and does not count. Bytes after the marker are allowed; cameras write them.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default(); // after the start-of-image marker
    loop {
        // The next marker: in a scan, 0xFF is followed by 0x00 (a stuffed byte) or a restart marker; between segments
        // 0xFF may be repeated as padding.
        let mut candidates = memchr::memchr_iter(0xFF, rest);
        let is_marker = |at: &usize| !matches!(rest.get(at + 1), Some(0x00 | 0xFF | 0xD0..=0xD7));
        let Some((at, marker)) = candidates.find(is_marker).and_then(|at| Some((at, *rest.get(at + 1)?))) else {
            return false;
        };
        if marker == 0xD9 {
            return true;
        }
        rest = &rest[at + 2..];
        let length = match rest {
            [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
            _ => return false,
        };
        let Some(next) = rest.get(length..) else { return false };
        rest = next;
    }
}
