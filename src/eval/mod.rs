//! How right the network is, and how well its maps point: plain numbers on the host, no tensor.
//!
//! | module | question | figures |
//! |---|---|---|
//! | [`Accuracy`] | is the class right? | top-1, top-5, each with a Wilson interval |
//! | [`Localisation`] | does the map lie on the object? | pointing game, energy in the boxes, best-threshold IoU, centre baseline |
//! | [`read_truth`] | what is right? | one class and its boxes per picture |
//! | [`PictureSource`] | where are the pictures? | a folder, or a tar archive read in order |
//!
//! Every accumulator keeps sums only, so its memory does not grow with the number of pictures.

mod accuracy;
mod estimate;
mod localisation;
mod source;
mod truth;

pub use accuracy::{Accuracy, AccuracySummary};
pub use estimate::{Estimate, Proportion};
pub use localisation::{Localisation, LocalisationSummary, PictureScore, THRESHOLDS, thresholds};
pub use source::PictureSource;
pub use truth::{BoundingBox, TruthRow, read_truth};
