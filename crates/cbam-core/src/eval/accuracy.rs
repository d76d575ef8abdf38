//! Top-1 and top-5 accuracy.

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use super::Proportion;
use crate::{Error, Result};

/// Counts how often the true class comes first, and how often it is among the first five.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accuracy {
    count: u64,
    top1: u64,
    top5: u64,
}

/// What [`Accuracy`] has counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AccuracySummary {
    /// The number of pictures.
    pub n: u64,
    /// The share of pictures whose most probable class is the true one.
    pub top1: Proportion,
    /// The share of pictures whose five most probable classes hold the true one.
    pub top5: Proportion,
}

impl Accuracy {
    /// Counts one picture, given the score of every class (probabilities or logits) and the true class; see [`rank`].
    ///
    /// # Errors
    /// As [`rank`].
    pub fn add(&mut self, scores: ArrayView1<'_, f32>, class: usize) -> Result<()> {
        self.add_rank(rank(scores, class)?);
        Ok(())
    }

    /// Counts one picture, given how many classes come before the true one.
    pub fn add_rank(&mut self, rank: usize) {
        self.count += 1;
        self.top1 += u64::from(rank < 1);
        self.top5 += u64::from(rank < 5);
    }

    /// The shares so far.
    pub fn summary(&self) -> AccuracySummary {
        AccuracySummary {
            n: self.count,
            top1: Proportion::new(self.top1, self.count),
            top5: Proportion::new(self.top5, self.count),
        }
    }
}

/// How many classes come before `class`, given the score of every class (probabilities or logits). Among equal scores the
/// lower index comes first.
///
/// # Errors
/// If `class` is no index of `scores`, or a score is not a number.
pub fn rank(scores: ArrayView1<'_, f32>, class: usize) -> Result<usize> {
    let Some(&own) = scores.get(class) else {
        return Err(Error::argument("class", format!("{class} is not below the {} classes", scores.len())));
    };
    if scores.iter().any(|score| score.is_nan()) {
        return Err(Error::argument("scores", "a class's score is not a number"));
    }
    Ok(scores.iter().enumerate().filter(|&(i, &s)| s > own || (s >= own && i < class)).count())
}
