//! Samples that are measurements: floating-point numbers, and integers that are not 8 or 16 bits without sign.

use half::f16;

use super::alpha::Alpha;
use super::layout::{Format, Layout, photometric, refused};
use super::tag;
use crate::photo::ifd::Directory;
use crate::photo::srgb::transfer;

/// Samples as numbers.
pub(super) struct Numbers<'a> {
    bytes: &'a [u8],
    size: usize,
    read: fn(&[u8]) -> Option<f64>,
}

/// Reads a number of some type.
macro_rules! reader {
    ($type:ty) => {
        |bytes| Some(<$type>::from_ne_bytes(bytes.try_into().ok()?).into())
    };
}

impl<'a> Numbers<'a> {
    /// The samples of a layout; `None` if they are no measurements.
    pub(super) fn of(layout: &Layout, bytes: &'a [u8]) -> Result<Option<Self>, String> {
        let read: fn(&[u8]) -> Option<f64> = match (layout.format, layout.bits) {
            (Format::Unsigned, 1..=16) => return Ok(None),
            (Format::Unsigned, 32) => reader!(u32),
            (Format::Unsigned, 64) => |bytes| Some(u64::from_ne_bytes(bytes.try_into().ok()?) as f64),
            (Format::Signed, 8) => reader!(i8),
            (Format::Signed, 16) => reader!(i16),
            (Format::Signed, 32) => reader!(i32),
            (Format::Signed, 64) => |bytes| Some(i64::from_ne_bytes(bytes.try_into().ok()?) as f64),
            (Format::Float, 16) => reader!(f16),
            (Format::Float, 32) => reader!(f32),
            (Format::Float, 64) => reader!(f64),
            (format, bits) => return Err(refused(&format!("samples of {bits} bits ({format:?})"))),
        };
        Ok(Some(Self { bytes, size: layout.bits as usize / 8, read }))
    }

    /// The colours and the coverage of each pixel, in this order.
    fn pixels(&self, samples: usize) -> impl Iterator<Item = impl Fn(usize) -> f64> {
        let number = move |bytes| (self.read)(bytes).unwrap_or(f64::NAN);
        let size = self.size;
        self.bytes.chunks_exact(samples * size).map(move |pixel| move |at: usize| number(&pixel[at * size..][..size]))
    }

    /// The first `colours` samples of each pixel in 16 bits, black where nothing was measured, and its alpha; with what was
    /// assumed.
    ///
    /// Floating-point numbers from 0 to 1 are linear light. Anything else spans from its least to its greatest number.
    pub(super) fn scaled(
        &self,
        directory: &Directory<'_>,
        layout: &Layout,
        colours: usize,
        alpha: Option<Alpha>,
    ) -> Result<(Vec<u16>, Vec<String>), String> {
        let no_data = NoData::of(directory, layout);
        let float = layout.format == Format::Float;
        let full = if float { 1.0 } else { full(layout) };
        // The alpha, and what the colours are multiplied by; where that is 0, they are not seen.
        let coverage = |pixel: &dyn Fn(usize) -> f64| alpha.map(|alpha| pixel(alpha.at) / full);
        let factor = |coverage: Option<f64>| match (alpha, coverage) {
            (Some(Alpha { multiplied: true, .. }), Some(coverage)) => coverage,
            _ => 1.0,
        };
        let (mut given, mut plain, mut missing) = (Range::default(), Range::default(), 0_u64);
        for pixel in self.pixels(layout.samples) {
            let coverage = coverage(&pixel);
            let factor = factor(coverage);
            for number in (0..colours).map(&pixel).chain(coverage) {
                if no_data.is(number) {
                    continue;
                }
                if !number.is_finite() {
                    return Err(format!("TIFF with values that are no numbers ({number}): give them a value first"));
                }
            }
            for number in (0..colours).map(&pixel) {
                if no_data.is(number) {
                    missing += 1;
                } else if factor > 0.0 {
                    given.take(number);
                    plain.take(number / factor);
                }
            }
        }
        let linear = float && given.least >= 0.0 && given.greatest <= 1.0;
        let value = |number: f64| if linear { transfer(number as f32).into() } else { plain.share(number) };
        let in_16_bits = |value: f64| (value.clamp(0.0, 1.0) * 65_535.0).round() as u16;
        let inverted = layout.photometric == photometric::WHITE_IS_ZERO;
        let mut out = Vec::with_capacity(self.bytes.len() / self.size);
        for pixel in self.pixels(layout.samples) {
            let coverage = coverage(&pixel);
            let factor = factor(coverage);
            out.extend((0..colours).map(&pixel).map(|number| match number {
                _ if no_data.is(number) => 0,
                _ if factor <= 0.0 => 0,
                _ if inverted => u16::MAX - in_16_bits(value(number / factor)),
                _ => in_16_bits(value(number / factor)),
            }));
            out.extend(coverage.map(in_16_bits));
        }
        let mut notes = Vec::new();
        if !linear && plain.least <= plain.greatest {
            let kind = match layout.format {
                Format::Float => "floating-point numbers".to_owned(),
                Format::Signed => format!("integers of {} bits with sign", layout.bits),
                Format::Unsigned => format!("integers of {} bits", layout.bits),
            };
            let (low, high) = if inverted { ("white", "black") } else { ("black", "white") };
            let Range { least, greatest } = plain;
            notes.push(format!(
                "its {kind} are shown from the least, {least}, as {low} to the greatest, {greatest}, as {high}"
            ));
        }
        if let (Some(value), 1..) = (no_data.0, missing) {
            notes.push(format!("{missing} of its values are {value}, which stands for no data, and are drawn black"));
        }
        Ok((out, notes))
    }
}

/// From the least to the greatest number.
struct Range {
    least: f64,
    greatest: f64,
}

impl Default for Range {
    fn default() -> Self {
        Self { least: f64::INFINITY, greatest: f64::NEG_INFINITY }
    }
}

impl Range {
    fn take(&mut self, number: f64) {
        (self.least, self.greatest) = (self.least.min(number), self.greatest.max(number));
    }

    /// Where a number lies: 0 the least, 1 the greatest. In halves: a range may be longer than the greatest number.
    fn share(&self, number: f64) -> f64 {
        let span = self.greatest / 2.0 - self.least / 2.0;
        if span > 0.0 { (number / 2.0 - self.least / 2.0) / span } else { 0.0 }
    }
}

/// The number that stands where nothing was measured, by GDAL's tag.
struct NoData(Option<f64>);

impl NoData {
    fn of(directory: &Directory<'_>, layout: &Layout) -> Self {
        let text = directory.bytes(tag::NO_DATA).and_then(|text| str::from_utf8(text).ok());
        let number: Option<f64> = text.and_then(|text| text.trim_matches(['\0', ' ', '\n']).parse().ok());
        // It is written with more digits than a sample has.
        Self(number.map(|number| match (layout.format, layout.bits) {
            (Format::Float, 16) => f16::from_f64(number).into(),
            (Format::Float, 32) => f64::from(number as f32),
            _ => number,
        }))
    }

    fn is(&self, number: f64) -> bool {
        self.0.is_some_and(|none| none == number || none.is_nan() && number.is_nan())
    }
}

/// The greatest number of an integer sample.
fn full(layout: &Layout) -> f64 {
    let bits = layout.bits - u32::from(layout.format == Format::Signed);
    (2_f64.powi(bits as i32) - 1.0).max(1.0)
}
