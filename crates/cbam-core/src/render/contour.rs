//! Contour lines, drawn by distance.

use ndarray::Array2;

/// A contour line of a map: white, on a dark halo, so that it is seen on any picture.
#[derive(Debug)]
pub(super) struct Contour {
    threshold: f32,
    half_width: f32,
}

impl Contour {
    /// The line where `map`, as large as the picture, crosses `threshold`; it is wider on larger pictures.
    pub(super) fn new(map: &Array2<f32>, threshold: f32) -> Self {
        let short_side = map.nrows().min(map.ncols()) as f32;
        Self { threshold, half_width: (short_side / 500.0).max(0.8) }
    }

    /// How much of the pixel is covered by the halo and by the line, each in `[0, 1]`; `None` away from the line.
    ///
    /// The distance to the line is `|v - t| / |∇v|` to first order, so the line has the same width everywhere.
    pub(super) fn coverage(&self, map: &Array2<f32>, row: usize, column: usize) -> Option<(f32, f32)> {
        let (last_row, last_column) = (map.nrows() - 1, map.ncols() - 1);
        let slope = |low: f32, high: f32, steps: usize| (high - low) / steps.max(1) as f32;
        let (left, right) = (column.saturating_sub(1), (column + 1).min(last_column));
        let (above, below) = (row.saturating_sub(1), (row + 1).min(last_row));
        let across = slope(map[[row, left]], map[[row, right]], right - left);
        let down = slope(map[[above, column]], map[[below, column]], below - above);
        let steepness = across.hypot(down);
        let away = (map[[row, column]] - self.threshold).abs();
        let reach = 2.0 * self.half_width + 1.0; // the halo's, with half a pixel for its soft edge
        // A flat place lies on no line, even at the threshold.
        if steepness == 0.0 || away >= reach * steepness {
            return None;
        }
        let distance = away / steepness;
        let cover = |half_width: f32| (half_width + 0.5 - distance).clamp(0.0, 1.0);
        Some((cover(2.0 * self.half_width + 0.5), cover(self.half_width)))
    }
}
