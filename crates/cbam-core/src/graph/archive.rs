//! The `.pt2` archive: a zip of the graph as JSON and the numbers as they are ("PT2 Archive Spec" of PyTorch); before PyTorch 2.8,
//! the same JSON and the numbers as `torch.save` writes them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use rawzip::ZipArchive;
use serde::de::DeserializeOwned;

use super::schema::{ExportedProgram, Payload, PayloadConfig, SymInt, TensorMeta};
use crate::weights::{Checkpoint, Dtype, ReadOptions, Records, StoredTensor};

/// The longest graph that is read, in bytes of JSON.
const MAX_JSON: usize = 256 << 20;
/// Tensors may overlap, but together they may not take more than this times the file's length.
const MAX_OVERLAP: usize = 4;
/// The greatest version of the JSON's layout.
const MAX_MAJOR: i64 = 8;

/// The records that tell what an archive is.
const FORMAT: &str = "archive_format";
const OLD_PROGRAM: &str = "serialized_exported_program.json";

/// A program and its numbers by their names.
pub(super) struct Archive {
    pub(super) program: ExportedProgram,
    /// Of the `state_dict`.
    pub(super) weights: BTreeMap<String, StoredTensor>,
    pub(super) constants: BTreeMap<String, StoredTensor>,
}

/// Whether a file is an archive of `torch.export`; `None` if it is no zip archive, or cannot be read.
pub(super) fn is_at(path: &Path) -> Option<bool> {
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_file(File::open(path).ok()?, &mut buffer).ok()?;
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().ok()? {
        let path = entry.file_path();
        let name = path.as_bytes().rsplit(|byte| *byte == b'/').next()?;
        if name == FORMAT.as_bytes() || name == OLD_PROGRAM.as_bytes() {
            return Some(true);
        }
    }
    Some(false)
}

impl Archive {
    pub(super) fn read(records: Records) -> Result<Self, String> {
        if let Some(folder) = records.folders_with(OLD_PROGRAM).pop() {
            return Self::old(&records.within(folder));
        }
        let folder = records.folders_with(FORMAT).pop().ok_or("a zip archive that is none of torch.export")?;
        let records = records.within(folder);
        match records.take(FORMAT)?.as_deref() {
            Some(b"pt2") => {}
            _ => return Err(format!("a zip archive whose {FORMAT} is not pt2")),
        }
        let models: Vec<String> = records.paths().filter_map(model).collect();
        let name = match &models[..] {
            [one] => one,
            [] if records.has("data/aotinductor/") => {
                return Err(
                    "a program that AOTInductor compiled: it holds machine code and no graph; save the program that \
                            torch.export.export gives with torch.export.save"
                        .to_owned(),
                );
            }
            [] => return Err("a .pt2 archive without a graph (models/….json)".to_owned()),
            several => {
                let names = several.join(", ");
                return Err(format!("a .pt2 archive of {} graphs ({names}); one is read", several.len()));
            }
        };
        let program = program(&records, &format!("models/{name}.json"))?;
        Ok(Self {
            program,
            weights: tensors(&records, "weights", name)?,
            constants: tensors(&records, "constants", name)?,
        })
    }

    /// As PyTorch before 2.8 wrote it.
    fn old(records: &Records) -> Result<Self, String> {
        let pickled = |path: &str| match records.take(path)? {
            Some(bytes) => of_torch_save(path, bytes),
            None => Ok(BTreeMap::new()),
        };
        Ok(Self {
            program: program(records, OLD_PROGRAM)?,
            weights: pickled("serialized_state_dict.pt")?,
            constants: pickled("serialized_constants.pt")?,
        })
    }
}

/// The name of the graph that a record is.
fn model(path: &[u8]) -> Option<String> {
    let name = path.strip_prefix(b"models/")?.strip_suffix(b".json")?;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn program(records: &Records, path: &str) -> Result<ExportedProgram, String> {
    let program: ExportedProgram = json(records, path)?;
    let version = &program.schema_version;
    if version.major > MAX_MAJOR {
        return Err(format!(
            "a program of torch.export in layout {}.{}; layouts up to {MAX_MAJOR} are read",
            version.major, version.minor
        ));
    }
    Ok(program)
}

fn json<T: DeserializeOwned>(records: &Records, path: &str) -> Result<T, String> {
    let bytes = records.take(path)?.ok_or_else(|| format!("a .pt2 archive without {path}"))?;
    if bytes.len() > MAX_JSON {
        return Err(format!("{path} has {} bytes; at most {MAX_JSON} are read", bytes.len()));
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("{path}: {error}"))
}

/// The tensors of a folder of the archive, by their names in the network.
fn tensors(records: &Records, folder: &str, model: &str) -> Result<BTreeMap<String, StoredTensor>, String> {
    let path = format!("data/{folder}/{model}_{folder}_config.json");
    if !records.has(&path) {
        // Before 2.9.
        let path = format!("data/{folder}/{model}.pt");
        return records.take(&path)?.map_or_else(|| Ok(BTreeMap::new()), |bytes| of_torch_save(&path, bytes));
    }
    let PayloadConfig { config } = json(records, &path)?;
    let mut read: BTreeMap<String, Bytes> = BTreeMap::new();
    let (mut tensors, mut total) = (BTreeMap::new(), 0_usize);
    for (name, payload) in config {
        let Payload { path_name, use_pickle, tensor_meta } = payload;
        let Some(meta) = tensor_meta else { continue }; // an object of a class, which only a node that takes it is refused for
        let path = format!("data/{folder}/{path_name}");
        if use_pickle {
            return Err(format!("{name} is a tensor of a class of its own, which is not read"));
        }
        if !read.contains_key(&path) {
            let bytes = records.take(&path)?.ok_or_else(|| format!("{name}: {path} is not in the archive"))?;
            read.insert(path.clone(), bytes);
        }
        let tensor = strided(&meta, &read[&path]).map_err(|message| format!("{name}: {message}"))?;
        total = total.saturating_add(tensor.len().saturating_mul(tensor.dtype().size()));
        if total > records.len().saturating_mul(MAX_OVERLAP) {
            return Err(format!(
                "{name}: the tensors up to here would take {total} bytes, the file has {}",
                records.len()
            ));
        }
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

fn strided(meta: &TensorMeta, storage: &Bytes) -> Result<StoredTensor, String> {
    let fixed = |sides: &[SymInt]| {
        let side = |side: &SymInt| match side {
            SymInt::AsInt(side) => Ok(*side),
            SymInt::AsExpr(_) => Err("a side that is not fixed".to_owned()),
        };
        sides.iter().map(side).collect::<Result<Vec<i64>, String>>()
    };
    let offset = meta.storage_offset.as_slice();
    let offset = fixed(offset)?.first().copied().unwrap_or(0);
    StoredTensor::strided(dtype(meta.dtype)?, &fixed(&meta.sizes)?, &fixed(&meta.strides)?, offset, storage)
}

/// Tensors that `torch.save` wrote, in a record.
fn of_torch_save(path: &str, bytes: Bytes) -> Result<BTreeMap<String, StoredTensor>, String> {
    if bytes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let options = ReadOptions { keep_prefixes: true, ..ReadOptions::default() };
    match Checkpoint::from_bytes_with(path, bytes, &options) {
        Ok(checkpoint) => Ok(checkpoint.tensors),
        Err(error) => Err(error.to_string()),
    }
}

/// An element type by its number (`torch._export.serde.schema.ScalarType`).
pub(super) fn dtype(number: i64) -> Result<Dtype, String> {
    Ok(match number {
        1 => Dtype::U8,
        2 => Dtype::I8,
        3 => Dtype::I16,
        4 => Dtype::I32,
        5 => Dtype::I64,
        6 => Dtype::F16,
        7 => Dtype::F32,
        8 => Dtype::F64,
        12 => Dtype::Bool,
        13 => Dtype::BF16,
        9..=11 => return Err("elements of complex numbers, which are not read".to_owned()),
        other => return Err(format!("elements of type {other}, which is not read")),
    })
}
