//! A study of one's own model: how right it is, how well its maps point, and whether its decision rests on what they name.
//!
//! [`eval`](crate::eval) holds the measures; here they are taken of any [`Model`](crate::model::Model), on many pictures, as
//! `cbam-eval` takes them.
//!
//! pictures ([`StudyPictures`]: where they are, and the truth) → [`Study`] (measure each, keep the scores) → [`Set`] (figures)
//!
//! ```no_run
//! use cbam_core::eval::{FaithfulnessOptions, PictureSource};
//! use cbam_core::model::Model;
//! use cbam_core::network::NetworkFile;
//! use cbam_core::study::{Study, StudyOptions, StudyPictures, class_names};
//!
//! # fn main() -> cbam_core::Result<()> {
//! let model = NetworkFile::pretrained()?.for_inference()?; // or any other Model
//! let classes = class_names(&model.describe(), None)?;
//! let pictures = StudyPictures::with_truth(PictureSource::at("photos")?, "photos/truth.csv", &classes)?;
//!
//! let mut options = StudyOptions::default();
//! options.maps = vec!["fused".parse()?, "gradcam".parse()?];
//! options.faithfulness = Some(FaithfulnessOptions::default());
//! let mut study = Study::new(&model, &pictures, options)?;
//! let outcome = study.run(&mut |done| {
//!     eprintln!("{} took {:?}", pictures.rows[done.row].image, done.took);
//!     true // go on
//! })?;
//!
//! let figures = study.set(&outcome).all();
//! if let Some(fused) = figures.map("fused") {
//!     println!("the pointing game of fused: {:.3}, n = {}", fused.summary.pointing.value, fused.summary.n);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | what | on which pictures | what it takes of a model |
//! |---|---|---|
//! | accuracy, calibration | whose class is known | probabilities |
//! | localisation | whose objects are known | maps; [`features`](crate::model::Model::features) for explanations |
//! | faithfulness | the subset | features |
//! | the sanity check | a part of the subset | [randomised copies](Study::with_randomised) |
//! | accuracy and localisation on clutter | all | the same as without |
//! | time ([`Study::clock`]) | the subset | the maps again |
//!
//! One picture is held at a time. Scores can be [kept](Study::with_cache), so that a study goes on where it was stopped.

mod clock;
mod cluttered;
mod figures;
mod grounds;
mod measure;
mod options;
mod pictures;
mod plan;
mod record;
mod run;
mod scene;
mod set;
mod subject;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::eval::Region;
use crate::maps::MapName;
use crate::model::Look;
use crate::photo::Photo;

pub use clock::{TIMED, TimeFigures};
pub use figures::{DifferenceFigures, FaithFigures, Figures, MapFigures, SanityFigures};
pub use options::{ClutterOptions, StudyOptions};
pub use pictures::{Row, StudyPictures, class_names};
pub use plan::Study;
pub use record::{Faithful, InClutter, Located, Measured, MeasuredMap, Seen};
pub use run::{Done, Missing, Outcome, Work};
pub use set::Set;
pub use subject::{Subject, at_size};

/// What there is to show of a picture that was measured.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Drawn {
    /// The picture.
    pub photo: Arc<Photo>,
    /// What the model says of it, with every map that was measured.
    pub look: Look,
    /// Those maps.
    pub maps: Vec<MapName>,
    /// Where its objects are, if that is known.
    pub region: Option<Arc<Region>>,
}
