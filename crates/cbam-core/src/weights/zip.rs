//! What `torch.save` writes since PyTorch 1.6: a zip archive of stored records under one folder of any name: `data.pkl`
//! (the object), `data/KEY` (the storages), `byteorder`, `version`.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::pickle::Pickle;
use super::reader::Reader;
use super::records::Records;
use super::refusal::Refusal;
use super::{Contents, part, view};
use crate::Remedy;

/// The record that holds the object.
const OBJECT: &str = "data.pkl";
/// The versions of the archive's layout that PyTorch reads.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=10;

/// Reads the tensors of an archive that `torch.save` wrote.
pub(super) fn read(bytes: &Bytes, wanted: Option<&str>) -> Result<Contents, Refusal> {
    let records = with_object(Records::list(bytes)?)?;
    check_machine(&records)?;
    let object = records.take(OBJECT)?.ok_or("a zip archive without data.pkl")?;
    let mut reader = Reader::new(&object);
    let object = Pickle::read(&mut reader)?;
    if reader.len_left() != 0 {
        return Err(format!("{OBJECT}: {} bytes are left after the pickle", reader.len_left()).into());
    }

    let (views, wrapping) = part::find(&object, wanted)?;
    view::storages(&object)?; // that none is declared twice, differently
    let mut storages = BTreeMap::new();
    for storage in views.values().map(|view| view.storage) {
        if storages.contains_key(storage.key) {
            continue;
        }
        let fault = |message: String| format!("storage {:?}: {message}", storage.key);
        let data = records.take(&format!("data/{}", storage.key)).map_err(fault)?;
        let data = data.ok_or_else(|| fault("declared but not stored".to_owned()))?;
        if data.len() != storage.bytes() {
            let message = format!("declared with {} elements, stored with {} bytes", storage.len, data.len());
            return Err(fault(message).into());
        }
        storage.check(&data).map_err(fault)?;
        storages.insert(storage.key, data);
    }
    view::check(&views, bytes.len())?;
    let tensors = view::tensors(views, &storages)?;
    Ok(Contents { tensors, wrapping, ..Default::default() })
}

/// The records of the folder of an archive's `data.pkl`.
fn with_object(records: Records) -> Result<Records, Refusal> {
    let mut folders = records.folders_with(OBJECT);
    let Some(folder) = folders.pop() else { return Err(stranger(&records)) };
    if !folders.is_empty() {
        return Err("a zip archive with more than one data.pkl".into());
    }
    let records = records.within(folder);
    if records.has("constants.pkl") || records.has("code/") {
        let message = "a TorchScript program (torch.jit.save), not a file of weights, as \
                       torch.save(torch.jit.load(file).state_dict(), other) writes it";
        return Err(Refusal::helped(message, Remedy::TorchScript));
    }
    Ok(records)
}

/// The byte order of the machine that wrote it, and the version of the layout.
fn check_machine(records: &Records) -> Result<(), String> {
    match records.take("byteorder")?.as_deref() {
        None | Some(b"little") => {}
        Some(b"big") => return Err("written in big-endian byte order, which is not read".to_owned()),
        Some(_) => return Err("its byteorder is neither little nor big".to_owned()),
    }
    let Some(version) = records.take("version")? else { return Ok(()) };
    let number = std::str::from_utf8(&version).ok().and_then(|text| text.trim().parse().ok());
    match number {
        Some(number) if VERSIONS.contains(&number) => Ok(()),
        Some(number) => Err(format!("layout version {number}; {} to {} are read", VERSIONS.start(), VERSIONS.end())),
        None => Err("its version is not a number".to_owned()),
    }
}

/// What an archive is that has no `data.pkl`; `None` if it has one, or is no archive.
pub(super) fn without_object(bytes: &Bytes) -> Option<String> {
    let records = Records::list(bytes).ok()?;
    records.folders_with(OBJECT).is_empty().then(|| stranger(&records).message)
}

/// What an archive without `data.pkl` may be.
fn stranger(records: &Records) -> Refusal {
    let what = if records.any_ends_in("archive_format") || records.any_ends_in("serialized_exported_program.json") {
        return Refusal::helped("a program of torch.export (.pt2), and not weights alone", Remedy::Graph);
    } else if records.any_ends_in(".npy") {
        "a NumPy archive (.npz)"
    } else if records.any_ends_in("model.weights.h5") {
        "a Keras model"
    } else {
        "a zip archive without data.pkl"
    };
    format!("{what}, not what torch.save writes").into()
}
