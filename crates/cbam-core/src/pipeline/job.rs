//! One picture to look at, and where its results go.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::maps::Detail;
use crate::photo::{Encoded, Limits};
use crate::render::PictureFormat;
use crate::{Error, Result};

/// One picture, and the files to make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The picture.
    pub source: Source,
    /// Where overlays go: one for each of [`Options::maps`](super::Options::maps); or a single one, of the first of them, or of all side
    /// by side with [`Options::compare`](super::Options::compare); or none.
    pub overlays: Vec<Destination>,
    /// Where the panel goes.
    pub panel: Option<Destination>,
    /// Where the maps go, as `.npy` files: one for each of [`Options::maps`](super::Options::maps), or none at all.
    pub maps: Vec<PathBuf>,
    /// How much of it a page shows, if one does: [`PictureReport::page`](super::PictureReport::page) is what is to be written there.
    pub page: Option<Detail>,
    /// Whether its maps are told with it, as [`PictureReport::kept`](super::PictureReport::kept).
    pub keep: bool,
}

impl Job {
    /// A picture of which nothing is written.
    pub fn new(source: Source) -> Self {
        Self { source, overlays: Vec::new(), panel: None, maps: Vec::new(), page: None, keep: false }
    }

    /// Whether its pixels are shown in something that is made of it.
    pub(super) fn draws(&self) -> bool {
        !self.overlays.is_empty() || self.panel.is_some() || self.page.is_some()
    }

    /// Whether what is made of it shows maps besides those that are asked for.
    pub(super) fn shows_all(&self) -> bool {
        self.panel.is_some() || self.page.is_some()
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
    /// Somewhere else, such as in an archive.
    Elsewhere(Elsewhere),
}

/// A picture that is read when its turn comes, on a thread of the run.
#[derive(Clone)]
pub struct Elsewhere {
    name: PathBuf,
    read: Arc<dyn Fn() -> Result<Vec<u8>> + Send + Sync>,
}

impl Elsewhere {
    /// A picture by the name that messages call it, and what reads its file.
    pub fn new(name: impl Into<PathBuf>, read: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self { name: name.into(), read: Arc::new(read) }
    }
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Elsewhere").field(&self.name).finish()
    }
}

impl PartialEq for Elsewhere {
    /// Whether both are the same picture.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.read, &other.read)
    }
}

impl Eq for Elsewhere {}

impl Source {
    /// Its name, for messages and reports.
    pub fn name(&self) -> &Path {
        match self {
            Self::File(path) | Self::Bytes { name: path, .. } | Self::Elsewhere(Elsewhere { name: path, .. }) => path,
        }
    }

    pub(super) fn read(&self, limits: &Limits) -> Result<Encoded<'_>> {
        match self {
            Self::File(path) => Encoded::open(path, limits),
            Self::Bytes { name, bytes } => Encoded::new(name, bytes, limits),
            Self::Elsewhere(from) => Encoded::of(&from.name, (from.read)()?.into(), limits),
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
    /// To a stream, such as standard output.
    Stream(Stream),
}

/// Something that the bytes of one picture are written to. That its reader goes away is no error: it has seen enough.
#[derive(Clone)]
pub struct Stream {
    name: Arc<Path>,
    to: Arc<Mutex<dyn Write + Send>>,
}

impl Stream {
    /// A stream, by the name that errors call it.
    pub fn new(name: impl AsRef<Path>, to: impl Write + Send + 'static) -> Self {
        Self { name: name.as_ref().into(), to: Arc::new(Mutex::new(to)) }
    }

    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Result<()> {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        match to.write_all(bytes).and_then(|()| to.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(Error::io(&self.name)),
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(&self.name).finish()
    }
}

impl PartialEq for Stream {
    /// Whether both are the same stream.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.to, &other.to)
    }
}

impl Eq for Stream {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails in this way.
    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is() {
        assert!(Stream::new("out", Broken(ErrorKind::BrokenPipe)).write(b"picture").is_ok());
        let full = Stream::new("out", Broken(ErrorKind::StorageFull));
        assert!(full.write(b"picture").unwrap_err().to_string().starts_with("out: "));
        assert!(full == full.clone() && full != Stream::new("out", Vec::new()));
    }
}
