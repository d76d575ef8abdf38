//! Classes by name: a network's own names or those of a file, ImageNet's, and the class that somebody asks for.

mod choice;
mod names;
mod outputs;

pub use choice::ClassChoice;
pub use names::{both_answers, usual_labels};
pub use names::{imagenet_classes, imagenet_wordnet_ids, read_labels};
pub use outputs::Outputs;
