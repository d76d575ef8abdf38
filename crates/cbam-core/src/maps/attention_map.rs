//! One attention map.

use ndarray::{Array2, s};

use super::{MapStatistics, Resample, Rows, statistics};
use crate::photo::{Geometry, ImageSize, Part};
use crate::{Error, Result};

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

/// An attention map on its native grid, unscaled; it covers the whole picture, or the [part](Self::over) that a network saw.
///
/// Cell `(row, column)` of an `[H, W]` grid covers the same fractions of that as a pixel of an `H`×`W` picture would.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionMap {
    values: Array2<f32>,
    range: MapRange,
    /// The part of the picture that it covers, and the picture; all of it if there is none.
    part: Option<(Part, ImageSize)>,
    /// The cell, row and column, of the patch that looks; none where the map is not of one patch.
    cell: Option<[usize; 2]>,
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
        Ok(Self { values, range, part: None, cell: None })
    }

    /// The same over the part of a picture that was seen.
    pub fn over(self, geometry: &Geometry) -> Self {
        let part = (!geometry.is_whole()).then_some((geometry.seen, geometry.picture));
        Self { part, ..self }
    }

    /// The same over all of the network's input.
    pub fn of_input(self) -> Self {
        Self { part: None, ..self }
    }

    /// The same as what one patch looks at: that of a cell, `[row, column]`, which overlays outline. One outside the grid is the
    /// nearest in it.
    pub fn seen_from(self, [row, column]: [usize; 2]) -> Self {
        let (rows, columns) = self.values.dim();
        Self { cell: Some([row.min(rows - 1), column.min(columns - 1)]), ..self }
    }

    /// The cell, `[row, column]`, of the patch that looks, where the map says where one looks.
    pub fn cell(&self) -> Option<[usize; 2]> {
        self.cell
    }

    /// The part of a picture of this size that it covers, if that is not all of it.
    pub(crate) fn part_of(&self, size: ImageSize) -> Option<Part> {
        let (Part { left, top, size: own }, picture) = self.part?;
        let scaled = |place: u32, side: u32, of: u32| {
            (f64::from(place) * f64::from(side) / f64::from(of.max(1))).round().min(f64::from(side)) as u32
        };
        let from = |place, side, of: u32| scaled(place, side, of).min(side.saturating_sub(1));
        let (left, right) =
            (from(left, size.width, picture.width), scaled(left + own.width, size.width, picture.width));
        let (top, bottom) =
            (from(top, size.height, picture.height), scaled(top + own.height, size.height, picture.height));
        let size = ImageSize::new((right - left.min(right)).max(1), (bottom - top.min(bottom)).max(1));
        Some(Part { left, top, size })
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

    /// The map on another grid of the whole picture, with pixel centres aligned; the values stay in range. It is 0 where it covers
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Argument`] if `size` is empty.
    pub fn resample(&self, size: ImageSize, resample: Resample) -> Result<Self> {
        let Some(Part { left, top, size: own }) = self.part_of(size) else {
            return Ok(Self { values: self.rows(size, resample)?.all()?, range: self.range, part: None, cell: None });
        };
        let inner = self.rows(own, resample)?.all()?;
        let mut values = Array2::zeros((size.height as usize, size.width as usize));
        let [left, top] = [left as usize, top as usize];
        let (height, width) = inner.dim();
        values.slice_mut(s![top..top + height, left..left + width]).assign(&inner);
        Ok(Self { values, range: self.range, part: None, cell: None })
    }

    /// Its own values on another grid, a piece at a time.
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

/// The index of the patch at a fraction of the width and height of a picture, on a grid of rows and columns.
///
/// # Errors
/// [`Error::Argument`] if it lies outside the picture.
pub fn patch_index([x, y]: [f32; 2], [rows, columns]: [usize; 2]) -> Result<usize> {
    if ![x, y].iter().all(|fraction| (0.0..1.0).contains(fraction)) {
        return Err(Error::argument("patch@X,Y", format!("({x}, {y}) of width and height lies outside the picture")));
    }
    let cell = |fraction: f32, count: usize| ((fraction * count as f32) as usize).min(count - 1);
    Ok(cell(y, rows) * columns + cell(x, columns))
}
