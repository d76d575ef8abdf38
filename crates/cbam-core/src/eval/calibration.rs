//! Whether a network's confidence can be believed.
//!
//! Pictures are put into 15 bins of equal width by the probability of the class that comes first. The expected
//! calibration error (Guo et al. 2017, "On Calibration of Modern Neural Networks") is the mean over pictures of the
//! distance between a bin's accuracy and its mean confidence:
//! `ECE = Σ_b |B_b| / n · |accuracy(B_b) − confidence(B_b)|`.

use serde::{Deserialize, Serialize};

/// The number of bins.
pub const BINS: usize = 15;

/// Sums over pictures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calibration {
    bins: [Bin; BINS],
    log_loss: f64,
}

/// One bin of confidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// The number of pictures.
    pub n: u64,
    /// How many of them are right.
    pub right: u64,
    /// The sum of their confidences.
    pub confidence: f64,
}

/// What [`Calibration`] has measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationSummary {
    /// The number of pictures.
    pub n: u64,
    /// The expected calibration error, in `[0, 1]`; 0 is best.
    pub ece: f64,
    /// The mean negative log likelihood of the true class, in nats.
    pub nll: f64,
    /// The mean confidence in the first class, less the accuracy: above 0 is overconfident.
    pub overconfidence: f64,
    /// The bins, from confidence 0 to 1.
    pub bins: Vec<Bin>,
}

impl Calibration {
    /// Adds one picture: the probability of the first class, whether that class is right, and the probability of the
    /// true class. Probabilities are clamped to `[0, 1]`.
    pub fn add(&mut self, confidence: f64, right: bool, truth: f64) {
        let confidence = confidence.clamp(0.0, 1.0);
        // Bins are (low, high], as in the paper; 0 belongs to the first.
        let index = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        let bin = &mut self.bins[index];
        bin.n += 1;
        bin.right += u64::from(right);
        bin.confidence += confidence;
        self.log_loss -= truth.clamp(f64::from(f32::MIN_POSITIVE), 1.0).ln();
    }

    /// The figures so far; all are 0 if nothing was added.
    pub fn summary(&self) -> CalibrationSummary {
        let n: u64 = self.bins.iter().map(|bin| bin.n).sum();
        let count = n.max(1) as f64;
        let gap = |bin: &Bin| bin.confidence - bin.right as f64; // |B| · (confidence − accuracy)
        CalibrationSummary {
            n,
            ece: self.bins.iter().map(|bin| gap(bin).abs()).sum::<f64>() / count,
            nll: self.log_loss / count,
            overconfidence: self.bins.iter().map(gap).sum::<f64>() / count,
            bins: self.bins.to_vec(),
        }
    }
}
