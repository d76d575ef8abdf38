//! What a network says about itself.

use crate::classes::Outputs;
use crate::maps::MapName;
use crate::photo::Preprocess;

/// What there is to know of a network before it has seen a picture.
#[derive(Debug, Clone, Default)]
pub struct Description {
    /// How a picture becomes its input.
    pub preprocess: Preprocess,
    /// How many numbers it gives out for its classes; 0 if it says nothing of classes.
    pub numbers: usize,
    /// What these numbers are.
    pub outputs: Outputs,
    /// The names of its classes, in the order of [`Readout::probabilities`](crate::maps::Readout::probabilities); classes beyond
    /// them have numbers.
    pub labels: Vec<String>,
    /// The maps that it can make, with every stage and head of its attention by name, channel gates included, and every
    /// explanation method once, without a stage. The first is the one that it shows by itself.
    pub maps: Vec<MapName>,
    /// The stages at which explanations may look.
    pub places: Vec<String>,
    /// The one of them at which explanations look if none is named.
    pub default_place: Option<String>,
    /// Those of them at which there is no gradient, so that methods that follow one cannot look there.
    pub without_gradient: Vec<String>,
    /// The stages behind which patch self-attentions stand, in the order of the network; [`MapName::PATCH`] is the first's.
    pub patch_stages: Vec<String>,
}

impl Description {
    /// How many classes it knows: two for a network that gives out one number.
    pub fn classes(&self) -> usize {
        self.outputs.answers(self.numbers as i64) as usize
    }
}
