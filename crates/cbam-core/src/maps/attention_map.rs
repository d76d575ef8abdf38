//! One attention map.

use ndarray::Array2;

use super::{MapStatistics, Resample, Rows, statistics};
use crate::{Error, Result, photo::ImageSize};

/// What the values of a map mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MapRange {
    /// A gate: `[0, 1]`.
    Unit,
    /// At least 0, and uniform attention is 1.
    Relative,
    /// At least 0, without a unit.
    Positive,
}

/// An attention map on its native grid, unscaled; it covers the whole picture.
///
/// Cell `(row, column)` of an `[H, W]` grid covers the same fractions of the picture as a pixel of an `H`×`W` picture
/// would.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionMap {
    values: Array2<f32>,
    range: MapRange,
}

impl AttentionMap {
    /// A map of `values`, `[H, W]`.
    ///
    /// # Errors
    /// [`Error::Input`] if the grid is empty, or a value is not finite, is negative, or is over 1 where the range is
    /// [`MapRange::Unit`].
    pub fn new(values: Array2<f32>, range: MapRange) -> Result<Self> {
        let top = if range == MapRange::Unit { 1.0 } else { f32::MAX };
        let wrong = |got| Error::Input { layer: "attention map", expected: format!("values in 0..={top}"), got };
        if values.is_empty() {
            return Err(wrong("an empty grid".to_owned()));
        }
        if let Some(value) = values.iter().find(|value| !(0.0..=top).contains(*value)) {
            return Err(wrong(value.to_string()));
        }
        let values = if values.is_standard_layout() { values } else { values.as_standard_layout().into_owned() };
        Ok(Self { values, range })
    }

    /// The values, `[H, W]`, in row-major order.
    pub fn values(&self) -> &Array2<f32> {
        &self.values
    }

    /// The values, `[H, W]`.
    pub fn into_values(self) -> Array2<f32> {
        self.values
    }

    /// What the values mean.
    pub fn range(&self) -> MapRange {
        self.range
    }

    /// The native grid: its columns and rows.
    pub fn grid(&self) -> ImageSize {
        ImageSize::new(self.values.ncols() as u32, self.values.nrows() as u32)
    }

    /// The map on another grid, with pixel centres aligned; the values stay in range.
    ///
    /// # Errors
    /// [`Error::Argument`] if `size` is empty.
    pub fn resample(&self, size: ImageSize, resample: Resample) -> Result<Self> {
        Ok(Self { values: self.rows(size, resample)?.all()?, range: self.range })
    }

    /// As [`resample`](Self::resample), a piece at a time.
    pub(crate) fn rows(&self, size: ImageSize, resample: Resample) -> Result<Rows> {
        let top = if self.range == MapRange::Unit { 1.0 } else { f32::MAX };
        Rows::new(&self.values, size, resample, top)
    }

    /// Where the map is high, and how concentrated it is.
    pub fn statistics(&self) -> MapStatistics {
        statistics::statistics(&self.values)
    }

    /// The highest threshold at or above which the cells hold at least the fraction `mass` of the map's sum.
    ///
    /// `mass` is clamped to `[0, 1]`; 0 gives the map's maximum. For a map of zeros it is 0.
    pub fn mass_threshold(&self, mass: f32) -> f32 {
        statistics::mass_threshold(&self.values, mass)
    }
}
