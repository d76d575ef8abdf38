//! Other people's networks by their graphs: what `torch.export` and writers of ONNX write, read and understood without them.
//!
//! A graph holds operations by their names and the numbers that they take; no code, and nothing of it is executed here.
//!
//! | module | what |
//! |---|---|
//! | `archive`, `schema` | the `.pt2` archive and the JSON in it |
//! | `export`, `arguments`, `expression`, `spec` | from the JSON to a graph; the sides of its tensors; the names of its outputs |
//! | `onnx` | models of ONNX as the same graph |
//! | `program`, `texts` | the graph; what its nodes share |
//! | `score` | a number of what it gives out |
//! | `weights` | other numbers in it |
//! | `shown` | what gates and attention show of a picture |
//! | `trace` | a graph of what ran |
//! | `find` | gates, attention and places in it |
//! | `carry` | operations that only give on what they take |
//! | `alias` | values that share their elements; operations that write over what they take |
//!
//! A reader trusts nothing that a file says about sizes before it has compared it with the file's length.

mod alias;
mod archive;
mod arguments;
mod carry;
mod export;
mod expression;
mod find;
mod onnx;
mod program;
mod schema;
mod score;
mod shown;
mod spec;
mod texts;
mod trace;
mod weights;

use std::path::Path;

use bytes::Bytes;

use crate::weights::Records;
use crate::{Error, Result};

pub use carry::carried;
pub use find::{Find, Found, FoundAttention, FoundClasses, FoundGate, FoundPlace, GateKind, PlaceForm, WeightsOf};
pub use program::{About, Argument, Free, Graph, Input, Module, Node, Output, Scalar, Side, Value, Weight};
pub use score::{Score, ScorePoint};
pub use shown::Shown;

impl Graph {
    /// Reads what `torch.export.save` wrote, in the layout of PyTorch 2.8 or, if its JSON is the same, the one before; or a model of
    /// ONNX, whose numbers may lie in other files beside it.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Weights`] as for [`from_bytes`](Self::from_bytes).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::read(path, crate::weights::read_file(path)?, path.parent())
    }

    /// Reads such a file that lies in memory, where its numbers stay; `name` is what error messages call it.
    ///
    /// # Errors
    /// [`Error::Weights`] if the bytes are no such file, are cut short or contradict themselves, or hold what is not read; the
    /// operation and its module are named.
    pub fn from_bytes(name: impl AsRef<Path>, bytes: impl Into<Bytes>) -> Result<Self> {
        Self::read(name.as_ref(), bytes.into(), None)
    }

    fn read(name: &Path, bytes: Bytes, folder: Option<&Path>) -> Result<Self> {
        let read = || {
            if onnx::is_model(&bytes) {
                return onnx::graph(name, &bytes, folder);
            }
            export::graph(name, archive::Archive::read(Records::list(&bytes)?)?)
        };
        read().map_err(|message: String| Error::weights(name, message))
    }

    /// Whether a file is an archive of `torch.export`, as far as its records' names tell, or a model of ONNX by its first bytes; its
    /// numbers are not read.
    pub fn is_at(path: impl AsRef<Path>) -> bool {
        archive::is_at(path.as_ref()).unwrap_or_else(|| onnx::is_at(path.as_ref()))
    }
}
