//! What a JPEG's segments say, before anything is decoded.

use std::borrow::Cow;

use crate::photo::ImageSize;

/// Under this side, in pixels, the fast decoder enlarges chroma otherwise than libjpeg.
const LEAST_SIDE: u32 = 16;

/// What the segments up to the first scan say (ITU-T T.81, annex B).
#[derive(Debug)]
pub(super) struct Header<'a> {
    bytes: &'a [u8],
    pub(super) coding: Coding,
    pub(super) size: ImageSize,
    pub(super) components: Vec<Component>,
    /// An APP0 segment of JFIF.
    jfif: bool,
    /// The colour transform of Adobe's APP14 segment.
    adobe: Option<u8>,
    huffman_tables: bool,
    restart_interval: u64,
    /// Components of the first scan.
    first_scan: usize,
    /// Where the first scan's header begins, after its marker.
    scan: usize,
}

/// How the samples are coded: what the start of frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    /// The marker's second byte.
    marker: u8,
    /// Bits of a sample.
    bits: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    id: u8,
    horizontal: u8,
    vertical: u8,
}

impl Coding {
    pub(super) fn is_progressive(self) -> bool {
        matches!(self.marker, 0xC2 | 0xCA)
    }

    pub(super) fn is_arithmetic(self) -> bool {
        matches!(self.marker, 0xC9..=0xCF)
    }

    /// Why no decoder here takes it.
    fn refusal(self) -> Option<String> {
        let what = match self.marker {
            0xC3 | 0xCB => "lossless JPEG".to_owned(),
            0xC5..=0xC7 | 0xCD..=0xCF | 0xDE => "hierarchical JPEG".to_owned(),
            0xF7 => "JPEG-LS".to_owned(),
            _ if self.bits != 8 => format!("JPEG with samples of {} bits", self.bits),
            _ => return None,
        };
        Some(format!("{what} is not read here; convert it to PNG, TIFF or an 8-bit JPEG"))
    }
}

impl<'a> Header<'a> {
    /// Reads the segments up to the first scan.
    ///
    /// # Errors
    /// Why there is no picture that can be read.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut header = Self {
            bytes,
            coding: Coding { marker: 0, bits: 8 },
            size: ImageSize::new(0, 0),
            components: Vec::new(),
            jfif: false,
            adobe: None,
            huffman_tables: false,
            restart_interval: 0,
            first_scan: 0,
            scan: 0,
        };
        for segment in Segments::new(bytes) {
            let data = segment.data;
            match segment.marker {
                0xC4 => header.huffman_tables = true,
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => header.frame(segment.marker, data)?,
                0xDD => {
                    header.restart_interval = data.get(..2).map_or(0, |n| u64::from(u16::from_be_bytes([n[0], n[1]])));
                }
                0xE0 if data.starts_with(b"JFIF\0") => header.jfif = true,
                0xEE if data.starts_with(b"Adobe") && data.len() >= 12 => header.adobe = Some(data[11]),
                // Frames of other kinds: of JPEG-LS, and the size of all frames of a hierarchical one.
                marker @ (0xDE | 0xF7) => {
                    return Err(Coding { marker, bits: 8 }.refusal().unwrap_or_default());
                }
                0xDA => {
                    header.first_scan = data.first().copied().unwrap_or(0).into();
                    header.scan = segment.start;
                    break;
                }
                _ => {}
            }
        }
        if header.components.is_empty() {
            return Err("truncated JPEG: the picture itself is missing".to_owned());
        }
        if let Some(refusal) = header.coding.refusal() {
            return Err(refusal);
        }
        if header.scan == 0 {
            return Err("truncated JPEG: the picture itself is missing".to_owned());
        }
        Ok(header)
    }

    fn frame(&mut self, marker: u8, data: &[u8]) -> Result<(), String> {
        let [bits, h0, h1, w0, w1, count, ref rest @ ..] = *data else {
            return Err("broken JPEG: its frame header is cut off".to_owned());
        };
        self.coding = Coding { marker, bits };
        self.size = ImageSize::new(u16::from_be_bytes([w0, w1]).into(), u16::from_be_bytes([h0, h1]).into());
        if self.size.height == 0 {
            return Err(
                "JPEG that gives its height after its pixels (DNL) is not read here; convert it to PNG".to_owned()
            );
        }
        let components = rest.as_chunks::<3>().0.iter().take(count.into());
        let of = |&[id, sampling, _]: &[u8; 3]| Component { id, horizontal: sampling >> 4, vertical: sampling & 15 };
        self.components = components.map(of).collect();
        let sound = |c: &Component| (1..=4).contains(&c.horizontal) && (1..=4).contains(&c.vertical);
        if count == 0 || self.components.len() != usize::from(count) || !self.components.iter().all(sound) {
            return Err("broken JPEG: its frame header is wrong".to_owned());
        }
        Ok(())
    }

    /// Samples of a pixel.
    pub(super) fn channels(&self) -> u64 {
        self.components.len() as u64
    }

    /// Blocks of 8×8 samples of a component.
    fn blocks(&self, component: Component) -> u64 {
        let most = |sampling: fn(&Component) -> u8| self.components.iter().map(sampling).max().unwrap_or(1).into();
        let side = |side: u32, sampling: u8, most: u64| (u64::from(side) * u64::from(sampling)).div_ceil(8 * most);
        side(self.size.width, component.horizontal, most(|c| c.horizontal))
            * side(self.size.height, component.vertical, most(|c| c.vertical))
    }

    fn all_blocks(&self) -> u64 {
        self.components.iter().map(|component| self.blocks(*component)).sum()
    }

    /// Bytes that decoding takes at most: the pixels, and, where scans do not hold whole pixels, all coefficients.
    pub(super) fn needs(&self) -> u64 {
        let whole = self.coding.is_progressive() || self.first_scan < self.components.len();
        self.size.pixels() * self.channels() + if whole { 128 * self.all_blocks() } else { 0 }
    }

    /// The share of the picture that the file has bits for, at most: two for each block, or one where the scans are
    /// progressive; `None` with arithmetic coding, which knows no least.
    pub(super) fn most_that_is_there(&self) -> Option<f64> {
        let least = if self.coding.is_progressive() { 1 } else { 2 };
        let share = 8.0 * (self.bytes.len() - self.scan) as f64 / (least * self.all_blocks()) as f64;
        (!self.coding.is_arithmetic()).then_some(share)
    }

    /// Whether the fast decoder takes it for what libjpeg does: no side under [`LEAST_SIDE`], usual sampling, all components in each scan (or
    /// progressive), Huffman tables of its own, and colours that no marker contradicts.
    pub(super) fn is_usual(&self) -> bool {
        let sampling: Vec<_> = self.components.iter().map(|c| (c.horizontal, c.vertical)).collect();
        let colours = match self.components[..] {
            [_] => true,
            // libjpeg: with JFIF these are YCbCr whatever Adobe says; the decoder lets Adobe win.
            [Component { id: 1, .. }, Component { id: 2, .. }, Component { id: 3, .. }] => {
                matches!(self.adobe, None | Some(1))
            }
            // libjpeg lets the markers win over these names, and the decoder does not.
            [Component { id: b'R', .. }, Component { id: b'G', .. }, Component { id: b'B', .. }] => false,
            [_, _, _] => (self.jfif && self.adobe.is_none()) || self.adobe == Some(1),
            _ => false,
        };
        let sampled = matches!(sampling[..], [(1, 1)] | [(1 | 2, 1 | 2), (1, 1), (1, 1)]);
        let scans = self.coding.is_progressive() || self.first_scan == self.components.len();
        let large = self.size.short_side() >= LEAST_SIDE;
        large && colours && sampled && scans && self.huffman_tables && !self.coding.is_arithmetic()
    }

    /// Whether there is an end-of-image marker anywhere behind the beginning of the first scan.
    pub(super) fn has_end(&self) -> bool {
        memchr::memmem::find(&self.bytes[self.scan..], &[0xFF, 0xD9]).is_some()
    }

    /// Where the end-of-image marker stands that its scans run on to, with the restart markers that they should have in
    /// between; `None` if they do not.
    ///
    /// In a scan, 0xFF is followed by 0x00 (a stuffed byte) or a restart marker. Bytes after the end are allowed: cameras
    /// write them. The thumbnail in an EXIF segment has an end marker too, and does not count.
    pub(super) fn end(&self) -> Option<End> {
        let one_scan = !self.coding.is_progressive() && self.first_scan == self.components.len();
        let mut places = Vec::new();
        let restarts = (self.units() - 1).checked_div(self.restart_interval).unwrap_or(0);
        let (mut rest, mut in_order, mut seen, mut scans) = (&self.bytes[self.scan - 2..], true, 0, 0);
        loop {
            let mut candidates = memchr::memchr_iter(0xFF, rest);
            let marker = |at: usize| rest.get(at + 1).copied().unwrap_or(0);
            let offset = self.bytes.len() - rest.len();
            let (at, marker) = candidates.find_map(|at| match marker(at) {
                0x00 | 0xFF => None,
                restart @ 0xD0..=0xD7 => {
                    in_order &= u64::from(restart - 0xD0) == seen % 8;
                    seen += 1;
                    if one_scan {
                        places.push(offset + at);
                    }
                    None
                }
                marker => Some((at, marker)),
            })?;
            if scans > 0 && one_scan {
                in_order &= seen == restarts;
            }
            if marker == 0xD9 {
                return in_order.then(|| End { at: offset + at, restarts: places });
            }
            scans += u64::from(marker == 0xDA);
            seen = 0;
            rest = &rest[at + 2..];
            let length = match rest {
                [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
                _ => return None,
            };
            rest = rest.get(length..)?;
        }
    }

    /// Coded units of a scan of all components.
    fn units(&self) -> u64 {
        let most = |sampling: fn(&Component) -> u8| self.components.iter().map(sampling).max().unwrap_or(1);
        let (horizontal, vertical) = match self.components[..] {
            [_] => (1, 1),
            _ => (most(|c| c.horizontal), most(|c| c.vertical)),
        };
        let along = |side: u32, sampling: u8| u64::from(side).div_ceil(8 * u64::from(sampling));
        along(self.size.width, horizontal) * along(self.size.height, vertical)
    }

    /// Whether there is any part of an ICC profile.
    pub(super) fn has_profile(&self) -> bool {
        self.before_scan().any(|segment| segment.marker == 0xE2 && segment.data.starts_with(b"ICC_PROFILE\0"))
    }

    /// The ICC profile, put together from its segments; an error if some are missing.
    pub(super) fn profile(&self) -> Result<Option<Cow<'a, [u8]>>, &'static str> {
        let mut parts: Vec<(u8, &[u8])> = Vec::new();
        for segment in self.before_scan().filter(|segment| segment.marker == 0xE2) {
            if let Some([number, _, data @ ..]) = segment.data.strip_prefix(b"ICC_PROFILE\0") {
                parts.push((*number, data));
            }
        }
        parts.sort_by_key(|(number, _)| *number);
        let in_order = parts.iter().zip(1..).all(|((number, _), expected)| u64::from(*number) == expected);
        match parts[..] {
            [] => Ok(None),
            _ if !in_order => Err("parts of it are missing"),
            [(_, data)] => Ok(Some(data.into())),
            _ => Ok(Some(parts.into_iter().flat_map(|(_, data)| data).copied().collect())),
        }
    }

    pub(super) fn exif(&self) -> Option<&'a [u8]> {
        self.before_scan().find(|s| s.marker == 0xE1 && s.data.starts_with(b"Exif\0\0")).map(|segment| segment.data)
    }

    pub(super) fn xmp(&self) -> Option<&'a [u8]> {
        let name = b"http://ns.adobe.com/xap/1.0/\0";
        self.before_scan().find_map(|s| s.data.strip_prefix(name).filter(|_| s.marker == 0xE1))
    }

    fn before_scan(&self) -> impl Iterator<Item = Segment<'a>> {
        Segments::new(self.bytes).take_while(|segment| segment.marker != 0xDA)
    }
}

/// Where a JPEG ends.
pub(super) struct End {
    /// Where the end-of-image marker stands.
    pub(super) at: usize,
    /// Where the restart markers stand; of a JPEG of several scans, none are looked for.
    pub(super) restarts: Vec<usize>,
}

/// A marker and what follows it.
struct Segment<'a> {
    marker: u8,
    /// Where its length stands.
    start: usize,
    data: &'a [u8],
}

/// The segments before the first scan; what stands between them is passed over, as libjpeg does.
struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 2 }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        loop {
            self.at += memchr::memchr(0xFF, self.bytes.get(self.at..)?)?;
            let marker = *self.bytes.get(self.at + 1)?;
            match marker {
                0xFF => self.at += 1,
                0x00 | 0x01 | 0xD0..=0xD8 => self.at += 2,
                0xD9 => return None,
                _ => {
                    let start = self.at + 2;
                    let length = self.bytes.get(start..start + 2)?;
                    let end = start + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
                    let data = self.bytes.get(start + 2..end.min(self.bytes.len()))?;
                    self.at = end;
                    return Some(Segment { marker, start, data });
                }
            }
        }
    }
}
