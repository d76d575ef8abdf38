//! Weights files: reading, putting into a network, writing.
//!
//! | module | what |
//! |---|---|
//! | `safetensors` | the format that this crate writes |
//! | `legacy`, `pickle`, `opcode`, `reader` | what `torch.save` wrote before PyTorch 1.6, read without executing anything |
//! | `apply` | a checkpoint into a network's variables, with a report |
//! | `dtype` | element types |
//! | `labels` | the names of the ImageNet classes |
//!
//! A reader trusts nothing that a file says about sizes before it has compared it with the file's length.

mod apply;
mod dtype;
mod labels;
mod legacy;
mod opcode;
mod pickle;
mod reader;
mod safetensors;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use tch::{Kind, Tensor};

pub use apply::{LoadReport, Mismatch};
pub use dtype::kind_name;
pub use labels::{imagenet_classes, imagenet_wordnet_ids, read_labels};

use crate::error::{Error, Result};

/// The name of BatchNorm's counter of batches, which inference and this crate's training have no use for.
const COUNTER: &str = "num_batches_tracked";

/// The named tensors of a weights file, on the CPU.
#[derive(Debug)]
pub struct Checkpoint {
    /// The tensors by name, as stored: their own dtype, maybe not contiguous, maybe sharing memory.
    pub tensors: BTreeMap<String, Tensor>,
    /// What the file says about itself; legacy PyTorch files say nothing.
    pub metadata: BTreeMap<String, String>,
    source: Option<(PathBuf, Format)>,
}

/// The format of a weights file, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// safetensors.
    Safetensors,
    /// What `torch.save` wrote before PyTorch 1.6: pickles, then raw storages.
    LegacyPyTorch,
}

impl Display for Format {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Safetensors => "safetensors",
            Self::LegacyPyTorch => "legacy PyTorch (pickle)",
        })
    }
}

/// The element types that [`Checkpoint::save`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Every tensor as it is.
    #[default]
    Keep,
    /// Floating-point tensors of two or more axes (the matrices of convolutions and linear layers) in f16, other
    /// floating-point tensors in f32. Biases and BatchNorm keep f32: small running variances would become zero in f16.
    HalfMatrices,
}

impl Checkpoint {
    /// A checkpoint of these tensors, to be saved.
    pub fn new(tensors: BTreeMap<String, Tensor>, metadata: BTreeMap<String, String>) -> Self {
        Self { tensors, metadata, source: None }
    }

    /// Reads a weights file: safetensors, or legacy PyTorch.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Weights`] as for [`Checkpoint::from_bytes`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_bytes(path, &std::fs::read(path).map_err(Error::io(path))?)
    }

    /// Reads a weights file that lies in memory; `name` is what error messages call it.
    ///
    /// # Errors
    /// [`Error::Weights`] if the bytes are in neither format, are cut short or contradict themselves, or hold anything
    /// but tensors; a pickle's forbidden opcode or global is named.
    pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Self> {
        let name = name.as_ref();
        let fault = |message: String| Error::weights(name, message);
        let format = detect(bytes).map_err(fault)?;
        let (tensors, metadata) = match format {
            Format::Safetensors => safetensors::read(bytes).map_err(fault)?,
            Format::LegacyPyTorch => (legacy::read(bytes).map_err(fault)?, BTreeMap::new()),
        };
        Ok(Self { tensors, metadata, source: Some((name.to_owned(), format)) })
    }

    /// The format of the file that it was read from, if it was.
    pub fn format(&self) -> Option<Format> {
        self.source.as_ref().map(|source| source.1)
    }

    /// What error messages call it.
    pub(crate) fn name(&self) -> &Path {
        self.source.as_ref().map_or(Path::new("weights in memory"), |source| &source.0)
    }

    /// The number of learned values: all elements but BatchNorm's running statistics and counters.
    pub fn parameters(&self) -> usize {
        let learned = |name: &str| !matches!(last_part(name), "running_mean" | "running_var" | COUNTER);
        self.tensors.iter().filter(|(name, _)| learned(name)).map(|(_, tensor)| tensor.numel()).sum()
    }

    /// Takes out BatchNorm's counters of batches, which no network of this crate has.
    pub fn drop_counters(&mut self) {
        self.tensors.retain(|name, _| !is_counter(name));
    }

    /// Writes a safetensors file: whole, or not at all. The same tensors and metadata give the same bytes.
    ///
    /// # Errors
    /// [`Error::Weights`] if safetensors has no name for an element type or a value is too large for f16;
    /// [`Error::Io`] if the file cannot be written; [`Error::Torch`] if a tensor cannot be copied to the host.
    pub fn save(&self, path: impl AsRef<Path>, precision: Precision) -> Result<()> {
        let path = path.as_ref();
        let mut tensors = BTreeMap::new();
        for (name, tensor) in &self.tensors {
            let tensor = tensor.detach().f_to_device(tch::Device::Cpu)?;
            let target = match precision {
                Precision::Keep => tensor.kind(),
                _ if !dtype::is_float(tensor.kind()) => tensor.kind(),
                Precision::HalfMatrices if tensor.dim() >= 2 => Kind::Half,
                Precision::HalfMatrices => Kind::Float,
            };
            let stored = tensor.f_to_kind(target)?.f_contiguous()?;
            if stored.f_isfinite()?.f_ne_tensor(&tensor.f_isfinite()?)?.f_any()?.int64_value(&[]) != 0 {
                return Err(Error::weights(path, format!("{name}: a value is too large for {}", kind_name(target))));
            }
            tensors.insert(name.as_str(), stored);
        }
        safetensors::write(path, &tensors, &self.metadata)
    }
}

fn is_counter(name: &str) -> bool {
    last_part(name) == COUNTER
}

fn last_part(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, last)| last)
}

/// Tells the format by the first bytes.
fn detect(bytes: &[u8]) -> Result<Format, String> {
    if bytes.starts_with(&legacy::FIRST_BYTES) {
        Ok(Format::LegacyPyTorch)
    } else if bytes.get(8) == Some(&b'{') {
        Ok(Format::Safetensors)
    } else if bytes.starts_with(b"PK\x03\x04") {
        Err("a zip archive, as torch.save writes since PyTorch 1.6: not supported; save it again with \
             _use_new_zipfile_serialization=False, or as safetensors"
            .to_owned())
    } else if bytes.is_empty() {
        Err("the file is empty".to_owned())
    } else {
        Err("neither safetensors nor a PyTorch file".to_owned())
    }
}
