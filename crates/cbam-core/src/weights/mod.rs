//! Weights files: reading, fitting to a network, writing.
//!
//! | module | what |
//! |---|---|
//! | `safetensors` | the format that this crate writes |
//! | `records` | the records of a zip archive |
//! | `zip` | what `torch.save` writes since PyTorch 1.6 |
//! | `legacy` | what `torch.save` wrote before |
//! | `pickle`, `machine`, `opcode`, `scalar`, `globals`, `reader` | the pickles in both, read without executing anything |
//! | `part`, `view` | which dictionary of a pickle holds the weights; its tensors |
//! | `origin` | how to read, and what a file held around the tensors |
//! | `layout` | which network the tensors are of |
//! | `refusal` | why a file is not taken, and what helps |
//! | `report` | how a checkpoint's tensors fit a network's variables |
//! | `stranger` | other files, by their first bytes |
//! | `compare` | two checkpoints, tensor by tensor |
//! | `dtype`, `stored` | element types; a tensor, which is a view of a file's bytes |
//! | `save` | which precision is written |
//!
//! A reader trusts nothing that a file says about sizes before it has compared it with the file's length.

mod compare;
mod dtype;
mod globals;
mod layout;
mod legacy;
mod machine;
mod opcode;
mod origin;
mod part;
mod pickle;
mod reader;
mod records;
mod refusal;
mod report;
mod safetensors;
mod save;
mod scalar;
mod stored;
mod stranger;
mod view;
mod zip;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;

pub use compare::{Change, Difference};
pub use dtype::Dtype;
pub use layout::{Assumption, AttentionKind, Layout, Otherwise, RecogniseOptions, Recognised, SiteAttention};
pub use origin::{ReadOptions, Wrapping};
pub(crate) use records::Records;
pub use report::{LoadReport, Mismatch};
pub use save::Precision;
pub use stored::{Form, StoredTensor};

use crate::{Error, Result};

/// The name of BatchNorm's counter of batches, which inference and this crate's training have no use for.
const COUNTER: &str = "num_batches_tracked";
/// The counter of `torch.optim.swa_utils.AveragedModel`.
const AVERAGED: &str = "n_averaged";

/// The longest file that is read, in bytes: 8 GiB.
const MAX_FILE: u64 = 8 << 30;

/// More tensors than any checkpoint has.
const MAX_TENSORS: usize = 1 << 16;

/// The named tensors of a weights file.
#[derive(Debug)]
pub struct Checkpoint {
    /// The tensors by name, as stored: of their own dtype, and where they lie in the file.
    pub tensors: BTreeMap<String, StoredTensor>,
    /// What the file says about itself; legacy PyTorch files say nothing.
    pub metadata: BTreeMap<String, String>,
    source: Option<(PathBuf, Format)>,
    wrapping: Wrapping,
}

/// What a reader of one format makes of a file.
#[derive(Debug, Default)]
struct Contents {
    tensors: BTreeMap<String, StoredTensor>,
    metadata: BTreeMap<String, String>,
    wrapping: Wrapping,
}

/// The format of a weights file, known by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// safetensors.
    Safetensors,
    /// What `torch.save` writes since PyTorch 1.6: a zip archive of a pickle and raw storages.
    PyTorch,
    /// What `torch.save` wrote before PyTorch 1.6: pickles, then raw storages.
    LegacyPyTorch,
}

impl Display for Format {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Safetensors => "safetensors",
            Self::PyTorch => "PyTorch (zip)",
            Self::LegacyPyTorch => "legacy PyTorch (pickle)",
        })
    }
}

impl Checkpoint {
    /// A checkpoint of these tensors, to be saved.
    pub fn new(tensors: BTreeMap<String, StoredTensor>, metadata: BTreeMap<String, String>) -> Self {
        Self { tensors, metadata, source: None, wrapping: Wrapping::default() }
    }

    /// Reads a weights file: safetensors, or what PyTorch's `torch.save` wrote, with zip or before. Nothing in it is
    /// executed: objects of classes that are not known here, beside the weights, are passed over, and
    /// [`Wrapping::unknown`] names them; a file that would run something, or a whole model, is refused. Of a training script's
    /// dictionary, the weights are read ([`ReadOptions::part`] says which); prefixes such as `module.` that all names have are taken
    /// off. [`wrapping`](Self::wrapping) tells of both.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Weights`] as for [`Checkpoint::from_bytes`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &ReadOptions::default())
    }

    /// Reads a weights file as [`open`](Self::open) does, by these options.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read_file(path)?;
        Self::from_bytes_with(path, bytes, options)
    }

    /// Reads a weights file that lies in memory, where its tensors stay; `name` is what error messages call it.
    ///
    /// # Errors
    /// [`Error::Weights`] if the bytes are in no format that is read, are cut short or contradict themselves, or hold no
    /// dictionary of tensors; a pickle's forbidden opcode or global is named.
    pub fn from_bytes(name: impl AsRef<Path>, bytes: impl Into<Bytes>) -> Result<Self> {
        Self::from_bytes_with(name, bytes, &ReadOptions::default())
    }

    /// Reads a weights file that lies in memory, by these options.
    ///
    /// # Errors
    /// As for [`from_bytes`](Self::from_bytes); also if the file has no such part.
    pub fn from_bytes_with(name: impl AsRef<Path>, bytes: impl Into<Bytes>, options: &ReadOptions) -> Result<Self> {
        let (name, bytes) = (name.as_ref(), bytes.into());
        let format = detect(&bytes).map_err(|message| Error::weights(name, message))?;
        let read = |part: Option<&str>| match format {
            Format::Safetensors => Ok(safetensors::read(&bytes)?),
            Format::PyTorch => zip::read(&bytes, part),
            Format::LegacyPyTorch => legacy::read(&bytes, part),
        };
        let contents = match options.part.as_deref() {
            None => read(None),
            Some(part) => origin::part_of(format, part, &read),
        };
        let contents = contents.map_err(|refusal| refusal.about(name))?;
        let Contents { tensors, metadata, wrapping } = contents;
        let mut checkpoint = Self { tensors, metadata, source: Some((name.to_owned(), format)), wrapping };
        if !options.keep_prefixes {
            checkpoint.strip_prefixes();
        }
        Ok(checkpoint)
    }

    /// What the file held around the tensors, and the prefixes that were taken off their names.
    pub fn wrapping(&self) -> &Wrapping {
        &self.wrapping
    }

    /// The format of the file that it was read from, if it was.
    pub fn format(&self) -> Option<Format> {
        self.source.as_ref().map(|source| source.1)
    }

    /// What error messages call it.
    pub fn name(&self) -> &Path {
        self.source.as_ref().map_or(Path::new("weights in memory"), |source| &source.0)
    }

    /// The number of learned values: all elements but BatchNorm's running statistics and counters.
    pub fn parameters(&self) -> usize {
        let learned = |name: &str| !matches!(last_part(name), "running_mean" | "running_var") && !is_counter(name);
        self.tensors.iter().filter(|(name, _)| learned(name)).map(|(_, tensor)| tensor.len()).sum()
    }

    /// Takes out BatchNorm's counters of batches, which no network of this crate has.
    pub fn drop_counters(&mut self) {
        self.tensors.retain(|name, _| !is_counter(name));
    }
}

pub(crate) fn is_counter(name: &str) -> bool {
    last_part(name) == COUNTER || name == AVERAGED
}

fn last_part(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, last)| last)
}

/// The bytes of a file that a network may be in, for [`Checkpoint::from_bytes`] or [`Graph::from_bytes`](crate::graph::Graph::from_bytes).
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Weights`] if it is longer than any network.
pub fn read_file(path: impl AsRef<Path>) -> Result<Bytes> {
    let path = path.as_ref();
    let file = File::open(path).map_err(Error::io(path))?;
    let mut bytes = Vec::new();
    // Room for all of it at once, if it says how long it is and there is as much: bytes that grow are copied.
    let announced = file.metadata().map_or(0, |metadata| metadata.len());
    if announced <= MAX_FILE {
        let _ = bytes.try_reserve_exact(usize::try_from(announced).unwrap_or(0));
    }
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Error::weights(path, format!("more than {MAX_FILE} bytes; no network here is that large")));
    }
    Ok(bytes.into())
}

/// Tells the format by the first bytes.
fn detect(bytes: &[u8]) -> Result<Format, String> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if starts(records::FIRST_BYTES) {
        Ok(Format::PyTorch)
    } else if legacy::is_legacy(bytes) {
        Ok(Format::LegacyPyTorch)
    } else if bytes.get(8) == Some(&b'{') {
        Ok(Format::Safetensors)
    } else {
        Err(stranger::name(bytes))
    }
}

/// What a file is that somebody takes for a TorchScript program, and that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoScript {
    /// A file of weights, which can be opened.
    Weights,
    /// Something else, by its name.
    Other(String),
}

impl Display for NoScript {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weights => f.pad("a file of weights, not TorchScript"),
            Self::Other(name) => f.pad(name),
        }
    }
}

/// What a file is that is no TorchScript program, if it can be told.
pub fn instead_of_script(path: &Path, bytes: &Bytes) -> Option<NoScript> {
    match Checkpoint::from_bytes(path, bytes.clone()) {
        Ok(_) => Some(NoScript::Weights),
        Err(_) if detect(bytes) == Ok(Format::PyTorch) => zip::without_object(bytes).map(NoScript::Other),
        Err(_) => detect(bytes).err().filter(|name| name != stranger::UNKNOWN).map(NoScript::Other),
    }
}
