//! The one front door: a network that looks at pictures, what it is asked about them, and what it answers.
//!
//! [`Model`] is everything that is run, measured and drawn here, our own networks and other people's. It says once what it is
//! ([`Description`]), and of pictures what it sees ([`Look`]), as it is asked ([`Question`]). Which explanations are made, and for
//! which class, is decided in [`explain_looks`] and nowhere else, so what is measured is what is drawn.

mod choose;
mod description;
mod explained;
mod question;
mod tune;

use crate::Result;
use crate::explain::Features;
use crate::photo::{ImageSize, Resampled};

pub use description::Description;
pub use explained::explain_looks;
pub use question::{Look, Question, Step};
pub use tune::tuned_batch_size;

/// A network that looks at pictures. One thread owns it, so it need not be [`Send`].
pub trait Model {
    /// What there is to know of it before it has seen a picture.
    fn describe(&self) -> Description;

    /// How many pictures at once serve it best, in a run of `pictures` pictures, if most have about that size.
    fn batch_size(&self, pictures: usize, size: ImageSize) -> usize {
        let _ = (pictures, size);
        1
    }

    /// Looks at pictures of one size, as its [`preprocess`](Description::preprocess) resamples them: one answer for each, with what
    /// one pass shows of itself and what the question asks for.
    ///
    /// # Errors
    /// What the network refuses, and what [`explain_looks`] returns.
    fn look(&self, pictures: &[&Resampled], question: &Question<'_>) -> Result<Vec<Look>>;

    /// It as the explanation methods see it, for who asks more of it than looks; `None` if it has no features.
    fn features(&self) -> Option<&dyn Features> {
        None
    }
}

impl<M: Model + ?Sized> Model for Box<M> {
    fn describe(&self) -> Description {
        (**self).describe()
    }

    fn batch_size(&self, pictures: usize, size: ImageSize) -> usize {
        (**self).batch_size(pictures, size)
    }

    fn look(&self, pictures: &[&Resampled], question: &Question<'_>) -> Result<Vec<Look>> {
        (**self).look(pictures, question)
    }

    fn features(&self) -> Option<&dyn Features> {
        (**self).features()
    }
}
