//! A network that is open, and how it looks.

use std::sync::Arc;

use cbam_core::explain::ExplainOptions;
use cbam_core::maps::{Detail, MapName};
use cbam_core::model::{Description, Look as Seen, Model, Question, Step};
use cbam_core::network::InferenceNetwork;
use cbam_core::photo::{Photo, Preprocess};
use cbam_core::{Error, Result};
use ndarray::{Array2, ArrayView4};

use crate::threads::Given;

/// What there is to know of a network.
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) about: Description,
    pub(crate) labels: Vec<String>,
    /// The words of a command line that opens it; none if there is no such.
    pub(crate) command: Vec<String>,
}

/// A network that is open.
pub(crate) struct Opened {
    pub(crate) facts: Arc<Facts>,
    /// Every picture goes through it by itself.
    pub(crate) network: InferenceNetwork,
    /// What was taken for granted about it.
    pub(crate) notes: Vec<String>,
    /// A hash of its configuration and its tensors, if it was asked for.
    pub(crate) fingerprint: Option<[u8; 32]>,
}

/// What is asked, in the words of a network.
#[derive(Clone)]
pub(crate) struct Asking {
    /// The maps that are wanted, the first shown first.
    pub(crate) maps: Vec<MapName>,
    pub(crate) class: Option<usize>,
    pub(crate) preprocess: Preprocess,
    pub(crate) explain: ExplainOptions,
}

impl Opened {
    /// What it sees in a picture.
    pub(crate) fn look(
        &self,
        photo: &Photo,
        asking: &Asking,
        maps: &[MapName],
        detail: Detail,
        given: &Given,
    ) -> Result<Seen> {
        given.check()?;
        let picture = asking.preprocess.resample(photo)?;
        let go_on = |_: Step<'_>| given.goes_on();
        let question = Question {
            class: asking.class,
            explain: asking.explain.clone(),
            detail,
            go_on: Some(&go_on),
            ..Question::about(maps)
        };
        let looks = self.network.look(&[&picture], &question)?;
        looks.into_iter().next().ok_or_else(|| Error::internal("no answer about the picture"))
    }

    /// What it says of pictures `[N, 3, H, W]`, normalised: its numbers for the classes.
    pub(crate) fn numbers(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        let features = self.network.features().ok_or_else(|| Error::network("network", "it gives out no numbers"))?;
        features.logits(pixels)
    }
}
