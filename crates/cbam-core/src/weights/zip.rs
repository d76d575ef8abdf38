//! What `torch.save` writes since PyTorch 1.6: a zip archive of stored records under one folder of any name: `data.pkl`
//! (the object), `data/KEY` (the storages), `byteorder`, `version`.

use std::collections::BTreeMap;

use bytes::Bytes;
use rawzip::{CompressionMethod, ZipArchive, ZipFileHeaderRecord, ZipSliceArchive};

use super::pickle::Pickle;
use super::reader::Reader;
use super::refusal::Refusal;
use super::{Contents, part, view};
use crate::Remedy;

/// How a zip archive begins.
pub(super) const FIRST_BYTES: &[u8] = b"PK\x03\x04";
/// The record that holds the object.
const OBJECT: &str = "data.pkl";
/// More records than any checkpoint has.
const MAX_RECORDS: usize = 1 << 17;
/// The versions of the archive's layout that PyTorch reads.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=10;

/// Reads the tensors of an archive that `torch.save` wrote.
pub(super) fn read(bytes: &Bytes, wanted: Option<&str>) -> Result<Contents, Refusal> {
    let archive = ZipArchive::from_slice(bytes.as_ref()).map_err(broken)?;
    if archive.end_offset() != bytes.len() as u64 {
        let left = bytes.len() as u64 - archive.end_offset().min(bytes.len() as u64);
        return Err(format!("a broken zip archive: {left} bytes are left after its end").into());
    }
    let records = Records::new(&archive)?;
    records.check_machine()?;
    let object = records.take(OBJECT)?.ok_or("a zip archive without data.pkl")?;
    let mut reader = Reader::new(object);
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
        storage.check(data).map_err(fault)?;
        storages.insert(storage.key, bytes.slice_ref(data));
    }
    view::check(&views, bytes.len())?;
    let tensors = view::tensors(views, &storages)?;
    Ok(Contents { tensors, wrapping, ..Default::default() })
}

/// The records of an archive by their paths.
struct Records<'z, 'a> {
    archive: &'z ZipSliceArchive<&'a [u8]>,
    headers: BTreeMap<&'z [u8], ZipFileHeaderRecord<'z>>,
    /// The folder that everything lies in, with its slash, or nothing.
    folder: &'z [u8],
}

impl<'z, 'a> Records<'z, 'a> {
    /// Lists the archive, and finds the folder of its `data.pkl`.
    fn new(archive: &'z ZipSliceArchive<&'a [u8]>) -> Result<Self, Refusal> {
        let mut headers = BTreeMap::new();
        for header in archive.entries() {
            let header = header.map_err(broken)?;
            let path = header.file_path().as_bytes();
            if headers.len() == MAX_RECORDS {
                return Err(format!("a zip archive of more than {MAX_RECORDS} records").into());
            }
            if headers.insert(path, header).is_some() {
                return Err(format!("a zip archive with two records {:?}", String::from_utf8_lossy(path)).into());
            }
        }
        if headers.len() as u64 != archive.entries_hint() {
            return Err(format!(
                "a broken zip archive: {} records, {} announced",
                headers.len(),
                archive.entries_hint()
            )
            .into());
        }
        no_overlaps(archive, headers.values())?;
        let mut folders = headers.keys().filter_map(|path| folder_of(path, OBJECT));
        let Some(folder) = folders.next() else { return Err(stranger(&headers)) };
        if folders.next().is_some() {
            return Err("a zip archive with more than one data.pkl".into());
        }
        let records = Self { archive, headers, folder };
        if records.has("constants.pkl") || records.has("code/") {
            let message = "a TorchScript program (torch.jit.save), not a file of weights, as \
                           torch.save(torch.jit.load(file).state_dict(), other) writes it";
            return Err(Refusal::helped(message, Remedy::TorchScript));
        }
        Ok(records)
    }

    /// Whether there is a record of this path, or in this folder.
    fn has(&self, path: &str) -> bool {
        let inside = |record: &&[u8]| {
            let rest = record.strip_prefix(self.folder);
            rest.is_some_and(|rest| rest == path.as_bytes() || path.ends_with('/') && rest.starts_with(path.as_bytes()))
        };
        self.headers.keys().any(inside)
    }

    /// The bytes of a record, `None` if it is not there. It must be stored as it is, and have the checksum that it claims;
    /// PyTorch can be told to write none, which is 0.
    fn take(&self, path: &str) -> Result<Option<&'z [u8]>, String> {
        let full = [self.folder, path.as_bytes()].concat();
        let Some(header) = self.headers.get(full.as_slice()) else { return Ok(None) };
        if header.flags().is_encrypted() {
            return Err(format!("{path} is encrypted"));
        }
        if header.compression_method() != CompressionMethod::STORE {
            let method = match header.compression_method() {
                CompressionMethod::DEFLATE => "deflate".to_owned(),
                other => format!("{other:?}"),
            };
            return Err(format!(
                "{path} is compressed ({method}), as torch.save never does: save it again with PyTorch"
            ));
        }
        let entry = self.archive.get_entry(header.wayfinder()).map_err(|error| format!("{path}: {error}"))?;
        let data = entry.data();
        if data.len() as u64 != header.uncompressed_size_hint() {
            return Err(format!("{path}: {} bytes, {} announced", data.len(), header.uncompressed_size_hint()));
        }
        if header.crc32() != 0 && rawzip::crc32(data) != header.crc32() {
            return Err(format!("{path} is damaged: its checksum is not the one that the archive gives"));
        }
        Ok(Some(data))
    }

    /// The byte order of the machine that wrote it, and the version of the layout.
    fn check_machine(&self) -> Result<(), String> {
        match self.take("byteorder")? {
            None | Some(b"little") => {}
            Some(b"big") => return Err("written in big-endian byte order, which is not read".to_owned()),
            Some(_) => return Err("its byteorder is neither little nor big".to_owned()),
        }
        let Some(version) = self.take("version")? else { return Ok(()) };
        let number = std::str::from_utf8(version).ok().and_then(|text| text.trim().parse().ok());
        match number {
            Some(number) if VERSIONS.contains(&number) => Ok(()),
            Some(number) => {
                Err(format!("layout version {number}; {} to {} are read", VERSIONS.start(), VERSIONS.end()))
            }
            None => Err("its version is not a number".to_owned()),
        }
    }
}

/// What an archive is that has no `data.pkl`; `None` if it has one, or is no archive.
pub(super) fn without_object(bytes: &[u8]) -> Option<String> {
    let archive = ZipArchive::from_slice(bytes).ok()?;
    let mut headers = BTreeMap::new();
    for header in archive.entries().take(MAX_RECORDS) {
        let header = header.ok()?;
        headers.insert(header.file_path().as_bytes(), header);
    }
    let has = headers.keys().any(|path| folder_of(path, OBJECT).is_some());
    (!has).then(|| stranger(&headers).message)
}

/// What is before `name` in a path that ends with it.
fn folder_of<'p>(path: &'p [u8], name: &str) -> Option<&'p [u8]> {
    let folder = path.strip_suffix(name.as_bytes())?;
    (folder.is_empty() || folder.ends_with(b"/")).then_some(folder)
}

/// Records that share bytes are how a small archive claims to hold much.
fn no_overlaps<'h>(
    archive: &ZipSliceArchive<&[u8]>,
    headers: impl Iterator<Item = &'h ZipFileHeaderRecord<'h>>,
) -> Result<(), String> {
    let range = |header: &ZipFileHeaderRecord| {
        let entry = archive.get_entry(header.wayfinder())?;
        Ok((header.local_header_offset(), entry.compressed_data_range().1))
    };
    let mut ranges = headers.map(range).collect::<Result<Vec<_>, _>>().map_err(broken)?;
    ranges.sort_unstable();
    if ranges.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err("a zip archive whose records overlap".to_owned());
    }
    Ok(())
}

fn broken(error: rawzip::Error) -> String {
    format!("a broken zip archive: {error}")
}

/// What an archive without `data.pkl` may be.
fn stranger(headers: &BTreeMap<&[u8], ZipFileHeaderRecord>) -> Refusal {
    let any = |suffix: &str| headers.keys().any(|path| path.ends_with(suffix.as_bytes()));
    let what = if any("archive_format") || any("serialized_exported_program.json") {
        let message = "a program of torch.export (.pt2), which is not read: save the network's weights with \
                       torch.save(model.state_dict(), file), or trace it as TorchScript with torch.jit.trace";
        return Refusal::helped(message, Remedy::TorchScript);
    } else if any(".npy") {
        "a NumPy archive (.npz)"
    } else if any("model.weights.h5") {
        "a Keras model"
    } else {
        "a zip archive without data.pkl"
    };
    format!("{what}, not what torch.save writes").into()
}
