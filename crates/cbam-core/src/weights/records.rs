//! The records of a zip archive as PyTorch writes them: stored as they are, none over another.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use rawzip::{CompressionMethod, ZipArchive};

/// How a zip archive begins.
pub(crate) const FIRST_BYTES: &[u8] = b"PK\x03\x04";
/// More records than any file of PyTorch's has.
const MAX_RECORDS: usize = 1 << 17;

/// The records of an archive by their paths.
#[derive(Debug)]
pub(crate) struct Records {
    bytes: Bytes,
    by_path: BTreeMap<Vec<u8>, Record>,
    /// The folder that everything lies in, with its slash, or nothing.
    folder: Vec<u8>,
}

/// Where a record lies, and what the archive says of it.
#[derive(Debug)]
struct Record {
    data: Range<u64>,
    size: u64,
    crc32: u32,
    method: CompressionMethod,
    encrypted: bool,
}

impl Records {
    /// Lists an archive, of which every byte must be known.
    pub(crate) fn list(bytes: &Bytes) -> Result<Self, String> {
        let archive = ZipArchive::from_slice(bytes.as_ref()).map_err(broken)?;
        if archive.end_offset() != bytes.len() as u64 {
            let left = bytes.len() as u64 - archive.end_offset().min(bytes.len() as u64);
            return Err(format!("a broken zip archive: {left} bytes are left after its end"));
        }
        let mut by_path = BTreeMap::new();
        let mut ranges = Vec::new();
        for header in archive.entries() {
            let header = header.map_err(broken)?;
            let path = header.file_path().as_bytes();
            if by_path.len() == MAX_RECORDS {
                return Err(format!("a zip archive of more than {MAX_RECORDS} records"));
            }
            let (start, end) = archive.get_entry(header.wayfinder()).map_err(broken)?.compressed_data_range();
            ranges.push((header.local_header_offset(), end));
            let record = Record {
                data: start..end,
                size: header.uncompressed_size_hint(),
                crc32: header.crc32(),
                method: header.compression_method(),
                encrypted: header.flags().is_encrypted(),
            };
            if by_path.insert(path.to_vec(), record).is_some() {
                return Err(format!("a zip archive with two records {:?}", String::from_utf8_lossy(path)));
            }
        }
        if by_path.len() as u64 != archive.entries_hint() {
            let announced = archive.entries_hint();
            return Err(format!("a broken zip archive: {} records, {announced} announced", by_path.len()));
        }
        // Records that share bytes are how a small archive claims to hold much.
        ranges.sort_unstable();
        if ranges.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return Err("a zip archive whose records overlap".to_owned());
        }
        Ok(Self { bytes: bytes.clone(), by_path, folder: Vec::new() })
    }

    /// The folders in which there is a record of this name, each with its slash.
    pub(crate) fn folders_with(&self, name: &str) -> Vec<Vec<u8>> {
        let folder = |path: &Vec<u8>| {
            let folder = path.strip_suffix(name.as_bytes())?;
            (folder.is_empty() || folder.ends_with(b"/")).then(|| folder.to_vec())
        };
        self.by_path.keys().filter_map(folder).collect()
    }

    /// The records of one folder alone, whose paths begin there.
    pub(crate) fn within(self, folder: Vec<u8>) -> Self {
        Self { folder, ..self }
    }

    /// Whether there is a record of this path, or, if it ends in a slash, in this folder.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths()
            .any(|record| record == path.as_bytes() || path.ends_with('/') && record.starts_with(path.as_bytes()))
    }

    /// The length of the whole archive, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a record's path ends so.
    pub(crate) fn any_ends_in(&self, suffix: &str) -> bool {
        self.by_path.keys().any(|path| path.ends_with(suffix.as_bytes()))
    }

    /// The paths of the records.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.by_path.keys().filter_map(|path| path.strip_prefix(&self.folder[..]))
    }

    /// The bytes of a record where they lie, `None` if it is not there. It must be stored as it is, and have the checksum that it
    /// claims; PyTorch can be told to write none, which is 0.
    pub(crate) fn take(&self, path: &str) -> Result<Option<Bytes>, String> {
        let full = [&self.folder, path.as_bytes()].concat();
        let Some(record) = self.by_path.get(&full) else { return Ok(None) };
        if record.encrypted {
            return Err(format!("{path} is encrypted"));
        }
        if record.method != CompressionMethod::STORE {
            let method = match record.method {
                CompressionMethod::DEFLATE => "deflate".to_owned(),
                other => format!("{other:?}"),
            };
            return Err(format!("{path} is compressed ({method}), as PyTorch never does: save it again with PyTorch"));
        }
        let range = usize::try_from(record.data.start).ok().zip(usize::try_from(record.data.end).ok());
        let Some((start, end)) = range.filter(|(start, end)| start <= end && *end <= self.bytes.len()) else {
            return Err(format!("{path} lies outside the file"));
        };
        let data = self.bytes.slice(start..end);
        if data.len() as u64 != record.size {
            return Err(format!("{path}: {} bytes, {} announced", data.len(), record.size));
        }
        if record.crc32 != 0 && rawzip::crc32(&data) != record.crc32 {
            return Err(format!("{path} is damaged: its checksum is not the one that the archive gives"));
        }
        Ok(Some(data))
    }
}

fn broken(error: rawzip::Error) -> String {
    format!("a broken zip archive: {error}")
}
