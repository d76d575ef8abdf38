//! A network in the core's form for inference, and by itself where it must have gradients.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Deref;

use ndarray::{Array2, Array3, ArrayView3, ArrayView4, IxDyn};
use tch::{Device, Kind, Tensor};

use super::{InferenceNetwork, Network, Outputs, Parameters};
use crate::Result;
use crate::explain::{Features, Slope};
use crate::host::to_host;
use crate::maps::HEAD;
use crate::model::{Description, Look, Model, Question};
use crate::photo::{ImageSize, Preprocess, Resampled};

/// A network that looks on a CPU, in the form that [`Network::for_inference`] makes: several times faster than the network that it
/// was made of, which it keeps for explanations that want a gradient at an inner place.
#[derive(Debug)]
pub struct Inference {
    form: InferenceNetwork,
    network: Network,
}

/// Variables by their names.
struct Variables(HashMap<String, Tensor>);

impl Parameters for Variables {
    fn parameter(&self, name: &str) -> Option<(Vec<usize>, Cow<'_, [f32]>)> {
        let values = to_host::<IxDyn>(self.0.get(name)?).ok()?;
        Some((values.shape().to_vec(), Cow::Owned(values.into_raw_vec_and_offset().0)))
    }
}

impl Network {
    /// The network made ready for inference on a CPU: BatchNorm folded into the convolutions, f32, the kernels of the core. Its maps
    /// and logits agree with the network's own within 10⁻⁴.
    ///
    /// The weights are copied: ask again when they have changed.
    ///
    /// # Errors
    /// [`Error::Torch`](crate::Error::Torch) if libtorch fails.
    pub fn for_inference(self) -> Result<Inference> {
        let parameters = Variables(self.variables.variables());
        let mut form =
            InferenceNetwork::new(self.config.clone(), &parameters)?.with_preprocess(self.preprocess.clone())?;
        if self.one_by_one {
            form = form.one_by_one();
        }
        Ok(Inference { form, network: self })
    }

    /// Whether it computes in f32 on a CPU, where the form [for inference](Self::for_inference) says the same.
    pub fn is_f32_on_cpu(&self) -> bool {
        self.device() == Device::Cpu && self.variables.kind() == Kind::Float
    }

    /// The network in the form in which it looks fastest: [for inference](Self::for_inference) if it is in f32 on a CPU, else as it is.
    ///
    /// # Errors
    /// As [`for_inference`](Self::for_inference).
    pub fn to_look(self) -> Result<Box<dyn Model>> {
        Ok(if self.is_f32_on_cpu() { Box::new(self.for_inference()?) } else { Box::new(self) })
    }
}

impl Inference {
    /// With every picture by itself, whatever batch it comes in: see [`InferenceNetwork::one_by_one`].
    pub fn one_by_one(self) -> Self {
        Self { form: self.form.one_by_one(), network: self.network.one_by_one() }
    }

    /// With pictures taken in another way than the configuration says.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) if a number of it is out of range.
    pub fn with_preprocess(self, preprocess: Preprocess) -> Result<Self> {
        let form = self.form.with_preprocess(preprocess.clone())?;
        Ok(Self { form, network: self.network.with_preprocess(preprocess)? })
    }

    /// The network that it was made of.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The same, to go on with.
    pub fn into_network(self) -> Network {
        self.network
    }
}

impl Deref for Inference {
    type Target = InferenceNetwork;

    fn deref(&self) -> &InferenceNetwork {
        &self.form
    }
}

impl Model for Inference {
    fn describe(&self) -> Description {
        self.form.describe()
    }

    fn batch_size(&self, pictures: usize, size: ImageSize) -> usize {
        self.form.batch_size(pictures, size)
    }

    fn look(&self, pictures: &[&Resampled], question: &Question<'_>) -> Result<Vec<Look>> {
        self.form.look_with(self, pictures, question)
    }

    fn features(&self) -> Option<&dyn Features> {
        Some(self)
    }
}

impl Features for Inference {
    fn numbers(&self) -> usize {
        Features::numbers(&self.form)
    }

    fn outputs(&self) -> Outputs {
        Features::outputs(&self.form)
    }

    fn logits(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        self.form.logits(pixels)
    }

    fn places(&self) -> Vec<String> {
        self.form.places()
    }

    fn features(&self, place: &str, pixels: ArrayView3<'_, f32>) -> Result<Array3<f32>> {
        Features::features(&self.form, place, pixels)
    }

    fn logits_from(&self, place: &str, features: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        Features::logits_from(&self.form, place, features)
    }

    /// In closed form where there is one, else by libtorch.
    fn slope(&self, place: &str, pixels: ArrayView3<'_, f32>, class: usize) -> Result<Slope> {
        if place == HEAD && !self.form.attends_at_head() {
            return self.form.slope(place, pixels, class);
        }
        self.network.slope(place, pixels, class)
    }
}
