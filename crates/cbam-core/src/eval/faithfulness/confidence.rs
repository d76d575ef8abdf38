//! Average drop and increase in confidence (Chattopadhay et al. 2018, "Grad-CAM++").
//!
//! The picture, normalised, is multiplied with the map, scaled from minimum 0 to maximum 1: what the map passes over
//! becomes grey. With `y` the confidence in the picture and `o` in the product, the drop is `max(0, y − o) / y`, and there
//! is an increase if `o > y`.

use ndarray::{ArrayView2, ArrayView3};

use super::Ask;
use crate::Result;

/// The confidence in a picture and in what its map leaves of it, each in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence {
    /// In the picture.
    pub whole: f32,
    /// In the picture multiplied with the map.
    pub masked: f32,
}

impl Confidence {
    /// The share of the confidence that is lost, in `[0, 1]`; its mean over pictures is the average drop. Low is good.
    pub fn drop(&self) -> f64 {
        let (whole, masked) = (f64::from(self.whole), f64::from(self.masked));
        if whole > 0.0 { ((whole - masked) / whole).max(0.0) } else { 0.0 }
    }

    /// Whether the confidence grew; the share of such pictures is the increase in confidence. High is good.
    pub fn increase(&self) -> bool {
        self.masked > self.whole
    }

    pub(super) fn measure(
        pixels: ArrayView3<'_, f32>,
        map: ArrayView2<'_, f32>,
        ask: &mut Ask<'_, '_>,
    ) -> Result<Self> {
        let low = map.iter().copied().fold(f32::INFINITY, f32::min);
        let high = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let range = (high - low).max(1e-12);
        let scaled = map.mapv(|value| (value - low) / range);
        let confidences = ask.confidences(2, pixels.dim(), |number| {
            Ok(if number == 0 { pixels.to_owned() } else { &pixels * &scaled })
        })?;
        Ok(Self { whole: confidences[0], masked: confidences[1] })
    }
}
