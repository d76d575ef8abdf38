//! Which way up a picture is: EXIF, or else XMP, wherever a format keeps it.

use image::metadata::Orientation;

use super::ifd::Directory;

/// The tag of the orientation.
const TAG: u16 = 274;

/// The orientation that EXIF says, or else XMP; upright if neither does. A value out of range is none.
pub(super) fn orientation(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    let orientation = exif.and_then(of_exif).or_else(|| xmp.and_then(of_xmp));
    orientation.unwrap_or(Orientation::NoTransforms)
}

/// Of EXIF data, with or without the `Exif\0\0` that some writers put before it.
fn of_exif(mut exif: &[u8]) -> Option<Orientation> {
    while let Some(rest) = exif.strip_prefix(b"Exif\0\0") {
        exif = rest;
    }
    of_number(Directory::read(exif)?.number(TAG)?)
}

/// Of a TIFF's own directory.
pub(super) fn of_directory(directory: &Directory<'_>) -> Option<Orientation> {
    of_number(directory.number(TAG)?)
}

/// Of an XMP packet: `tiff:Orientation`, as an attribute or as an element.
pub(super) fn of_xmp(xmp: &[u8]) -> Option<Orientation> {
    let name = b"tiff:Orientation";
    memchr::memmem::find_iter(xmp, name).find_map(|at| {
        let digit = match xmp.get(at + name.len()..)? {
            [b'=', b'"' | b'\'', digit, ..] | [b'>', digit, ..] => *digit,
            _ => return None,
        };
        of_number(u64::from(digit.wrapping_sub(b'0')))
    })
}

fn of_number(number: u64) -> Option<Orientation> {
    Orientation::from_exif(u8::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exif_comes_before_xmp() {
        let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let prefixed = [&b"Exif\0\0Exif\0\0"[..], exif].concat();
        let xmp = &b"<x tiff:Orientation=\"3\"/>"[..];
        assert_eq!(orientation(Some(exif), Some(xmp)), Orientation::Rotate90);
        assert_eq!(orientation(Some(&prefixed), None), Orientation::Rotate90);
        assert_eq!(orientation(None, Some(xmp)), Orientation::Rotate180);
        assert_eq!(
            orientation(Some(b"II*\0"), Some(b"<tiff:Orientation>8</tiff:Orientation>")),
            Orientation::Rotate270
        );
        for nothing in [&b""[..], b"tiff:Orientation", b"tiff:Orientation=\"9\"", b"tiff:Orientation>0"] {
            assert_eq!(orientation(Some(nothing), Some(nothing)), Orientation::NoTransforms);
        }
    }
}
