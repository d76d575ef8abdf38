//! What speaks for a class at the last features, in closed form: the classifier behind them is a pooling and a line, or nearly so.

use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView3, Axis};
use rayon::prelude::*;

use super::inference::in_pool;
use super::{InferenceNetwork, Site};
use crate::Result;
use crate::kernels::{Clamp, Map, Pointwise};
use crate::maps::{ClassActivations, Detail};

impl InferenceNetwork {
    /// The gradient of a class's score at what the classifier says.
    fn slope_of_score(&self, logits: &[f32], class: usize) -> Vec<f32> {
        let mut slope = self.config.outputs.slope(logits, class);
        for slope in &mut slope {
            *slope /= self.config.temperature as f32;
        }
        slope
    }

    /// The gradient of a class's score at the features of one picture under the classifier, `[H, W, C]`.
    fn slope_of(&self, features: &Map, logits: &[f32], class: usize) -> Vec<f32> {
        self.backbone.slope(features, &self.slope_of_score(logits, class))
    }

    /// Grad-CAM of one picture's class, in closed form.
    pub(super) fn class_activation(&self, features: &Map, logits: &[f32], class: usize) -> Array2<f32> {
        let slope = self.slope_of(features, logits, class);
        let (positions, channels) = (features.height() * features.width(), features.channels());
        let mut weights = vec![0f64; channels];
        for slope in slope.chunks_exact(channels) {
            weights.iter_mut().zip(slope).for_each(|(weight, slope)| *weight += f64::from(*slope));
        }
        let weights: Vec<f32> = weights.into_iter().map(|weight| (weight / positions as f64) as f32).collect();
        let weights = Array1::from(weights);
        let values = features.numbers().chunks_exact(channels).map(|xs| {
            let value = ArrayView1::from(xs).dot(&weights);
            if value < 0.0 { 0.0 } else { value }
        });
        let shape = (features.height(), features.width());
        Array2::from_shape_vec(shape, values.collect()).unwrap_or_else(|_| Array2::zeros(shape))
    }

    /// Grad-CAM of each class, unless that is too much: all at once, where the classifier takes the mean of each channel alone.
    pub(super) fn class_activations(&self, features: &Map, logits: &[f32]) -> Option<ClassActivations> {
        let (classes, positions) = (self.config.answers(), features.height() * features.width());
        if classes * positions > ClassActivations::MOST {
            return None;
        }
        let mean = features.mean();
        let slope = |class| self.backbone.slope_at_mean(&mean, &self.slope_of_score(logits, class));
        let slopes: Vec<Vec<f32>> = (0..classes).into_par_iter().map(slope).collect::<Option<_>>()?;
        let weight = |class: usize, channel: usize| slopes[class][channel] / positions as f32;
        let matrix = Pointwise::of(features.channels(), &vec![0.0; classes], weight, Clamp::RELU);
        let maps = matrix.forward(features).into_array().index_axis_move(Axis(0), 0);
        Some(ClassActivations { of: None, maps: maps.as_standard_layout().into_owned() })
    }

    /// The features under the classifier of one picture, and the gradient of a class's score there, both `[C, h, w]`; `None` if attention
    /// stands between the two.
    pub(super) fn slope_at_head(&self, pixels: ArrayView3<'_, f32>, class: usize) -> Result<Option<[Array3<f32>; 2]>> {
        if self.block_at(Site::Head).is_some() {
            return Ok(None);
        }
        let output = in_pool(|| self.pass(self.input(pixels.insert_axis(Axis(0)))?, (None, Detail::Maps)))?;
        let gradient = self.slope_of(&output.activated, &output.logits.row(0).to_vec(), class);
        let gradient = Map::new(output.activated.shape(), gradient)?;
        Ok(Some([output.activated, gradient].map(|map| map.into_array().index_axis_move(Axis(0), 0))))
    }
}
