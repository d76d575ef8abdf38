//! How well a map points at the object that the truth boxes in.
//!
//! A map at the picture's own resolution is first scaled, minimum to 0 and maximum to 1. Then, with the truth as the
//! union of the boxes:
//!
//! - **pointing game** (Zhang et al. 2016, without its tolerance): the share of pictures whose strongest pixel (the first
//!   in row order among equals) lies inside;
//! - **energy** (Wang et al. 2020, Score-CAM): the mean share of the map's sum that lies inside;
//! - **IoU**: the mean of `|map ≥ t ∩ truth| / |map ≥ t ∪ truth|`, at the one `t` of [`thresholds`] that is best for the set;
//! - **centre**: the share of pictures whose central pixel lies inside. A map must beat it to say anything.
//!
//! Pixels that a mask calls void count nowhere, as if the picture did not have them.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::{Estimate, Mean, Region};
use crate::{Error, Result};

/// The number of thresholds at which the IoU is measured.
pub const THRESHOLDS: usize = 49;

/// The thresholds of the IoU: 0.02, 0.04 … 0.98.
pub fn thresholds() -> [f64; THRESHOLDS] {
    // Rounded as numpy's `linspace(0.02, 0.98, 49)` rounds them, so that pixels on a threshold fall on the same side.
    let step = (0.98 - 0.02) / (THRESHOLDS - 1) as f64;
    let mut values = std::array::from_fn(|i| i as f64 * step + 0.02);
    values[THRESHOLDS - 1] = 0.98;
    values
}

/// What one map scores on one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureScore {
    /// Whether the strongest pixel lies inside.
    pub pointing: bool,
    /// The share of the map's sum that lies inside, in `[0, 1]`; 0 for a map that is the same everywhere.
    pub energy: f64,
    /// The IoU at each of [`thresholds`], in `[0, 1]`.
    pub iou: [f64; THRESHOLDS],
    /// Whether the central pixel lies inside.
    pub centre: bool,
}

impl PictureScore {
    /// Scores `map`, at the picture's resolution `[height, width]`, against the pixels `inside` the truth's boxes.
    ///
    /// # Errors
    /// If the shapes differ, the map has no pixel, or one of its values is not finite.
    pub fn new(map: ArrayView2<'_, f32>, inside: &Array2<bool>) -> Result<Self> {
        Self::without(map, inside, None)
    }

    /// Scores `map`, at the picture's resolution `[height, width]`, against a region; what of it is void counts nowhere.
    ///
    /// # Errors
    /// As [`Self::new`], or if all pixels are void.
    pub fn on(map: ArrayView2<'_, f32>, region: &Region) -> Result<Self> {
        Self::without(map, &region.inside, region.void.as_ref())
    }

    fn without(map: ArrayView2<'_, f32>, inside: &Array2<bool>, void: Option<&Array2<bool>>) -> Result<Self> {
        if map.dim() != inside.dim() || map.is_empty() || void.is_some_and(|void| void.dim() != map.dim()) {
            let ((rows, columns), (height, width)) = (map.dim(), inside.dim());
            return Err(Error::argument("map", format!("{columns}×{rows} pixels, for a picture of {width}×{height}")));
        }
        if map.iter().any(|value| !value.is_finite()) {
            return Err(Error::argument("map", "a value is not finite"));
        }
        let (rows, columns) = map.dim();
        let centre = inside[[rows / 2, columns / 2]];
        let pixels = map.iter().copied().zip(inside.iter().copied());
        match void {
            None => Ok(Self::score(pixels, centre)),
            Some(void) if void.iter().all(|void| *void) => Err(Error::argument("mask", "all of the picture is void")),
            Some(void) => Ok(Self::score(pixels.zip(void).filter(|(_, void)| !**void).map(|(pixel, _)| pixel), centre)),
        }
    }

    /// The score of pixels `(value, whether inside)`, of which there is at least one.
    fn score(pixels: impl Iterator<Item = (f32, bool)> + Clone, centre: bool) -> Self {
        let low = pixels.clone().map(|(value, _)| value).fold(f32::INFINITY, f32::min);
        let high = pixels.clone().map(|(value, _)| value).fold(f32::NEG_INFINITY, f32::max);
        let range = (high - low).max(1e-12);
        let thresholds = thresholds();
        let mut peak = (f32::NEG_INFINITY, false);
        let (mut sum, mut sum_inside) = (0.0, 0.0);
        // How many pixels reach exactly the first k thresholds: [outside, inside].
        let mut reach = [[0_u64; 2]; THRESHOLDS + 1];
        for (value, inside) in pixels {
            let value = (value - low) / range;
            if value > peak.0 {
                peak = (value, inside);
            }
            let wide = f64::from(value);
            sum += wide;
            sum_inside += if inside { wide } else { 0.0 };
            reach[thresholds.partition_point(|t| *t <= wide)][usize::from(inside)] += 1;
        }
        let truth = reach.iter().map(|[_, inside]| inside).sum::<u64>();
        let mut iou = [0.0; THRESHOLDS];
        let (mut outside_above, mut inside_above) = (0, 0);
        for k in (0..THRESHOLDS).rev() {
            outside_above += reach[k + 1][0];
            inside_above += reach[k + 1][1];
            iou[k] = inside_above as f64 / (truth + outside_above).max(1) as f64;
        }
        Self { pointing: peak.1, energy: sum_inside / f64::max(sum, 1e-12), iou, centre }
    }
}

/// Adds up [`PictureScore`]s over a set of pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Localisation {
    count: u64,
    missing: u64,
    pointing: Mean,
    energy: Mean,
    iou: [Mean; THRESHOLDS],
    centre: Mean,
}

impl Default for Localisation {
    fn default() -> Self {
        let none = Mean::default();
        Self { count: 0, missing: 0, pointing: none, energy: none, iou: [none; THRESHOLDS], centre: none }
    }
}

/// What one map scores on a set of pictures; every estimate is a share in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LocalisationSummary {
    /// The number of pictures that were scored.
    pub n: u64,
    /// The number of pictures that could not be scored.
    pub missing: u64,
    /// The pointing game.
    pub pointing: Estimate,
    /// The energy inside the boxes.
    pub energy: Estimate,
    /// The IoU at the best threshold.
    pub iou: Estimate,
    /// That threshold (the lowest among equals).
    pub threshold: f64,
    /// The centre baseline of the pointing game.
    pub centre: Estimate,
}

impl Localisation {
    /// Adds one picture.
    pub fn add(&mut self, score: &PictureScore) {
        self.count += 1;
        self.pointing.add(f64::from(u8::from(score.pointing)));
        self.energy.add(score.energy);
        self.centre.add(f64::from(u8::from(score.centre)));
        for (sums, &iou) in self.iou.iter_mut().zip(&score.iou) {
            sums.add(iou);
        }
    }

    /// Counts one picture that could not be scored.
    pub fn add_missing(&mut self) {
        self.missing += 1;
    }

    /// The figures so far.
    pub fn summary(&self) -> LocalisationSummary {
        let mut best = 0;
        for (k, sums) in self.iou.iter().enumerate() {
            if sums.mean() > self.iou[best].mean() {
                best = k;
            }
        }
        LocalisationSummary {
            n: self.count,
            missing: self.missing,
            pointing: self.pointing.estimate(),
            energy: self.energy.estimate(),
            iou: self.iou[best].estimate(),
            threshold: thresholds()[best],
            centre: self.centre.estimate(),
        }
    }
}
