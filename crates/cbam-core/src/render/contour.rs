//! Lines on pictures: around the highest part of a map, and around a patch.

use std::ops::Range;

use ndarray::Array2;

use crate::photo::ImageSize;

/// How much of a pixel is covered by a line and by its halo, each in `[0, 1]`: lines are white, on a dark halo, so that they are
/// seen on any picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cover {
    halo: f32,
    line: f32,
}

impl Cover {
    /// Half a line's width on a picture: it is wider on larger pictures.
    fn half_width(size: ImageSize) -> f32 {
        (size.short_side() as f32 / 500.0).max(0.8)
    }

    /// How far from the middle of a line the end of its halo is, with half a pixel for its soft edge.
    fn reach(half_width: f32) -> f32 {
        2.0 * half_width + 1.0
    }

    /// At a distance from the middle of the line.
    fn at(distance: f32, half_width: f32) -> Self {
        let cover = |half_width: f32| (half_width + 0.5 - distance).clamp(0.0, 1.0);
        Self { halo: cover(2.0 * half_width + 0.5), line: cover(half_width) }
    }

    /// A sample with the line over it.
    pub(super) fn over(self, sample: f32, white: f32) -> f32 {
        let dark = sample * (1.0 - 0.6 * self.halo);
        dark + (white - dark) * self.line
    }
}

/// A contour line of a map.
#[derive(Debug)]
pub(super) struct Contour {
    threshold: f32,
    half_width: f32,
}

impl Contour {
    /// The line where `map`, as large as the picture, crosses `threshold`.
    pub(super) fn new(map: &Array2<f32>, threshold: f32) -> Self {
        let size = ImageSize::new(map.ncols() as u32, map.nrows() as u32);
        Self { threshold, half_width: Cover::half_width(size) }
    }

    /// How much of the pixel is covered; `None` away from the line.
    ///
    /// The distance to the line is `|v - t| / |∇v|` to first order, so the line has the same width everywhere.
    pub(super) fn coverage(&self, map: &Array2<f32>, row: usize, column: usize) -> Option<Cover> {
        let (last_row, last_column) = (map.nrows() - 1, map.ncols() - 1);
        let slope = |low: f32, high: f32, steps: usize| (high - low) / steps.max(1) as f32;
        let (left, right) = (column.saturating_sub(1), (column + 1).min(last_column));
        let (above, below) = (row.saturating_sub(1), (row + 1).min(last_row));
        let across = slope(map[[row, left]], map[[row, right]], right - left);
        let down = slope(map[[above, column]], map[[below, column]], below - above);
        let steepness = across.hypot(down);
        let away = (map[[row, column]] - self.threshold).abs();
        // A flat place lies on no line, even at the threshold.
        if steepness == 0.0 || away >= Cover::reach(self.half_width) * steepness {
            return None;
        }
        Some(Cover::at(away / steepness, self.half_width))
    }
}

/// A line around one cell of a grid.
#[derive(Debug)]
pub(super) struct Outline {
    /// The cell's middle and half its sides, `[x, y]`, in pixels.
    middle: [f32; 2],
    half: [f32; 2],
    half_width: f32,
}

impl Outline {
    /// Of the `cell` `[row, column]` of a `grid` over a picture of `size`.
    pub(super) fn new([row, column]: [usize; 2], grid: ImageSize, size: ImageSize) -> Self {
        let pitch = [size.width as f32 / grid.width as f32, size.height as f32 / grid.height as f32];
        let middle = [(column as f32 + 0.5) * pitch[0], (row as f32 + 0.5) * pitch[1]];
        Self { middle, half: pitch.map(|side| side / 2.0), half_width: Cover::half_width(size) }
    }

    /// The columns of a row of pixels that the line may cover.
    pub(super) fn columns(&self, row: usize, width: usize) -> Range<usize> {
        let reach = Cover::reach(self.half_width);
        if (row as f32 + 0.5 - self.middle[1]).abs() > self.half[1] + reach {
            return 0..0;
        }
        let [from, to] = [-1.0, 1.0].map(|side| self.middle[0] + side * (self.half[0] + reach));
        (from.floor().max(0.0) as usize).min(width)..(to.ceil().max(0.0) as usize).min(width)
    }

    /// How much of the pixel is covered; `None` away from the line.
    pub(super) fn coverage(&self, row: usize, column: usize) -> Option<Cover> {
        let away = |at: usize, axis: usize| (at as f32 + 0.5 - self.middle[axis]).abs() - self.half[axis];
        let distance = away(column, 0).max(away(row, 1)).abs();
        (distance < Cover::reach(self.half_width)).then(|| Cover::at(distance, self.half_width))
    }
}
