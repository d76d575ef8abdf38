//! A mean or a share, with how far it can be trusted.

use serde::{Deserialize, Serialize};

/// A mean over pictures and its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean; 0 if nothing was measured.
    pub value: f64,
    /// The standard error of the mean: `s / √n`, with `s` the sample's standard deviation; 0 if `n < 2`.
    pub standard_error: f64,
}

/// A share of successes with its 95 % Wilson score interval (Wilson 1927).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Proportion {
    /// Successes divided by trials; 0 if there was no trial.
    pub value: f64,
    /// The low end of the interval.
    pub low: f64,
    /// The high end of the interval.
    pub high: f64,
}

impl Proportion {
    /// The share of `successes` in `trials`. Without a trial nothing is known: 0, between 0 and 1.
    pub fn new(successes: u64, trials: u64) -> Self {
        const Z: f64 = 1.959_963_984_540_054; // the 97.5 % point of the normal distribution
        if trials == 0 {
            return Self { value: 0.0, low: 0.0, high: 1.0 };
        }
        let n = trials as f64;
        let p = successes as f64 / n;
        let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self { value: p, low: (centre - half).clamp(0.0, p), high: (centre + half).clamp(p, 1.0) }
    }
}

/// Adds up values from which an [`Estimate`] is made; plain sums of squares, exact enough for values about `[-1, 1]`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mean {
    count: u64,
    sum: f64,
    squares: f64,
}

impl Mean {
    /// Adds one value.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
    }

    /// The mean so far; 0 without a value.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// The mean with its standard error.
    pub fn estimate(&self) -> Estimate {
        let n = self.count as f64;
        let value = self.mean();
        let variance = if self.count < 2 { 0.0 } else { ((self.squares - n * value * value) / (n - 1.0)).max(0.0) };
        Estimate { value, standard_error: if self.count < 2 { 0.0 } else { (variance / n).sqrt() } }
    }
}
