//! What can go wrong, and who is at fault: an argument, a file, a picture, the weights, the truth, a network, a layer's input, the
//! device, libtorch or this crate.
//!
//! Messages hold names from files; they are [`printable`], on one line.

use std::path::{Path, PathBuf};

use crate::text::{printable, printable_path};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error that names the file, key or argument at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened, read or written.
    #[error("{}: {error}", printable_path(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is no picture that can be read, or is over the limits.
    #[error("{}: {}", printable_path(path), printable(message))]
    Photo {
        /// The picture.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A weights file is broken, or does not fit the network.
    #[error("{}: {}", printable_path(path), printable(message))]
    Weights {
        /// The weights file.
        path: PathBuf,
        /// What is wrong, and the keys concerned.
        message: String,
        /// What takes the file all the same.
        remedy: Option<Remedy>,
    },
    /// What a truth says cannot be used.
    #[error("{}: {}", printable_path(path), printable(message))]
    Truth {
        /// The file, or the picture that it is of.
        path: PathBuf,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// An argument or an option has a value that cannot be used.
    #[error("{}: {}", printable(argument), printable(message))]
    Argument {
        /// The argument, by the name that the caller used.
        argument: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// What a network gives out cannot be used.
    #[error("{}: {}", printable(what), printable(message))]
    Network {
        /// What of it, or the network.
        what: String,
        /// What is wrong with it.
        message: String,
    },
    /// A layer was given a tensor of the wrong shape, kind or device.
    #[error("{layer}: expected {expected}, got {got}")]
    Input {
        /// The layer.
        layer: &'static str,
        /// The shape, kind or device that it takes.
        expected: String,
        /// The one that it was given.
        got: String,
    },
    /// A device cannot be used.
    #[error("device {}: {}", printable(device), printable(message))]
    Device {
        /// The device, as asked for.
        device: String,
        /// Why not, and what to do.
        message: String,
    },
    /// The caller ended the work before it was done.
    #[error("interrupted")]
    Interrupted,
    /// libtorch refused an operation.
    #[error("{}", printable(message))]
    Torch {
        /// What it says, without where in its own code that was.
        message: String,
    },
    /// A fault of this crate's own.
    #[error("an internal error: {}", printable(message))]
    Internal {
        /// What should not be.
        message: String,
    },
}

/// What takes a file that is refused, for a caller who knows that what stands in its way has no part in the network's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// The backbone that it can be taken for (`RecogniseOptions::arch`); the rest is then left out.
    pub arch: String,
    /// Whether attention must be left out too (`RecogniseOptions::drop_attention`).
    pub drop_attention: bool,
    /// Whether the rest looks as if the network normalised pictures by itself: they must then be taken as it does
    /// (`Network::with_preprocess`).
    pub normalises: bool,
}

#[cfg(feature = "tch")]
impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        let text = error.to_string();
        // Behind that come the frames of its stack.
        let message = text.split("\nException raised from").next().unwrap_or(&text).trim();
        Self::Torch { message: message.to_owned() }
    }
}

impl Error {
    /// An [`Error::Io`] about `path`; made for `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io { path: path.as_ref().to_owned(), error }
    }

    /// An [`Error::Photo`] about `path`.
    pub fn photo(path: impl AsRef<Path>, message: impl ToString) -> Self {
        Self::Photo { path: path.as_ref().to_owned(), message: message.to_string() }
    }

    /// An [`Error::Weights`] about `path`.
    pub fn weights(path: impl AsRef<Path>, message: impl ToString) -> Self {
        Self::Weights { path: path.as_ref().to_owned(), message: message.to_string(), remedy: None }
    }

    /// An [`Error::Truth`] about `path`.
    pub fn truth(path: impl AsRef<Path>, message: impl ToString) -> Self {
        Self::Truth { path: path.as_ref().to_owned(), message: message.to_string() }
    }

    /// An [`Error::Network`] about `what` it gives out.
    pub fn network(what: impl ToString, message: impl ToString) -> Self {
        Self::Network { what: what.to_string(), message: message.to_string() }
    }

    /// An [`Error::Internal`].
    pub fn internal(message: impl ToString) -> Self {
        Self::Internal { message: message.to_string() }
    }

    /// An [`Error::Argument`] about `argument`.
    pub fn argument(argument: impl ToString, message: impl ToString) -> Self {
        Self::Argument { argument: argument.to_string(), message: message.to_string() }
    }
}
