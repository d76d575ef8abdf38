//! The network for inference as [`Model`] and [`Features`].

use ndarray::{Array2, Array3, ArrayView3, ArrayView4, Axis};

use super::{HEAD, InferenceNetwork};
use crate::classes::Outputs;
use crate::explain::{Features, Slope};
use crate::model::{Description, Look, Model, Question, explain_looks};
use crate::photo::{ImageSize, Resampled};
use crate::{Error, Result};

impl InferenceNetwork {
    /// Looks at pictures as [`Model::look`] does, and asks `features` for what explanations need beyond one pass: the same network
    /// where gradients can be had at every place.
    ///
    /// # Errors
    /// As [`Model::look`].
    pub fn look_with(
        &self,
        features: &dyn Features,
        pictures: &[&Resampled],
        question: &Question<'_>,
    ) -> Result<Vec<Look>> {
        question.check_class(self.config().answers())?;
        let points = pictures.iter().map(|picture| question.points(&picture.geometry())).collect::<Result<Vec<_>>>()?;
        let seen = self.see(pictures, &points, question.class, question.detail)?;
        let look = |(seen, picture): (super::readout::Seen, &&Resampled)| Look {
            readout: seen.readout,
            geometry: picture.geometry(),
            likeliest: seen.likeliest,
            explained: None,
        };
        let mut looks: Vec<_> = seen.into_iter().zip(pictures).map(look).collect();
        explain_looks(features, self.preprocess(), pictures, &mut looks, question)?;
        Ok(looks)
    }
}

impl Model for InferenceNetwork {
    /// Without gradients but for the head's, which has a closed form.
    fn describe(&self) -> Description {
        let mut places = self.config().places();
        places.retain(|place| place != HEAD || self.attends_at_head());
        Description { without_gradient: places, ..self.config().describe(self.preprocess()) }
    }

    /// A batch costs as much as its pictures one by one, and more memory; it only occupies many threads better. Each thread takes a
    /// part of it: four pictures, which read the weights together.
    fn batch_size(&self, _: usize, _: ImageSize) -> usize {
        let threads = rayon::current_num_threads();
        if threads > 1 { (4 * threads).min(32) } else { 1 }
    }

    fn look(&self, pictures: &[&Resampled], question: &Question<'_>) -> Result<Vec<Look>> {
        self.look_with(self, pictures, question)
    }

    fn features(&self) -> Option<&dyn Features> {
        Some(self)
    }
}

impl Features for InferenceNetwork {
    fn numbers(&self) -> usize {
        self.config().classes as usize
    }

    fn outputs(&self) -> Outputs {
        self.config().outputs
    }

    fn logits(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        Ok(self.forward(pixels)?.logits)
    }

    fn places(&self) -> Vec<String> {
        self.config().places()
    }

    fn features(&self, place: &str, pixels: ArrayView3<'_, f32>) -> Result<Array3<f32>> {
        let features = self.features_at(place, pixels.insert_axis(Axis(0)))?;
        Ok(features.into_array().index_axis_move(Axis(0), 0))
    }

    fn logits_from(&self, place: &str, features: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        InferenceNetwork::logits_from(self, place, features)
    }

    /// In closed form, at [`HEAD`] alone, where no attention stands there.
    fn slope(&self, place: &str, pixels: ArrayView3<'_, f32>, class: usize) -> Result<Slope> {
        let at_head = if place == HEAD { self.slope_at_head(pixels, class)? } else { None };
        let [features, gradient] = at_head.ok_or_else(|| {
            let message = "this method wants a gradient, which needs libtorch there; without it there is one under the classifier alone";
            Error::argument(format!("stage {place:?}"), message)
        })?;
        Ok(Slope { features, gradient })
    }
}
