//! ROAD, remove and debias (Rong et al. 2022, "A Consistent and Efficient Evaluation Strategy for Attribution Methods").
//!
//! Pixels are removed by filling them in from their surroundings ([`impute`]), which leaves no sharp shape that would
//! give the map away. At each percentile `p`, `p` per cent of the pixels stay: once the least relevant ones (the most
//! relevant are removed), once the most relevant. The score is the mean over percentiles of half the difference of the
//! two confidences, as in the Python package grad-cam (`ROADCombined`). Pixels of equal relevance are taken in row order.

use ndarray::{Array2, ArrayView3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Ask, FaithfulnessOptions, impute};
use crate::{Error, Result};

/// Confidences in `[0, 1]`, one for each percentile.
#[derive(Debug, Clone, PartialEq)]
pub struct Road {
    /// With the most relevant pixels removed; low is good.
    pub most_relevant_removed: Vec<f32>,
    /// With the least relevant pixels removed; high is good.
    pub least_relevant_removed: Vec<f32>,
}

impl Road {
    /// The combined score, in `[-½, ½]`; high is good, and a map of noise has 0.
    pub fn score(&self) -> f64 {
        let pairs = self.least_relevant_removed.iter().zip(&self.most_relevant_removed);
        let sum: f64 = pairs.map(|(least, most)| (f64::from(*least) - f64::from(*most)) / 2.0).sum();
        sum / self.most_relevant_removed.len().max(1) as f64
    }

    pub(super) fn measure(
        pixels: ArrayView3<'_, f32>,
        order: &[usize],
        options: &FaithfulnessOptions,
        ask: &mut Ask<'_, '_>,
    ) -> Result<Self> {
        let percentiles = &options.road_percentiles;
        if let Some(wrong) = percentiles.iter().find(|p| !(0.0..=100.0).contains(*p) || **p == 0.0) {
            return Err(Error::argument("ROAD percentile", format!("{wrong} is not over 0 and at most 100")));
        }
        let (_, height, width) = pixels.dim();
        let confidences = ask.confidences(2 * percentiles.len(), pixels.dim(), |number| {
            let kept = (percentiles[number / 2] / 100.0 * (order.len() - 1) as f64).ceil() as usize;
            let (most, least) = (number % 2 == 0, order.len() - kept.max(1));
            // `order` has the most relevant first.
            let removed = if most { &order[..least] } else { &order[order.len() - least..] };
            let mut known = Array2::from_elem((height, width), true);
            for place in removed {
                known[[place / width, place % width]] = false;
            }
            let mut filled = impute(pixels, &known)?;
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            rng.set_stream(number as u64);
            for mut channel in filled.outer_iter_mut() {
                for place in removed {
                    channel[[place / width, place % width]] += options.road_noise * normal(&mut rng);
                }
            }
            Ok(filled)
        })?;
        let every_other = |start: usize| confidences.iter().skip(start).step_by(2).copied().collect();
        Ok(Self { most_relevant_removed: every_other(0), least_relevant_removed: every_other(1) })
    }
}

/// A number of the standard normal distribution (Box and Muller 1958).
fn normal(rng: &mut impl Rng) -> f32 {
    let (radius, angle) = (1.0 - rng.random::<f32>(), rng.random::<f32>());
    (-2.0 * radius.ln()).sqrt() * (std::f32::consts::TAU * angle).cos()
}
