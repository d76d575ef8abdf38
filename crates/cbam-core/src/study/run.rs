//! The pictures, one after the other.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Measured, Study, Subject};
use crate::text::printable;
use crate::{Error, Result};

/// What came of the pictures.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// In the order of the rows.
    pub measured: Vec<Measured>,
    /// Those that could not be measured, in the order in which they were met.
    pub missing: Vec<Missing>,
    /// Why not all pictures were looked at.
    pub stopped: Option<Error>,
}

/// A picture that could not be measured.
#[derive(Debug, Clone, Serialize)]
pub struct Missing {
    /// Its place in [`StudyPictures::rows`](super::StudyPictures::rows).
    #[serde(skip)]
    pub row: usize,
    /// Its path in the source.
    pub image: String,
    /// Why; it names the picture.
    pub reason: String,
}

/// How much is measured on a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// What is measured on all.
    Usual,
    /// What takes long, too.
    Subset,
    /// The sanity check, too.
    Sanity,
}

impl Work {
    /// Every kind, from the least to the most.
    pub const ALL: [Self; 3] = [Self::Usual, Self::Subset, Self::Sanity];
}

/// A picture that is done.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Done<'a> {
    /// Its place in [`StudyPictures::rows`](super::StudyPictures::rows).
    pub row: usize,
    /// How much was measured on it.
    pub work: Work,
    /// How long that took.
    pub took: Duration,
    /// Whether something of it was not in the cache.
    pub fresh: bool,
    /// If it could not be measured: why.
    pub missing: Option<&'a Missing>,
}

impl Study<'_> {
    /// How much is measured on the picture of a row.
    pub fn work(&self, row: usize) -> Work {
        let special = self.options.faithfulness.is_some() || self.subjects.list.iter().any(Subject::is_costly);
        match (self.chosen.sane.contains(&row), special && self.chosen.subset.contains(&row)) {
            (true, _) => Work::Sanity,
            (false, true) => Work::Subset,
            (false, false) => Work::Usual,
        }
    }

    /// Measures every picture; those that cannot be measured are named. `follow` is called after each, and says whether to go on.
    ///
    /// A folder's pictures come in the order of the rows, but one of each kind of work first, so that it is soon known how long all
    /// takes; an archive's come in its own.
    ///
    /// # Errors
    /// [`Error::Argument`] about `images` if a folder has not one of the pictures; the source's error if it fails before any picture.
    /// If it fails later, or `follow` says not to go on ([`Error::Interrupted`]), that is [`Outcome::stopped`].
    pub fn run(&mut self, follow: &mut dyn FnMut(&Done<'_>) -> bool) -> Result<Outcome> {
        self.pictures.check()?;
        let (pictures, max_bytes) = (self.pictures, self.options.limits.max_bytes);
        let order = self.order();
        let names: Vec<&str> = order.iter().map(|row| pictures.rows[*row].image.as_str()).collect();
        let mut outcome = Outcome::default();
        let visited = pictures.source.visit(&names, max_bytes, |place, bytes| {
            let row = order[place];
            let (start, fresh) = (Instant::now(), self.keep.fresh);
            let mut missing = None;
            match bytes.and_then(|bytes| self.measure(row, &bytes)) {
                Ok(measured) => outcome.measured.push(measured),
                Err(error) => missing = Some(Missing::new(row, names[place], error.advised(&self.options.say))),
            }
            let (took, fresh) = (start.elapsed(), self.keep.fresh > fresh);
            let done = Done { row, work: self.work(row), took, fresh, missing: missing.as_ref() };
            let go_on = follow(&done);
            outcome.missing.extend(missing);
            if go_on { Ok(()) } else { Err(Error::Interrupted) }
        });
        match visited {
            Err(error) if outcome.measured.is_empty() && outcome.missing.is_empty() => return Err(error),
            visited => outcome.stopped = visited.err(),
        }
        outcome.measured.sort_by_key(|measured| measured.row);
        Ok(outcome)
    }

    /// The rows, one of each kind of work first.
    fn order(&self) -> Vec<usize> {
        let works: Vec<Work> = (0..self.pictures.rows.len()).map(|row| self.work(row)).collect();
        let first = Work::ALL.into_iter().filter_map(|work| works.iter().position(|of| *of == work));
        let first: HashSet<usize> = first.collect();
        let mut order: Vec<usize> = (0..works.len()).collect();
        order.sort_by_key(|row| (!first.contains(row), *row));
        order
    }
}

impl Missing {
    fn new(row: usize, image: &str, error: Error) -> Self {
        let text = error.to_string();
        let reason = if text.contains(&*printable(image)) { text } else { format!("{image}: {text}") };
        Self { row, image: image.to_owned(), reason }
    }
}
