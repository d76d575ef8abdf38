//! How far the difference between two methods, measured on the same pictures, can be trusted.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The resamples that a report uses.
pub const RESAMPLES: usize = 10_000;

/// The mean of paired differences and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The number of pictures.
    pub n: usize,
    /// The mean of `a − b` over the pictures.
    pub mean: f64,
    /// The 2.5 % point of the resampled means.
    pub low: f64,
    /// The 97.5 % point.
    pub high: f64,
}

impl Difference {
    /// The difference `a − b` of two measurements of the same pictures, by the paired percentile bootstrap (Efron 1979):
    /// pictures are drawn with replacement, `resamples` times, and each time the mean difference is taken.
    ///
    /// # Errors
    /// If the two have different lengths, none at all, or a value that is not finite; if `resamples` is 0.
    pub fn paired(a: &[f64], b: &[f64], resamples: usize, seed: u64) -> Result<Self> {
        if a.len() != b.len() || a.is_empty() || resamples == 0 {
            let message = format!("{} and {} pictures, {resamples} resamples", a.len(), b.len());
            return Err(Error::argument("paired difference", message));
        }
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        if differences.iter().any(|difference| !difference.is_finite()) {
            return Err(Error::argument("paired difference", "a value is not finite"));
        }
        let n = differences.len();
        let mean = |sum: f64| sum / n as f64;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = || mean((0..n).map(|_| differences[rng.random_range(0..n)]).sum());
        let mut means: Vec<f64> = (0..resamples).map(|_| draw()).collect();
        means.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| means[((share * resamples as f64) as usize).min(resamples - 1)];
        Ok(Self { n, mean: mean(differences.iter().sum()), low: at(0.025), high: at(0.975) })
    }

    /// Whether the interval leaves out 0.
    pub fn is_clear(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}
