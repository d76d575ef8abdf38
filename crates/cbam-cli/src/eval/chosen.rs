//! Which pictures are measured, and what is known about them.

use cbam_core::classes::read_labels;
use cbam_core::eval::{PictureSource, TruthFormat};
use cbam_core::model::Description;
use cbam_core::study::{StudyPictures, class_names};
use cbam_core::{Error, Result};

use crate::eval::args::Cli;
use crate::eval::prepare::by_option;

impl Cli {
    /// The pictures that are asked for.
    pub(crate) fn pictures(&self, source: PictureSource, network: &Description) -> Result<StudyPictures> {
        let Some(path) = &self.truth else {
            if self.small {
                return Err(Error::argument("--small", "needs a table of truth: --truth"));
            }
            let mut pictures = StudyPictures::without_truth(source).map_err(by_option)?;
            pictures.rows.truncate(self.limit.unwrap_or(usize::MAX));
            return Ok(pictures);
        };
        let given = self.labels.as_ref().map(read_labels).transpose()?;
        let mut pictures = StudyPictures::with_truth(source, path, &class_names(network, given.as_deref())?)?;
        if let (true, Some(format)) = (self.small, pictures.format.filter(|format| *format != TruthFormat::Table)) {
            let message = format!("is for tables of truth with a column small; {} is {format}", path.display());
            return Err(Error::argument("--small", message));
        }
        pictures.rows.retain(|row| !self.small || row.truth.as_ref().is_some_and(|truth| truth.small));
        pictures.rows.truncate(self.limit.unwrap_or(usize::MAX));
        if pictures.rows.is_empty() {
            return Err(Error::argument("--truth", format!("{} has no row with small = 1", path.display())));
        }
        Ok(pictures)
    }
}
