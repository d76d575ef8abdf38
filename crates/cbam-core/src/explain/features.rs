//! What explanations ask of a network.

use ndarray::{Array2, Array3, ArrayView3, ArrayView4};

use super::relevance::AttentionSlopes;
use crate::classes::Outputs;
use crate::maps::Method;
use crate::{Error, Result};

/// Why a network has no relevance.
pub(crate) const NO_RELEVANCE: &str = "follows a class through attentions that are all over the same patches, to a class token or to \
                                       the mean of all, as those of a vision transformer are, and this network is not \
                                       made of such";

/// A network whose features can be had, and that can be run from them on: with it, every method here explains it.
///
/// Pictures and features are as the network has them: normalised, channels first. A place is one of [`places`](Self::places).
pub trait Features {
    /// How many numbers it gives out for its classes; 0 if it says nothing of classes.
    fn numbers(&self) -> usize;

    /// How many answers that are: two for a single number.
    fn answers(&self) -> usize {
        self.outputs().answers(self.numbers() as i64) as usize
    }

    /// What these numbers are.
    fn outputs(&self) -> Outputs {
        Outputs::default().of_logits(self.numbers() as i64)
    }

    /// Pictures `[N, 3, H, W]` to its numbers for the classes, `[N, numbers]`.
    ///
    /// # Errors
    /// What the network refuses.
    fn logits(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>>;

    /// The names of the places whose features can be had, in their order.
    fn places(&self) -> Vec<String>;

    /// The one of them at which methods look if none is named: the last.
    fn default_place(&self) -> Option<String> {
        self.places().pop()
    }

    /// The features of one picture `[3, H, W]` at a place, `[C, h, w]`.
    ///
    /// # Errors
    /// What the network refuses.
    fn features(&self, place: &str, pixels: ArrayView3<'_, f32>) -> Result<Array3<f32>>;

    /// The rest of the network: features of a place, or something in their stead, `[N, C, h, w]`, to its numbers,
    /// `[N, numbers]`.
    ///
    /// # Errors
    /// What the network refuses; [`Error::Argument`] where it cannot be entered at its features, as by default.
    fn logits_from(&self, place: &str, features: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        let _ = features;
        Err(Error::argument(place, "this network cannot be run from its features on, as ablationcam wants it"))
    }

    /// The features of one picture at a place, and the slope of the score of a class there. The score is that of
    /// [`Outputs::scores`].
    ///
    /// # Errors
    /// What the network refuses; [`Error::Argument`] where no gradient can be had, as by default.
    fn slope(&self, place: &str, pixels: ArrayView3<'_, f32>, class: usize) -> Result<Slope> {
        let _ = (pixels, class);
        Err(Error::argument(place, "no gradient can be had of this network there, as this method wants it"))
    }

    /// The attentions of one picture, all over the same tokens, with the slopes of the score of a class.
    ///
    /// # Errors
    /// What the network refuses; [`Error::Argument`] of a network that is not made of such attentions, as by default.
    fn attention_slopes(&self, pixels: ArrayView3<'_, f32>, class: usize) -> Result<AttentionSlopes> {
        let _ = (pixels, class);
        Err(Error::argument(Method::Relevance, NO_RELEVANCE))
    }
}

/// The features of one picture at a place, and the slope of one class's score there.
#[derive(Debug, Clone, PartialEq)]
pub struct Slope {
    /// `A`, `[C, h, w]`.
    pub features: Array3<f32>,
    /// `∂y/∂A`, `[C, h, w]`.
    pub gradient: Array3<f32>,
}
