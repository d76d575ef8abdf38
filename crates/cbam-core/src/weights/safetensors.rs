//! The safetensors format: eight bytes of header length, a JSON header, then the tensors' bytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use safetensors::SafeTensors;
use safetensors::tensor::TensorInfo;
use serde::Serialize;

use super::{Contents, Dtype, MAX_TENSORS, StoredTensor};
use crate::files::WholeFile;
use crate::{Error, Result};

/// The header's key for metadata, which no tensor may have.
const METADATA: &str = "__metadata__";

/// Reads tensors and metadata.
pub(super) fn read(bytes: &Bytes) -> Result<Contents, String> {
    let broken = |error| format!("a broken safetensors file: {error}");
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let count = header.tensors().len();
    if count > MAX_TENSORS {
        return Err(format!("{count} tensors; no network here has more than {MAX_TENSORS}"));
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let mut tensors = BTreeMap::new();
    for (name, view) in SafeTensors::deserialize(bytes).map_err(broken)?.tensors() {
        let fault = |message: String| format!("{name}: {message}");
        let shape: Option<Vec<i64>> = view.shape().iter().map(|&size| i64::try_from(size).ok()).collect();
        let shape = shape.ok_or_else(|| fault(format!("shape {:?} is too large", view.shape())))?;
        let dtype = Dtype::from_safetensors(view.dtype()).map_err(fault)?;
        let tensor = StoredTensor::of_bytes(dtype, &shape, bytes.slice_ref(view.data())).map_err(fault)?;
        tensors.insert(name, tensor);
    }
    Ok(Contents { tensors, metadata, ..Default::default() })
}

/// The header, in an order that depends on nothing but its contents (the crate's own writer hashes the metadata).
#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "__metadata__", skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<&'a str, TensorInfo>,
}

/// Writes tensors as the file `path`, whole or not at all.
pub(super) fn write(
    path: &Path,
    tensors: &BTreeMap<&str, StoredTensor>,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    if tensors.contains_key(METADATA) {
        return Err(Error::weights(path, format!("no tensor may be named {METADATA}")));
    }
    // The widest elements first, so that every tensor is aligned to its own.
    let mut order: Vec<_> = tensors.iter().collect();
    order.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dtype().size()));

    let mut header = Header { metadata, tensors: BTreeMap::new() };
    let mut offset = 0;
    for (name, tensor) in &order {
        let dtype = tensor.dtype().to_safetensors();
        let shape = tensor.shape().iter().map(|&side| side as usize).collect();
        let end = offset + tensor.len() * tensor.dtype().size();
        header.tensors.insert(name, TensorInfo { dtype, shape, data_offsets: (offset, end) });
        offset = end;
    }
    let mut header = serde_json::to_vec(&header).map_err(|error| Error::weights(path, error))?;
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut out = WholeFile::create(path)?;
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(Error::io(path))?;
    out.write_all(&header).map_err(Error::io(path))?;
    for (_, tensor) in order {
        out.write_all(&tensor.bytes()).map_err(Error::io(path))?;
    }
    out.sync()?; // the weights are hours of work: a power cut must not leave their name with nothing behind it
    out.commit()
}
