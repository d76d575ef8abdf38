//! What a file is, known by its content: a picture that is read here, or something else that has a name.

use std::path::Path;

use image::ImageFormat;

use crate::{Error, Result};

/// The format of a picture.
///
/// # Errors
/// [`Error::Photo`] if the file is empty, or is no picture that is read here; what it is instead is named where its
/// content tells.
pub(super) fn format_of(name: &Path, bytes: &[u8]) -> Result<ImageFormat> {
    if bytes.is_empty() {
        return Err(Error::photo(name, "the file is empty"));
    }
    if let Some(format) = read_here(bytes) {
        return Ok(format);
    }
    // A TGA need not have a signature, and may begin as a cursor does.
    if bytes.ends_with(b"TRUEVISION-XFILE.\0") || (name.extension().is_some_and(is_tga) && begins_a_tga(bytes)) {
        return Ok(ImageFormat::Tga);
    }
    match other(bytes) {
        Some(other) => Err(Error::photo(name, other.message())),
        None => Err(Error::photo(name, "not a picture: its content is of no known image format")),
    }
}

fn is_tga(extension: &std::ffi::OsStr) -> bool {
    ["tga", "icb", "vda", "vst"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Whether a TGA may begin so: with or without a colour map, of a kind that there is, of 8 to 32 bits.
fn begins_a_tga(bytes: &[u8]) -> bool {
    let known = |kind: u8| matches!(kind, 1..=3 | 9..=11);
    matches!(bytes, [_, 0 | 1, kind, ..] if known(*kind))
        && bytes.get(16).is_some_and(|bits| matches!(bits, 8 | 15 | 16 | 24 | 32))
}

/// The formats that are read, by their signature.
fn read_here(bytes: &[u8]) -> Option<ImageFormat> {
    if bytes.starts_with(b"II+\0") || bytes.starts_with(b"MM\0+") {
        return Some(ImageFormat::Tiff); // BigTIFF
    }
    if bytes.starts_with(b"#?RGBE") {
        return Some(ImageFormat::Hdr); // by its kind of pixels, as old programs write it
    }
    match image::guess_format(bytes).ok()? {
        ImageFormat::Avif => None,                                // not read, and named with its kin
        ImageFormat::Pnm if bytes.starts_with(b"P7 332") => None, // a thumbnail, named below
        ImageFormat::Pnm if !bytes.get(2).is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b'#') => None,
        format => Some(format),
    }
}

/// What a file is that is no picture which is read here.
#[derive(Debug, PartialEq, Eq)]
enum Other {
    /// A picture of another format.
    Picture(&'static str),
    /// Anything else, and what to do.
    Thing(&'static str, &'static str),
}

impl Other {
    fn message(&self) -> String {
        match self {
            Self::Picture(name) => format!("{name} is not read here; convert it to PNG, JPEG, WebP or TIFF"),
            Self::Thing(name, advice) => format!("not a picture, but {name}{advice}"),
        }
    }
}

/// Signatures at the start of a file.
const PICTURES: &[(&[u8], &str)] = &[
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"II\xbc", "JPEG XR"),
    (b"8BPS", "PSD (Photoshop)"),
    (b"gimp xcf", "XCF (GIMP)"),
    (b"%!PS", "PostScript (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (b"IIRO", "a raw picture of a camera (ORF)"),
    (b"IIRS", "a raw picture of a camera (ORF)"),
    (b"IIU\0", "a raw picture of a camera (RW2)"),
    (b"FUJIFILMCCD-RAW", "a raw picture of a camera (RAF)"),
    (b"FOVb", "a raw picture of a camera (X3F)"),
    (b"\0MRM", "a raw picture of a camera (MRW)"),
    (b"\0\0\x02\0", "CUR (a Windows cursor)"),
    (b"icns", "ICNS (a macOS icon)"),
    (b"SIMPLE  =", "FITS"),
    (b"\x01\xda", "SGI"),
    (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"BLP1", "BLP"),
    (b"BLP2", "BLP"),
    (b"FTC\0", "FTEX"),
    (b"PF\n", "PFM"),
    (b"Pf\n", "PFM"),
    (b"PF ", "PFM"),
    (b"Pf ", "PFM"),
    (b"PF4\n", "PFM"),
    (b"P7 332", "an XV thumbnail"),
    (b"FLIF", "FLIF"),
    (b"BPG\xfb", "BPG"),
    (b"\x8aMNG\r\n\x1a\n", "MNG"),
    (b"\x8bJNG\r\n\x1a\n", "JNG"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"/* XPM */", "XPM"),
    (b"#define ", "XBM"),
    (b"AT&TFORM", "DjVu"),
    (b"\x97JB2\r\n\x1a\n", "JBIG2"),
    (b"\x13\xab\xa1\x5c", "ASTC"),
    (b"\xabKTX ", "KTX"),
    (b"VIPS", "VIPS"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a compound document (FlashPix, MIC, Office)"),
    (b"yuv4mpeg", "raw video (YUV4MPEG)"),
];

/// Signatures of what is no picture at all.
const THINGS: &[(&[u8], &str, &str)] = &[
    (b"%PDF", "a PDF", "; turn its pages into pictures, with pdftoppm for one"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer", "; `git lfs pull` fetches the picture"),
    (b"\0\x05\x16\x07", "macOS's notes on a file (AppleDouble)", ""),
    (b"\x1aE\xdf\xa3", "a video (Matroska, WebM)", "; take frames out of it, with ffmpeg for one"),
    (b"FLV\x01", "a video (FLV)", "; take frames out of it, with ffmpeg for one"),
    (b"OggS", "a recording (Ogg)", "; take frames out of it, with ffmpeg for one"),
    (b"\0\0\x01\xba", "a video (MPEG)", "; take frames out of it, with ffmpeg for one"),
    (b"\0\0\x01\xb3", "a video (MPEG)", "; take frames out of it, with ffmpeg for one"),
    (b"PK\x03\x04", "a zip archive", "; unpack it first"),
    (b"\x1f\x8b", "a gzip file", "; unpack it first"),
    (b"\xfd7zXZ\0", "an xz file", "; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "; unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive", "; unpack it first"),
    (b"\x93NUMPY", "a NumPy array", "; write it as PNG or TIFF"),
    (b"\x89HDF\r\n\x1a\n", "HDF5", "; write its arrays as PNG or TIFF"),
    (b"MATLAB 5.0", "a MATLAB file", "; write its arrays as PNG or TIFF"),
];

fn other(bytes: &[u8]) -> Option<Other> {
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(of_brands(bytes));
    }
    if let (Some(b"RIFF"), Some(kind)) = (bytes.get(..4), bytes.get(8..12)) {
        return match kind {
            b"AVI " => Some(Other::Thing("a video (AVI)", "; take frames out of it, with ffmpeg for one")),
            b"WAVE" => Some(Other::Thing("a sound (WAV)", "")),
            b"CDRA" | b"CDR9" => Some(Other::Picture("CorelDRAW")),
            _ => None,
        };
    }
    if bytes.get(128..132) == Some(b"DICM") {
        return Some(Other::Picture("DICOM"));
    }
    if bytes.starts_with(b"\x01\0\0\0") && bytes.get(40..44) == Some(b" EMF") {
        return Some(Other::Picture("EMF"));
    }
    if let [0x0a, 0 | 2..=5, 0 | 1, 1 | 2 | 4 | 8, ..] = bytes {
        return Some(Other::Picture("PCX"));
    }
    let picture =
        PICTURES.iter().find(|(signature, _)| bytes.starts_with(signature)).map(|(_, name)| Other::Picture(name));
    let thing = || THINGS.iter().find(|(signature, ..)| bytes.starts_with(signature));
    picture.or_else(|| thing().map(|(_, name, advice)| Other::Thing(name, advice))).or_else(|| of_text(bytes))
}

/// ISO base media files, by their brands: HEIF's kin, JPEG XL, raw pictures of Canon, or videos.
fn of_brands(bytes: &[u8]) -> Other {
    let length = bytes.get(..4).and_then(|length| length.try_into().ok()).map_or(0, u32::from_be_bytes) as usize;
    let brands = bytes.get(8..length.clamp(12, 256).min(bytes.len())).unwrap_or_default();
    let has = |names: &[&[u8; 4]]| brands.as_chunks::<4>().0.iter().any(|brand| names.contains(&brand));
    if has(&[b"avif", b"avis"]) {
        Other::Picture("AVIF")
    } else if has(&[b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"]) {
        Other::Picture("HEIC")
    } else if has(&[b"mif1", b"msf1", b"mif2"]) {
        Other::Picture("HEIF")
    } else if has(&[b"crx "]) {
        Other::Picture("a raw picture of a camera (CR3)")
    } else if has(&[b"jpx ", b"jp2 "]) {
        Other::Picture("JPEG 2000")
    } else {
        Other::Thing("a video (MP4, MOV)", "; take frames out of it, with ffmpeg for one")
    }
}

/// SVG, web pages and JSON: texts that stand where a picture was expected.
fn of_text(bytes: &[u8]) -> Option<Other> {
    let head = bytes.get(..bytes.len().min(2048)).unwrap_or_default();
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start().to_ascii_lowercase();
    let holds = |text: &[u8]| memchr::memmem::find(&head, text);
    // A page may hold a drawing, and a drawing a page: what comes first is the whole.
    let page = holds(b"<!doctype html").into_iter().chain(holds(b"<html")).min();
    let drawing = holds(b"<svg").filter(|at| page.is_none_or(|page| *at < page));
    if head.starts_with(b"<") && drawing.is_some() {
        return Some(Other::Picture("SVG"));
    }
    if head.starts_with(b"<") && page.is_some() {
        return Some(Other::Thing("a web page (HTML)", "; a download that needs a login gives such"));
    }
    if head.starts_with(b"<?xml") {
        return Some(Other::Thing("an XML text", ""));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> String {
        format_of(Path::new("x"), bytes).map_or_else(|error| error.to_string(), |format| format!("{format:?}"))
    }

    #[test]
    fn what_is_not_read_is_named() {
        for (bytes, named) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "HEIC is not read here"),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "AVIF is not read here"),
            (b"\0\0\0\x14ftypisom\0\0\0\0isom", "video"),
            (b"\0\0\0\x0cjP  \r\n\x87\n\0", "JPEG 2000"),
            (b"\xff\x4f\xff\x51\0", "JPEG 2000"),
            (b"\xff\x0a\0", "JPEG XL"),
            (b"<?xml version='1.0'?>\n<!-- a -->\n<svg xmlns='x'/>", "SVG"),
            (b"\xef\xbb\xbf <SVG/>", "SVG"),
            (b"8BPS\0\x01", "PSD"),
            (b"%PDF-1.7", "a PDF"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            (b"<!DOCTYPE html><html>", "HTML"),
            (b"<!doctype html><body><svg/></body>", "HTML"),
            (b"<?xml version='1.0'?><html xmlns='x'><svg/>", "HTML"),
            (b"P7 332\n#XVVERSION", "XV thumbnail"),
            (b"RIFF\0\0\0\0AVI LIST", "AVI"),
            (b"PF\n3 2\n-1.0\n", "PFM"),
        ] {
            let message = message(bytes);
            assert!(message.contains(named) && !message.contains("broken"), "{message}");
        }
        assert_eq!(message(b"P2P networks"), "x: not a picture: its content is of no known image format");
    }

    #[test]
    fn a_tga_is_known_by_its_footer_too() {
        assert_eq!(message(&[&[0; 40][..], b"TRUEVISION-XFILE.\0"].concat()), "Tga");
    }
}
