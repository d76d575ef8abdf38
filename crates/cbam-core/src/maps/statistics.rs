//! Where a map is high, and how concentrated it is.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::photo::ImageSize;

/// What a map's values say in a few numbers.
///
/// Positions are fractions of the picture's width and height, `[x, y]`; [`ImageSize::pixel`] turns them into pixels.
/// `mass` is a map's values taken as a distribution over its cells; a map of zeros counts as uniform.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MapStatistics {
    /// The least value.
    pub min: f32,
    /// The greatest value.
    pub max: f32,
    /// The mean value.
    pub mean: f32,
    /// The centre of the cell with the greatest value; the first in reading order among equals.
    pub peak: [f32; 2],
    /// The centre of mass.
    pub centroid: [f32; 2],
    /// The entropy of the mass over the entropy of uniform mass: 1 is uniform, 0 is all in one cell. A map of a single
    /// cell has 1.
    pub entropy: f32,
    /// The least fraction of the cells that holds half of the mass.
    pub coverage: f32,
}

/// The statistics of a grid that is not empty and holds no negative number.
pub(super) fn statistics(values: &Array2<f32>) -> MapStatistics {
    let size = ImageSize::new(values.ncols() as u32, values.nrows() as u32);
    let cells = values.len() as f64;
    let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
    // The share of a cell in the mass.
    let share = |value: f32| if sum > 0.0 { f64::from(value) / sum } else { 1.0 / cells };

    let (mut min, mut max, mut peak) = (f32::INFINITY, f32::NEG_INFINITY, (0, 0));
    let (mut centroid, mut entropy) = ([0.0, 0.0], 0.0);
    for ((row, column), &value) in values.indexed_iter() {
        min = min.min(value);
        if value > max {
            (max, peak) = (value, (row, column));
        }
        let share = share(value);
        let centre = size.fraction(column as u32, row as u32);
        centroid[0] += share * f64::from(centre[0]);
        centroid[1] += share * f64::from(centre[1]);
        if share > 0.0 {
            entropy -= share * share.ln();
        }
    }
    MapStatistics {
        min,
        max,
        mean: (sum / cells) as f32,
        peak: size.fraction(peak.1 as u32, peak.0 as u32),
        centroid: centroid.map(|position| position as f32),
        entropy: if values.len() > 1 { (entropy / cells.ln()).clamp(0.0, 1.0) as f32 } else { 1.0 },
        coverage: coverage(values, share),
    }
}

/// The least fraction of cells that holds half of the mass.
fn coverage(values: &Array2<f32>, share: impl Fn(f32) -> f64) -> f32 {
    let mut sorted: Vec<f32> = values.iter().copied().collect();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut held = 0.0;
    let taken = sorted.iter().take_while(|value| {
        let more = held < 0.5 - 1e-9; // rounding of the sum must not add a cell
        held += share(**value);
        more
    });
    taken.count() as f32 / values.len() as f32
}

/// The highest threshold at or above which cells hold at least `mass` of the sum.
///
/// Numbers that are not negative sort as their bits do, so two passes of a histogram over the upper and the lower 16
/// bits find the exact value without sorting: maps are resampled to many millions of pixels.
pub(crate) fn mass_threshold(values: &Array2<f32>, mass: f32) -> f32 {
    let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
    let mut wanted = sum * f64::from(mass.clamp(0.0, 1.0)) * (1.0 - 1e-7); // `mass` is rounded, and sums are
    let mut prefix = None;
    for shift in [16, 0] {
        let mut held = vec![0.0_f64; 1 << 16];
        let mut seen = vec![false; 1 << 16];
        for value in values {
            let bits = value.abs().to_bits(); // abs: there is a -0.0 too
            if prefix.is_none_or(|prefix| bits >> 16 == prefix) {
                let bin = (bits >> shift & 0xFFFF) as usize;
                held[bin] += f64::from(*value);
                seen[bin] = true;
            }
        }
        let mut chosen = 0;
        for bin in (0..1 << 16).rev().filter(|bin| seen[*bin]) {
            chosen = bin;
            if held[bin] >= wanted {
                break;
            }
            wanted -= held[bin];
        }
        prefix = Some(prefix.map_or(chosen as u32, |upper| upper << 16 | chosen as u32));
    }
    f32::from_bits(prefix.unwrap_or(0))
}
