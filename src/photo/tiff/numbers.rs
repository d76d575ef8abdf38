//! Samples that are measurements: floating-point numbers, and integers that are not 8 or 16 bits without sign.

use half::f16;

use super::layout::{Format, Layout, refused};
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

    fn pixels(&self, samples: usize) -> impl Iterator<Item = impl Iterator<Item = f64>> {
        let number = move |bytes| (self.read)(bytes).unwrap_or(f64::NAN);
        self.bytes.chunks_exact(samples * self.size).map(move |pixel| pixel.chunks_exact(self.size).map(number))
    }

    /// The first `colours` samples of each pixel in 16 bits, and its alpha, if it has one behind them; with what was assumed.
    ///
    /// Floating-point numbers from 0 to 1 are linear light. Anything else spans from its least to its greatest number.
    pub(super) fn scaled(
        &self,
        layout: &Layout,
        colours: usize,
        alpha: bool,
    ) -> Result<(Vec<u16>, Option<String>), String> {
        let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
        for number in self.pixels(layout.samples).flat_map(|pixel| pixel.take(colours)) {
            if !number.is_finite() {
                return Err(format!("TIFF with values that are no numbers ({number}): give them a value first"));
            }
            (least, greatest) = (least.min(number), greatest.max(number));
        }
        let float = layout.format == Format::Float;
        let linear = float && least >= 0.0 && greatest <= 1.0;
        let span = if greatest > least { greatest - least } else { 1.0 };
        let value = |number: f64| if linear { transfer(number as f32).into() } else { (number - least) / span };
        let coverage = |number: f64| if float { number } else { number / full(layout) };
        let in_16_bits = |value: f64| (value.clamp(0.0, 1.0) * 65_535.0).round() as u16;
        let mut out = Vec::with_capacity(self.bytes.len() / self.size);
        for pixel in self.pixels(layout.samples) {
            let samples = pixel.take(colours + usize::from(alpha)).enumerate();
            out.extend(
                samples.map(|(i, number)| in_16_bits(if i < colours { value(number) } else { coverage(number) })),
            );
        }
        let kind = match layout.format {
            Format::Float => "floating-point numbers".to_owned(),
            Format::Signed => format!("integers of {} bits with sign", layout.bits),
            Format::Unsigned => format!("integers of {} bits", layout.bits),
        };
        let note =
            format!("its {kind} are shown from the least, {least}, as black to the greatest, {greatest}, as white");
        Ok((out, (!linear).then_some(note)))
    }
}

/// The greatest number of an integer sample.
fn full(layout: &Layout) -> f64 {
    let bits = layout.bits - u32::from(layout.format == Format::Signed);
    (2_f64.powi(bits as i32) - 1.0).max(1.0)
}
