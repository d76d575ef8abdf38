//! Whether a map names the pixels that the decision rests on: no truth is needed, only the network's own confidence.
//!
//! | figure | what is done to the picture | better |
//! |---|---|---|
//! | [`insertion`](Curves::insertion) | the pixels of a blurred picture become sharp, the highest of the map first | high |
//! | [`deletion`](Curves::deletion) | the pixels become grey, the highest of the map first | low |
//! | [`average_drop`](Confidence::drop) | it is multiplied with the map: how much confidence is lost | low |
//! | [`increase`](Confidence::increase) | the same: how often confidence grows | high |
//! | [`road`](Road::score) | a part is filled in from its surroundings: the least relevant pixels, less the most relevant | high |
//!
//! The pictures are those that a network takes, `[3, H, W]`, normalised; maps have their size, `[H, W]`. Grey is 0, the
//! middle of the normalised range. A classifier is any function from pictures `[N, 3, H, W]` to probabilities
//! `[N, classes]`.

mod blur;
mod confidence;
mod curves;
mod impute;
mod road;

use ndarray::{Array2, Array4, ArrayView2, ArrayView3, ArrayView4, Axis};

use crate::{Error, Result};

pub use blur::gaussian_blur;
pub use confidence::Confidence;
pub use curves::{Curves, area_under};
pub use impute::impute;
pub use road::Road;

/// How faithfulness is measured.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FaithfulnessOptions {
    /// Steps of the insertion and deletion curves: each changes an equal share of the pixels. At least 1.
    pub steps: usize,
    /// The standard deviation of the blur that insertion starts from, as a share of the short side.
    pub blur: f64,
    /// The shares of pixels, in per cent, that ROAD keeps.
    pub road_percentiles: Vec<f64>,
    /// The standard deviation of the noise on pixels that ROAD fills in, in normalised units.
    pub road_noise: f32,
    /// The seed of that noise.
    pub seed: u64,
    /// How many pictures the classifier is given at a time.
    pub batch: usize,
}

impl Default for FaithfulnessOptions {
    /// 24 steps; a blur of 10 pixels at 224; ROAD at 10, 30, 50, 70 and 90 per cent with noise 0.01; batches of 16.
    fn default() -> Self {
        Self {
            steps: 24,
            blur: 10.0 / 224.0,
            road_percentiles: vec![10.0, 30.0, 50.0, 70.0, 90.0],
            road_noise: 0.01,
            seed: 0,
            batch: 16,
        }
    }
}

impl FaithfulnessOptions {
    /// With another number of steps.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// With ROAD at other percentiles.
    pub fn with_road_percentiles(self, road_percentiles: Vec<f64>) -> Self {
        Self { road_percentiles, ..self }
    }

    /// With other noise for ROAD.
    pub fn with_road_noise(self, road_noise: f32) -> Self {
        Self { road_noise, ..self }
    }

    /// With another seed.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// With another number of pictures at a time.
    pub fn with_batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// Runs of the classifier that one map takes, in pictures.
    pub fn pictures(&self) -> usize {
        2 * (self.steps + 1) + 2 + 2 * self.road_percentiles.len()
    }
}

/// What one map scores on one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Faithfulness {
    /// Insertion and deletion.
    pub curves: Curves,
    /// Average drop and increase in confidence.
    pub confidence: Confidence,
    /// ROAD.
    pub road: Road,
}

/// A classifier: pictures `[N, 3, H, W]`, normalised, to probabilities `[N, classes]`.
pub type Classify<'a> = dyn FnMut(ArrayView4<'_, f32>) -> Result<Array2<f32>> + 'a;

/// Measures one map of one picture for one class.
///
/// # Errors
/// If the map has another size than the picture or a value that is not finite, an option is out of range, the class does
/// not exist, or with the classifier's error.
pub fn faithfulness(
    pixels: ArrayView3<'_, f32>,
    map: ArrayView2<'_, f32>,
    class: usize,
    options: &FaithfulnessOptions,
    classify: &mut Classify<'_>,
) -> Result<Faithfulness> {
    let mut ask = Ask { class, batch: options.batch.max(1), classify };
    let order = descending(pixels, map)?;
    Ok(Faithfulness {
        curves: Curves::measure(pixels, &order, options, &mut ask)?,
        confidence: Confidence::measure(pixels, map, &mut ask)?,
        road: Road::measure(pixels, &order, options, &mut ask)?,
    })
}

/// The confidence of a classifier in one class, asked for in batches.
pub(crate) struct Ask<'a, 'b> {
    class: usize,
    batch: usize,
    classify: &'a mut Classify<'b>,
}

impl Ask<'_, '_> {
    /// The confidence in each of `count` pictures of `shape` `[3, H, W]`, which `draw` makes by their number.
    fn confidences(
        &mut self,
        count: usize,
        shape: (usize, usize, usize),
        draw: impl Fn(usize) -> Result<ndarray::Array3<f32>> + Sync,
    ) -> Result<Vec<f32>> {
        use rayon::prelude::*;
        let mut confidences = Vec::with_capacity(count);
        for start in (0..count).step_by(self.batch) {
            let numbers = start..(start + self.batch).min(count);
            let drawn = numbers.into_par_iter().map(&draw).collect::<Result<Vec<_>>>()?;
            let mut batch = Array4::zeros((drawn.len(), shape.0, shape.1, shape.2));
            for (mut place, picture) in batch.outer_iter_mut().zip(&drawn) {
                place.assign(picture);
            }
            let probabilities = (self.classify)(batch.view())?;
            if probabilities.nrows() != drawn.len() || self.class >= probabilities.ncols() {
                let got = format!("{:?} for class {}", probabilities.dim(), self.class);
                return Err(Error::Input { layer: "classifier", expected: "probabilities [N, classes]".into(), got });
            }
            confidences.extend(probabilities.index_axis(Axis(1), self.class));
        }
        Ok(confidences)
    }
}

/// The pixels in the order of the map, highest first; among equals the first in row order.
fn descending(pixels: ArrayView3<'_, f32>, map: ArrayView2<'_, f32>) -> Result<Vec<usize>> {
    let (_, height, width) = pixels.dim();
    if map.dim() != (height, width) || map.is_empty() || map.iter().any(|value| !value.is_finite()) {
        let got = format!("{:?}", map.dim());
        return Err(Error::Input {
            layer: "faithfulness", expected: format!("a finite map of {height}×{width}"), got
        });
    }
    let values: Vec<f32> = map.iter().copied().collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    Ok(order)
}
