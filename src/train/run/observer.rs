//! Who follows a training.

use std::path::Path;

use crate::Error;
use crate::eval::AccuracySummary;

/// One step, done.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct StepReport<'a> {
    /// Which one, counted from 1.
    pub step: usize,
    /// How many there are in all.
    pub steps: usize,
    /// How many pictures or views it took.
    pub pictures: usize,
    /// Pictures per second, averaged over the last steps.
    pub images_per_second: f64,
    /// The learning rate.
    pub rate: f64,
    /// The loss, then its terms, by name.
    pub figures: &'a [(&'static str, f64)],
}

/// Follows a training, and may end it.
pub trait Observer {
    /// `count` more of all the views have been drawn and run through the frozen part.
    fn prepared(&mut self, _count: usize, _total: usize) {}

    /// A picture could not be used.
    fn skipped(&mut self, error: &Error);

    /// A picture is damaged: it is used as far as it can be read.
    fn damaged(&mut self, _path: &Path, _damage: &str) {}

    /// Something that people should know of the pictures: what was left out of a folder, a class that has too few.
    fn noted(&mut self, _text: &str) {}

    /// Something went wrong beside the training, which goes on: a checkpoint or a log could not be written.
    fn trouble(&mut self, error: &Error);

    /// A step is done.
    fn stepped(&mut self, report: &StepReport<'_>);

    /// The state after that many steps lies in the file: a training that ends from now on can go on from there.
    fn saved(&mut self, _path: &Path, _step: usize) {}

    /// The accuracy on held-out pictures after that many epochs.
    fn evaluated(&mut self, _epoch: usize, _epochs: usize, _accuracy: &AccuracySummary) {}

    /// Whether the training should end: it saves first, and returns [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted).
    fn cancelled(&self) -> bool {
        false
    }
}
