//! `MaxBoxAcc` (Choe et al. 2020, "Evaluating Weakly Supervised Object Localization Methods Right").
//!
//! A map is scaled, minimum to 0 and maximum to 1, and cut at a threshold `t`; the box around the largest connected part
//! of `map ≥ t` is the map's answer. It is right if its IoU with any box of the truth is at least `δ`. `MaxBoxAcc(δ)` is
//! the share of pictures that are right at the one `t` that is best for the set.
//!
//! The thresholds are those of the other figures ([`thresholds`], 49), where the paper takes 1000; the largest part is
//! the one with most pixels, and pixels that touch at a corner are connected.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::components::Growing;
use super::{BoundingBox, Proportion, THRESHOLDS, thresholds};
use crate::{Error, Result};

/// The IoU from which a box counts as right: the paper's 0.3, 0.5 and 0.7.
pub const BOX_IOUS: [f64; 3] = [0.3, 0.5, 0.7];

/// At each of [`thresholds`], the IoU of the box that a map draws with the best box of the truth, in `[0, 1]`.
///
/// `map` is at the picture's resolution, `[height, width]`. Where no pixel reaches a threshold the IoU is 0; a map that
/// is the same everywhere reaches none.
///
/// # Errors
/// If the map has no pixel, or one of its values is not finite.
pub fn box_iou(map: ArrayView2<'_, f32>, boxes: &[BoundingBox]) -> Result<[f64; THRESHOLDS]> {
    if map.is_empty() || map.iter().any(|value| !value.is_finite()) {
        return Err(Error::argument("map", "no pixel, or a value is not finite"));
    }
    let low = map.iter().copied().fold(f32::INFINITY, f32::min);
    let high = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = (high - low).max(1e-12);
    let levels = thresholds();
    // The pixels that reach exactly the first k thresholds, in row order.
    let mut reach: Vec<Vec<u32>> = vec![Vec::new(); THRESHOLDS + 1];
    for (index, value) in map.iter().enumerate() {
        let value = f64::from((value - low) / range);
        reach[levels.partition_point(|t| *t <= value)].push(index as u32);
    }
    let mut growing = Growing::new(map.nrows(), map.ncols());
    let mut ious = [0.0; THRESHOLDS];
    for k in (0..THRESHOLDS).rev() {
        for &index in &reach[k + 1] {
            growing.add(index as usize);
        }
        if let Some(part) = growing.largest() {
            let drawn = part.bounds();
            ious[k] = boxes.iter().map(|truth| truth.iou(&drawn)).fold(0.0, f64::max);
        }
    }
    Ok(ious)
}

/// The box that a map draws at the threshold `t` in `[0, 1]` of its range; `None` if no pixel reaches it.
pub fn drawn_box(map: ArrayView2<'_, f32>, t: f64) -> Option<BoundingBox> {
    let low = map.iter().copied().fold(f32::INFINITY, f32::min);
    let high = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = (high - low).max(1e-12);
    let mut growing = Growing::new(map.nrows(), map.ncols());
    for (index, _) in map.iter().enumerate().filter(|(_, value)| f64::from((**value - low) / range) >= t) {
        growing.add(index);
    }
    growing.largest().map(|part| part.bounds())
}

/// Counts, over a set of pictures, how often the box that a map draws is right.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxBoxAcc {
    count: u64,
    right: [[u64; THRESHOLDS]; BOX_IOUS.len()],
}

impl Default for MaxBoxAcc {
    fn default() -> Self {
        Self { count: 0, right: [[0; THRESHOLDS]; BOX_IOUS.len()] }
    }
}

/// `MaxBoxAcc` at one of [`BOX_IOUS`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoxAccuracy {
    /// The IoU from which a box is right.
    pub iou: f64,
    /// The share of pictures whose box is right.
    pub share: Proportion,
    /// The threshold that is best for the set (the lowest among equals).
    pub threshold: f64,
    /// The number of pictures.
    pub n: u64,
}

impl MaxBoxAcc {
    /// Adds one picture, as [`box_iou`] measured it; a slice of another length than [`THRESHOLDS`] is cut or counts as
    /// wrong where it ends.
    pub fn add(&mut self, ious: &[f64]) {
        self.count += 1;
        for (right, least) in self.right.iter_mut().zip(BOX_IOUS) {
            right.iter_mut().zip(ious).for_each(|(right, iou)| *right += u64::from(*iou >= least));
        }
    }

    /// The figures so far, one for each of [`BOX_IOUS`].
    pub fn summary(&self) -> [BoxAccuracy; BOX_IOUS.len()] {
        std::array::from_fn(|i| {
            let right = &self.right[i];
            let best = (0..THRESHOLDS).fold(0, |best, k| if right[k] > right[best] { k } else { best });
            BoxAccuracy {
                iou: BOX_IOUS[i],
                share: Proportion::new(right[best], self.count),
                threshold: thresholds()[best],
                n: self.count,
            }
        })
    }
}
