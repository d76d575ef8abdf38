//! From a map's values to `[0, 1]`, for drawing.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::AttentionMap;
use crate::{Error, Result};

/// Which values of a map become the two ends of the colour map.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Scale {
    /// `image`: the picture's own minimum and maximum.
    #[default]
    Image,
    /// `percentile:LOW,HIGH`: two percentiles of the picture's own values, in `[0, 100]`, interpolated linearly as
    /// numpy does by default.
    Percentile(f32, f32),
    /// `fixed:LOW,HIGH`: these values, for every picture.
    Fixed(f32, f32),
    /// `run`: the minimum and maximum over all pictures of the run.
    Run,
}

impl Scale {
    /// The ends of the scale for one map, taken from its native grid.
    ///
    /// For [`Run`](Self::Run) they are the map's own minimum and maximum: the caller joins those of all maps with
    /// [`ScaleLimits::union`].
    pub fn limits(&self, map: &AttentionMap) -> ScaleLimits {
        let (low, high) = match *self {
            Self::Fixed(low, high) => return ScaleLimits { low, high },
            Self::Percentile(low, high) => (low, high),
            Self::Image | Self::Run => (0.0, 100.0),
        };
        let mut values: Vec<f32> = map.values().iter().copied().collect();
        values.sort_unstable_by(f32::total_cmp);
        ScaleLimits { low: percentile(&values, low), high: percentile(&values, high) }
    }
}

/// numpy's `percentile(values, percent, method="linear")`, of sorted values.
fn percentile(sorted: &[f32], percent: f32) -> f32 {
    let last = sorted.len().saturating_sub(1);
    let position = f64::from(percent.clamp(0.0, 100.0)) / 100.0 * last as f64;
    let index = position.floor() as usize;
    let at = |index: usize| f64::from(sorted.get(index.min(last)).copied().unwrap_or(0.0));
    (at(index) + (at(index + 1) - at(index)) * position.fract()) as f32
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image => f.write_str("image"),
            Self::Percentile(low, high) => write!(f, "percentile:{low},{high}"),
            Self::Fixed(low, high) => write!(f, "fixed:{low},{high}"),
            Self::Run => f.write_str("run"),
        }
    }
}

impl FromStr for Scale {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |message: &str| Error::argument(format!("scale {text:?}"), message);
        let pair = |numbers: &str| -> Result<(f32, f32)> {
            let (low, high) = numbers.split_once(',').ok_or_else(|| wrong("two numbers follow the colon: LOW,HIGH"))?;
            let number = |text: &str| text.trim().parse::<f32>().ok().filter(|number| number.is_finite());
            let pair = number(low).zip(number(high)).ok_or_else(|| wrong("LOW and HIGH are numbers"))?;
            if pair.0 < pair.1 { Ok(pair) } else { Err(wrong("LOW must be below HIGH")) }
        };
        match text.split_once(':') {
            None if text == "image" => Ok(Self::Image),
            None if text == "run" => Ok(Self::Run),
            Some(("fixed", numbers)) => pair(numbers).map(|(low, high)| Self::Fixed(low, high)),
            Some(("percentile", numbers)) => match pair(numbers)? {
                (low, high) if low >= 0.0 && high <= 100.0 => Ok(Self::Percentile(low, high)),
                _ => Err(wrong("percentiles are in 0..=100")),
            },
            _ => Err(wrong("write image, percentile:LOW,HIGH, fixed:LOW,HIGH or run")),
        }
    }
}

/// The values that become 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScaleLimits {
    /// Becomes 0, as does everything below.
    pub low: f32,
    /// Becomes 1, as does everything above.
    pub high: f32,
}

impl ScaleLimits {
    /// `value` on the scale, in `[0, 1]`. Where both ends are equal, values up to them give 0 and values above give 1:
    /// a constant map is drawn in the lowest colour. Not-a-number gives 0.
    pub fn apply(&self, value: f32) -> f32 {
        let part = (value - self.low) / (self.high - self.low);
        // In this form many values are done at once. What is no number, also for want of a width, becomes 0.
        let part = if part > 0.0 { part } else { 0.0 };
        if part < 1.0 { part } else { 1.0 }
    }

    /// The scale that spans both.
    pub fn union(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}
