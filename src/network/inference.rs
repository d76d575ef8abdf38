//! A network in the core's form for inference, and by itself where it must have gradients.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Deref;

use ndarray::{Array2, Array3, ArrayView3, ArrayView4, IxDyn};
use tch::{Device, Kind, Tensor};

use super::{ForwardPrecision, InferenceNetwork, Network, NetworkFile, Outputs, Parameters};
use crate::explain::{Features, Slope};
use crate::host::to_host;
use crate::maps::HEAD;
use crate::model::{Description, Look, Model, Question};
use crate::photo::{ImageSize, Preprocess, Resampled};
use crate::{Error, ErrorKind, Result};

/// A network that looks on a CPU, in the form that [`Network::for_inference`] makes: several times faster than libtorch's, which it has
/// beside, once an explanation wants a gradient at an inner place.
#[derive(Debug)]
pub struct Inference {
    form: InferenceNetwork,
    network: OnceCell<Network>,
    /// What it was made of, where that was no network.
    file: Option<NetworkFile>,
}

/// Variables by their names.
struct Variables(HashMap<String, Tensor>);

impl Parameters for Variables {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>, ErrorKind> {
        let missing = || ErrorKind::internal(format!("the network has no {name} of {shape:?}"));
        let values = to_host::<IxDyn>(self.0.get(name).ok_or_else(missing)?)?;
        if values.shape() == shape { Ok(values.into_raw_vec_and_offset().0.into()) } else { Err(missing()) }
    }
}

impl Network {
    /// The network made ready for inference on a CPU: BatchNorm folded into the convolutions, f32, the kernels of the core. Its maps
    /// and logits agree with the network's own within 10⁻⁴.
    ///
    /// The weights are copied: ask again when they have changed.
    ///
    /// # Errors
    /// [`ErrorKind::Torch`] if libtorch fails.
    pub fn for_inference(self) -> Result<Inference> {
        let parameters = Variables(self.variables.variables());
        let mut form =
            InferenceNetwork::new(self.config.clone(), &parameters)?.with_preprocess(self.preprocess.clone())?;
        if self.one_by_one {
            form = form.one_by_one();
        }
        Ok(Inference { form, network: self.into(), file: None })
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
    /// The network of a weights file, which is built for libtorch only once that is asked for.
    ///
    /// # Errors
    /// As [`NetworkFile::for_inference`].
    pub fn of_file(file: NetworkFile) -> Result<Self> {
        Ok(Self { form: file.for_inference()?, network: OnceCell::new(), file: Some(file) })
    }

    /// With every picture by itself, whatever batch it comes in: see [`InferenceNetwork::one_by_one`].
    pub fn one_by_one(self) -> Self {
        let network = self.network.into_inner().map(Network::one_by_one).map_or_else(OnceCell::new, OnceCell::from);
        Self { form: self.form.one_by_one(), network, ..self }
    }

    /// With its convolutions computed in that precision: see [`InferenceNetwork::in_precision`]. Gradients at inner places, which libtorch
    /// finds, stay in f32.
    ///
    /// # Errors
    /// As there.
    pub fn in_precision(self, precision: ForwardPrecision) -> Result<Self> {
        Ok(Self { form: self.form.in_precision(precision)?, ..self })
    }

    /// With pictures taken in another way than the configuration says.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if a number of it is out of range.
    pub fn with_preprocess(self, preprocess: Preprocess) -> Result<Self> {
        let network =
            self.network.into_inner().map(|network| network.with_preprocess(preprocess.clone())).transpose()?;
        let network = network.map_or_else(OnceCell::new, OnceCell::from);
        Ok(Self { form: self.form.with_preprocess(preprocess)?, network, ..self })
    }

    /// With its numbers for the classes taken in another sense than the configuration says.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] for a softmax over one class.
    pub fn with_outputs(self, outputs: Outputs) -> Result<Self> {
        let network = self.network.into_inner().map(|network| network.with_outputs(outputs)).transpose()?;
        let network = network.map_or_else(OnceCell::new, OnceCell::from);
        Ok(Self { form: self.form.with_outputs(outputs)?, network, ..self })
    }

    /// The same network as libtorch's.
    ///
    /// # Errors
    /// [`ErrorKind::Torch`] if libtorch fails.
    pub fn network(&self) -> Result<&Network> {
        if let Some(network) = self.network.get() {
            return Ok(network);
        }
        let file = self.file.clone().ok_or_else(|| Error::internal("a network without a file"))?;
        let network = Network::of_file(file, Device::Cpu)?.network.with_outputs(self.form.config().outputs)?;
        let network = network.with_preprocess(self.form.preprocess().clone())?;
        Ok(self.network.get_or_init(|| if self.form.is_one_by_one() { network.one_by_one() } else { network }))
    }

    /// The same, to go on with.
    ///
    /// # Errors
    /// As [`network`](Self::network).
    pub fn into_network(self) -> Result<Network> {
        self.network()?;
        self.network.into_inner().ok_or_else(|| Error::internal("a network that was just made"))
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
        self.form.config().describe(self.form.preprocess())
    }

    fn batch_size(&self, pictures: usize, size: ImageSize) -> usize {
        self.form.batch_size(pictures, size)
    }

    fn look(&self, pictures: &[&Resampled], question: &Question<'_>) -> Result<Vec<Look>, ErrorKind> {
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

    fn logits(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>, ErrorKind> {
        self.form.logits(pixels)
    }

    fn places(&self) -> Vec<String> {
        self.form.places()
    }

    fn features(&self, place: &str, pixels: ArrayView3<'_, f32>) -> Result<Array3<f32>, ErrorKind> {
        Features::features(&self.form, place, pixels)
    }

    fn logits_from(&self, place: &str, features: ArrayView4<'_, f32>) -> Result<Array2<f32>, ErrorKind> {
        Features::logits_from(&self.form, place, features)
    }

    /// In closed form where there is one, else by libtorch.
    fn slope(&self, place: &str, pixels: ArrayView3<'_, f32>, class: usize) -> Result<Slope, ErrorKind> {
        if place == HEAD && !self.form.attends_at_head() {
            return self.form.slope(place, pixels, class);
        }
        self.network()?.slope(place, pixels, class)
    }
}
