//! What can go wrong, and who is at fault: an argument, a file, a picture, the weights, the truth, a network, a layer's input, the
//! device, libtorch or this crate.
//!
//! Messages hold names from files; they are [`printable`], on one line.

use std::fmt::{self, Display, Formatter};
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
    #[error("{}: {}{}", printable_path(path), printable(message), helped(remedy.as_ref()))]
    Weights {
        /// The weights file.
        path: PathBuf,
        /// What is wrong, and the keys concerned.
        message: String,
        /// What helps, if anything does.
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
    #[error("{}: {}{}", printable(argument), printable(message), helped(remedy.as_ref()))]
    Argument {
        /// The argument, by the name that the caller used.
        argument: String,
        /// What is wrong, and what would be right.
        message: String,
        /// What helps, if anything does.
        remedy: Option<Remedy>,
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
    #[error("device {}: {}{}", printable(device), printable(message), helped(remedy.as_ref()))]
    Device {
        /// The device, as asked for.
        device: String,
        /// Why not.
        message: String,
        /// What helps, if anything does.
        remedy: Option<Remedy>,
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

/// What helps against an error: data, since a library and a program call it by different names.
///
/// It stands behind the message in the words of the libraries, their options by the names of their fields; [`Error::advised`] gives
/// it another caller's words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// To take a weights file for this backbone, for a caller who knows that what stands in its way has no part in the network's
    /// answer.
    Backbone {
        /// `OpenOptions::arch`; what this backbone has no use for is then left out.
        arch: String,
        /// Whether attention must be left out too (`OpenOptions::drop_attention`).
        drop_attention: bool,
        /// Whether the rest looks as if the network normalised pictures by itself: they must then be taken as it does
        /// (`Network::with_preprocess`).
        normalises: bool,
    },
    /// `OpenOptions::drop_attention`: to leave attention out.
    DropAttention,
    /// To do without these options, by the names of their fields in `OpenOptions`: they have no effect on the file.
    Without(Vec<&'static str>),
    /// `OpenOptions::part`: to name one of these.
    Part(Vec<String>),
    /// `OpenOptions::stride_in`: to choose one of two networks.
    StrideIn {
        /// The network whose bottlenecks have their stride in the first, 1×1, convolution.
        first: String,
        /// The one whose bottlenecks have it in the 3×3 convolution.
        middle: String,
    },
    /// To open it as weights (`Network::open`).
    Weights,
    /// To open TorchScript as such (`ScriptedNetwork::open`).
    TorchScript,
    /// To open it as a graph (`Graph::open`).
    Graph,
    /// To give the network squares of that many pixels a side, or, for `None`, of the only size that it may take
    /// (`Preprocess`).
    Squares(Option<i64>),
    /// To do without a GPU.
    Cpu,
    /// To install the CUDA part of libtorch, or to do without a GPU.
    CudaLibraries,
    /// To compute in f32, or on a GPU.
    FullPrecision,
    /// To go on with the training (`RunOptions::resume`), or to remove its file.
    Resume,
}

impl Display for Remedy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backbone { arch, drop_attention, normalises } => {
                let drop = if *drop_attention { " with `drop_attention`" } else { "" };
                let input = if *normalises { ", and a `Preprocess` then says how pictures are normalised" } else { "" };
                write!(f, "`arch` {arch}{drop} takes it without{input}")
            }
            Self::DropAttention => f.write_str("`drop_attention` leaves them out"),
            Self::Without(options) => {
                let named: Vec<String> = options.iter().map(|option| format!("`{option}`")).collect();
                write!(f, "{} {} no effect", named.join(", "), if named.len() == 1 { "has" } else { "have" })
            }
            Self::Part(parts) => match &parts[..] {
                [part] => write!(f, "{part:?} can be read, as `part`"),
                parts => write!(f, "choose one of {} as `part`", quoted(parts)),
            },
            Self::StrideIn { first, middle } => {
                write!(f, "`stride_in` 1x1 reads it as {first}, 3x3 as {middle}")
            }
            Self::Weights => f.write_str("`Network::open` opens it"),
            Self::TorchScript => f.write_str("`ScriptedNetwork::open` opens TorchScript"),
            Self::Graph => f.write_str("`Graph::open` opens it"),
            Self::Squares(Some(side)) => write!(f, "a `Preprocess` for squares of {side} makes them so"),
            Self::Squares(None) => f.write_str(
                "if it takes pictures of one size only, a `Preprocess` for squares of that size makes them so",
            ),
            Self::Cpu => f.write_str("the device cpu does without"),
            Self::CudaLibraries => {
                f.write_str("LD_LIBRARY_PATH may name the folder lib of a PyTorch 2.11; the device cpu does without")
            }
            Self::FullPrecision => f.write_str("choose f32, or a GPU"),
            Self::Resume => f.write_str("`resume` goes on with it; remove the file to start anew"),
        }
    }
}

/// Names, each in quotation marks.
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// What stands behind a message.
fn helped(remedy: Option<&Remedy>) -> String {
    remedy.map_or_else(String::new, |remedy| format!("; {}", printable(&remedy.to_string())))
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
        Self::Argument { argument: argument.to_string(), message: message.to_string(), remedy: None }
    }

    /// An [`Error::Device`] about `device`, as asked for.
    pub fn device(device: impl ToString, message: impl ToString) -> Self {
        Self::Device { device: device.to_string(), message: message.to_string(), remedy: None }
    }

    /// What helps, if that is known.
    pub fn remedy(&self) -> Option<&Remedy> {
        match self {
            Self::Weights { remedy, .. } | Self::Argument { remedy, .. } | Self::Device { remedy, .. } => {
                remedy.as_ref()
            }
            _ => None,
        }
    }

    /// The same error with what helps, if it is about weights, an argument or a device.
    #[must_use]
    pub fn with_remedy(mut self, helps: Remedy) -> Self {
        if let Self::Weights { remedy, .. } | Self::Argument { remedy, .. } | Self::Device { remedy, .. } = &mut self {
            *remedy = Some(helps);
        }
        self
    }

    /// The same error with the words of a program for what helps: what `say` makes of the remedy becomes part of the message, and
    /// of a remedy that it has no words for nothing is said.
    #[must_use]
    pub fn advised(mut self, say: &dyn Fn(&Remedy) -> Option<String>) -> Self {
        if let Self::Weights { message, remedy, .. }
        | Self::Argument { message, remedy, .. }
        | Self::Device { message, remedy, .. } = &mut self
            && let Some(said) = remedy.take().and_then(|remedy| say(&remedy))
        {
            message.push_str("; ");
            message.push_str(&said);
        }
        self
    }
}
