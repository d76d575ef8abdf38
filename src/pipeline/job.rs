//! One picture to look at, and where its results go.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::photo::{Encoded, Limits};
use crate::render::PictureFormat;
use crate::{Error, Result};

/// One picture, and the files to make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The picture.
    pub source: Source,
    /// Where the overlay of the run's first map goes; see [`Options::maps`](super::Options::maps).
    pub overlay: Option<Destination>,
    /// Where the panel goes.
    pub panel: Option<Destination>,
    /// Where the maps go, as `.npy` files: one for each of [`Options::maps`](super::Options::maps), or none at all.
    pub maps: Vec<PathBuf>,
}

impl Job {
    /// A picture of which nothing is written.
    pub fn new(source: Source) -> Self {
        Self { source, overlay: None, panel: None, maps: Vec::new() }
    }

    /// Whether something is drawn over its pixels.
    pub(super) fn draws(&self) -> bool {
        self.overlay.is_some() || self.panel.is_some()
    }

    /// An error that names this picture, whatever went wrong with it.
    pub(super) fn blame(&self, error: Error) -> Error {
        match error {
            Error::Io { .. } | Error::Photo { .. } => error,
            other => Error::photo(self.source.name(), other),
        }
    }
}

/// Where a picture is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a file.
    File(PathBuf),
    /// In memory, such as from standard input.
    Bytes {
        /// The name for messages and reports.
        name: PathBuf,
        /// The encoded picture.
        bytes: Arc<[u8]>,
    },
}

impl Source {
    /// Its name, for messages and reports.
    pub fn name(&self) -> &Path {
        match self {
            Self::File(path) | Self::Bytes { name: path, .. } => path,
        }
    }

    pub(super) fn read(&self, limits: &Limits) -> Result<Encoded<'_>> {
        match self {
            Self::File(path) => Encoded::open(path, limits),
            Self::Bytes { name, bytes } => Encoded::new(name, bytes, limits),
        }
    }
}

/// A picture to write, and its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Where it goes.
    pub target: Target,
    /// The format that it is written in.
    pub format: PictureFormat,
}

/// Where bytes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To a file, whole or not at all; see [`WholeFile`](crate::files::WholeFile).
    File(PathBuf),
    /// To standard output; that its reader goes away is no error.
    Stdout,
}
