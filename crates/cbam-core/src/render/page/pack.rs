//! Arrays of numbers in one blob, and what a page must know to read them.

use std::io::{Cursor, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fdeflate::StoredOnlyCompressor;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;

use crate::{Error, Result};

/// How the numbers of a picture are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Packing {
    /// As small as can be: for a file.
    #[default]
    Small,
    /// At once, and a third larger: for a page that is looked at now, and kept nowhere.
    Quick,
}

/// How finely each number of an array is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// In 64 steps, each a byte that is a multiple of 4: zlib makes a third less of them than of 256.
    Coarse,
    /// In 16 bits.
    Fine,
}

impl Depth {
    /// The number of steps, from the least to the greatest.
    const fn steps(self) -> u16 {
        match self {
            Self::Coarse => 63,
            Self::Fine => u16::MAX,
        }
    }

    /// The greatest number of its type over the greatest code.
    const fn room(self) -> f32 {
        match self {
            Self::Coarse => 255.0 / 252.0,
            Self::Fine => 1.0,
        }
    }
}

/// Where an array lies in the blob, and what its codes stand for: 0 is `low`, the greatest number of their type `high`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Packed {
    #[serde(rename = "type")]
    kind: &'static str,
    at: usize,
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<f32>,
}

/// Rows of numbers, each in parts of its own scale: that of the greatest number of the codes' type.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Rows {
    pub(super) scales: Packed,
    pub(super) codes: Packed,
}

/// A blob in the making.
#[derive(Debug, Default)]
pub(super) struct Pack {
    bytes: Vec<u8>,
}

impl Pack {
    /// Numbers as they are.
    pub(super) fn floats(&mut self, values: impl IntoIterator<Item = f32>) -> Packed {
        let at = self.begin();
        self.bytes.extend(values.into_iter().flat_map(f32::to_le_bytes));
        Packed { kind: "f32", at, count: (self.bytes.len() - at) / 4, low: None, high: None }
    }

    /// Numbers between the least and the greatest of them.
    pub(super) fn spanned(&mut self, values: impl IntoIterator<Item = f32> + Clone, depth: Depth) -> Packed {
        let finite = || values.clone().into_iter().filter(|value| value.is_finite());
        let (low, high) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
        let part = move |value: f32| if high > low { (value - low) / (high - low) } else { 0.0 };
        self.coded(values.into_iter().map(part), depth, [low, high])
    }

    /// Rows of numbers that are not under 0, each over its greatest.
    pub(super) fn rows<'v>(&mut self, rows: impl Iterator<Item = &'v [f32]> + Clone, depth: Depth) -> Rows {
        let scale = |row: &[f32]| row.iter().fold(0.0, |most, value| if *value > most { *value } else { most });
        let parts = rows.clone().flat_map(move |row| {
            let scale = scale(row);
            row.iter().map(move |value| if scale > 0.0 { value / scale } else { 0.0 })
        });
        let codes = self.coded(parts, depth, [0.0, 1.0 / depth.room()]);
        Rows { scales: self.floats(rows.map(|row| scale(row) * depth.room())), codes }
    }

    /// Parts of spans that are known otherwise, each from 0 to 1.
    pub(super) fn parts(&mut self, parts: impl IntoIterator<Item = f32>, depth: Depth) -> Packed {
        self.coded(parts.into_iter(), depth, [0.0, 1.0])
    }

    /// Codes that are made already.
    pub(super) fn codes(&mut self, codes: impl IntoIterator<Item = u8>) -> Packed {
        let at = self.begin();
        self.bytes.extend(codes);
        Packed { kind: "u8", at, count: self.bytes.len() - at, low: Some(0.0), high: Some(1.0) }
    }

    /// The blob: zlib's form of the bytes, in Base64.
    pub(super) fn into_text(self, packing: Packing) -> Result<String> {
        let packed = match packing {
            Packing::Small => {
                let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
                packed.write_all(&self.bytes).and_then(|()| packed.finish())
            }
            Packing::Quick => StoredOnlyCompressor::new(Cursor::new(Vec::new())).and_then(|mut packed| {
                packed.write_data(&self.bytes)?;
                Ok(packed.finish()?.into_inner())
            }),
        };
        Ok(BASE64_STANDARD.encode(packed.map_err(Error::internal)?))
    }

    /// Parts of a span, from 0 to 1.
    fn coded(&mut self, parts: impl Iterator<Item = f32>, depth: Depth, [low, high]: [f32; 2]) -> Packed {
        let at = self.begin();
        let steps = f32::from(depth.steps());
        let codes = parts.map(|part| (part * steps + 0.5) as u16); // rounded, and 0 for what is no number
        let (kind, size) = match depth {
            Depth::Coarse => ("u8", 1),
            Depth::Fine => ("u16", 2),
        };
        match depth {
            Depth::Coarse => self.bytes.extend(codes.map(|code| 4 * code as u8)),
            Depth::Fine => codes.for_each(|code| self.bytes.extend_from_slice(&code.to_le_bytes())),
        }
        let high = low + (high - low) * depth.room();
        Packed { kind, at, count: (self.bytes.len() - at) / size, low: Some(low), high: Some(high) }
    }

    /// Where the next array begins: at a multiple of four bytes, as a page's arrays of numbers want it.
    fn begin(&mut self) -> usize {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn arrays_begin_at_multiples_of_four_and_keep_their_spans() {
        let mut pack = Pack::default();
        let coarse = pack.spanned([-1.0, 0.0, 1.0], Depth::Coarse);
        let fine = pack.spanned([0.5, 2.5, 1.5], Depth::Fine);
        let flat = pack.spanned([3.0, 3.0, f32::NAN], Depth::Fine);
        let floats = pack.floats([0.25]);
        assert_eq!([coarse.at, fine.at, flat.at, floats.at], [0, 4, 12, 20]);
        assert_eq!(coarse.low, Some(-1.0));
        assert!((-1.0 + (coarse.high.unwrap() + 1.0) * 252.0 / 255.0 - 1.0).abs() < 1e-6, "252 is the greatest code");
        assert_eq!((flat.low, flat.high), (Some(3.0), Some(3.0)));
        assert_eq!(pack.bytes[..3], [0, 128, 252]);
        assert_eq!(pack.bytes[4..10], [0, 0, 255, 255, 0, 128]);
        assert_eq!(pack.bytes[12..18], [0; 6]);
        let bytes = pack.bytes.clone();
        for packing in [Packing::Small, Packing::Quick] {
            let text = Pack { bytes: bytes.clone() }.into_text(packing).unwrap();
            let mut unpacked = Vec::new();
            let text = BASE64_STANDARD.decode(text).unwrap();
            flate2::read::ZlibDecoder::new(&text[..]).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, bytes);
        }
    }

    #[test]
    fn each_row_has_its_scale() {
        let mut pack = Pack::default();
        let rows = pack.rows([[0.5_f32, 0.25], [0.0, 0.0], [1.0, 3.0]].iter().map(|row| &row[..]), Depth::Coarse);
        assert_eq!(pack.bytes[..6], [252, 128, 0, 0, 84, 252]);
        assert_eq!((rows.codes.count, rows.scales.count), (6, 3));
        assert_eq!(
            pack.bytes[rows.scales.at..][..12],
            [0.5_f32, 0.0, 3.0].map(|scale| (scale * (255.0 / 252.0)).to_le_bytes()).concat()
        );
    }
}
