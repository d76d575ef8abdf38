//! The pictures of a Parquet file: a column of bytes, as `datasets` writes images, or of paths.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use cbam_core::photo::Limits;
use cbam_core::pipeline::{Elsewhere, Job, Source};
use cbam_core::text::printable_path;
use cbam_core::{Error, Result};
use parquet::basic::{ConvertedType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

use super::shard::{Broken, Columns, Item, Shard};

/// Columns that are keys, if none is named.
const KEYS: [&str; 2] = ["key", "__key__"];

/// Where a file has its pictures, by the numbers of its leaves.
#[derive(Debug, Default, PartialEq, Eq)]
struct Place {
    bytes: Option<usize>,
    paths: Option<usize>,
}

/// The pictures of a file; their keys and paths are read, their bytes are not yet.
pub(super) fn open(path: &Path, columns: &Columns, limits: &Limits) -> Result<Shard> {
    // What reads Parquet panics at some files that are broken.
    let found = catch_unwind(AssertUnwindSafe(|| find(path, columns, limits)));
    found.unwrap_or_else(|_| Err(unreadable(path, &"it is broken")))
}

/// A file that cannot be read at all.
fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Error {
    let message = format!("cannot be read as Parquet: {error}; no part is made of it");
    Error::io(path)(io::Error::new(io::ErrorKind::InvalidData, message))
}

fn find(path: &Path, columns: &Columns, limits: &Limits) -> Result<Shard> {
    let broken = |error: &dyn std::fmt::Display| unreadable(path, error);
    let file = File::open(path).map_err(Error::io(path))?;
    let reader = SerializedFileReader::new(file).map_err(|error| broken(&error))?;
    let about = reader.metadata().file_metadata();
    let leaves = about.schema_descr().columns();
    let features = about.key_value_metadata().and_then(|pairs| {
        let pair = pairs.iter().find(|pair| pair.key == "huggingface")?;
        serde_json::from_str::<Value>(pair.value.as_deref()?).ok()
    });
    let place = place(path, leaves, features.as_ref(), columns.image.as_deref())?;
    let key = key(path, leaves, columns.key.as_deref())?;
    let groups = reader.metadata().row_groups().iter().map(|group| usize::try_from(group.num_rows()).ok());
    let count = groups.sum::<Option<usize>>().filter(|count| i64::try_from(*count) == Ok(about.num_rows()));
    let count = count.ok_or_else(|| broken(&"it says different numbers of rows"))?;
    let texts = |leaf: Option<usize>| leaf.map(|leaf| texts(&reader, leaf).map_err(|error| broken(&error))).transpose();
    let (keys, paths) = (texts(key)?, texts(place.paths)?);
    if [&keys, &paths].into_iter().flatten().any(|texts| texts.len() != count) {
        return Err(broken(&"its columns have different numbers of rows"));
    }
    if let Some(row) = keys.iter().flatten().position(Option::is_none) {
        let message = format!("{}: row {row} has no key", printable_path(path));
        return Err(Error::argument("--key-column", message));
    }
    let of_row = |texts: &Option<Vec<Option<String>>>, row: usize| texts.as_ref()?.get(row).cloned().flatten();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = place.bytes.map(|leaf| Arc::new(Bytes::new(reader, leaf)));
    let seen = Broken::default();
    let most = limits.max_bytes;
    let (mut jobs, mut items) = (Vec::new(), Vec::new());
    for row in 0..count {
        let own = of_row(&paths, row).filter(|path| !path.is_empty());
        let key = of_row(&keys, row).or_else(|| own.clone()).unwrap_or_else(|| format!("{stem}:{row}"));
        let name = own.clone().unwrap_or_else(|| key.clone());
        items.push(Item { key, path: own.clone() });
        let (bytes, broken, at) = (bytes.clone(), seen.clone(), name.clone());
        let read = move || {
            let stored = bytes.as_ref().map(|bytes| bytes.row(row)).transpose().map_err(|message| {
                let _ = broken.set(format!("row {row} cannot be read: {message}"));
                Error::photo(&at, message)
            })?;
            match (stored.flatten(), &own) {
                (Some(stored), _) => Ok(stored.data().to_vec()),
                (None, Some(path)) => read_file(path, most),
                (None, None) => Err(Error::photo(&at, "the row has no picture")),
            }
        };
        jobs.push(Job { keep: true, ..Job::new(Source::Elsewhere(Elsewhere::new(name, read))) });
    }
    Ok(Shard { jobs, items: items.into_iter(), notes: Vec::new(), broken: seen })
}

/// A picture's own file, which its row names.
fn read_file(path: &str, most: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut bytes = Vec::new();
    // One byte over the limit is enough to see that it is too long.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io(path))?;
    Ok(bytes)
}

/// Where the pictures are: in the column that is named, or the only one that can hold any.
fn place(
    path: &Path,
    leaves: &[Arc<ColumnDescriptor>],
    features: Option<&Value>,
    named: Option<&str>,
) -> Result<Place> {
    let leaf = |name: &str| leaves.iter().position(|leaf| leaf.path().string() == name);
    let is_bytes = |at: usize| leaves[at].physical_type() == Type::BYTE_ARRAY && leaves[at].max_rep_level() == 0;
    let is_text = |at: usize| is_bytes(at) && is_utf8(&leaves[at]);
    // A structure of bytes and a path, as `datasets` has it; plain bytes; or text, which is a path.
    let of_column = |name: &str| {
        let [inside, path] = ["bytes", "path"].map(|part| leaf(&format!("{name}.{part}")).filter(|at| is_bytes(*at)));
        match leaf(name).filter(|at| is_bytes(*at)) {
            Some(at) if is_text(at) => Some(Place { bytes: None, paths: Some(at) }),
            Some(at) => {
                let beside = leaf("path").filter(|at| is_text(*at) && name != "path");
                Some(Place { bytes: Some(at), paths: beside })
            }
            None => (inside.is_some() || path.is_some()).then_some(Place { bytes: inside, paths: path }),
        }
    };
    let mut columns: Vec<&str> = Vec::new();
    for leaf in leaves {
        let name = leaf.path().parts()[0].as_str();
        if !columns.contains(&name) {
            columns.push(name);
        }
    }
    let there = || columns.join(", ");
    if let Some(name) = named {
        return of_column(name).ok_or_else(|| {
            let message = format!("{}: {name:?} holds no pictures; its columns are {}", printable_path(path), there());
            Error::argument("--image-column", message)
        });
    }
    let said = |name: &&&str| features.is_some_and(|of| of["info"]["features"][**name]["_type"] == "Image");
    let structure = |name: &&&str| leaf(&format!("{name}.bytes")).is_some_and(is_bytes);
    let plain = |name: &&&str| leaf(name).is_some_and(|at| is_bytes(at) && !is_text(at));
    let usual = |name: &&&str| **name == "image" && leaf(name).is_some_and(is_text);
    let kinds: [&dyn Fn(&&&str) -> bool; 4] = [&said, &structure, &plain, &usual];
    for kind in kinds {
        let found: Vec<&&str> = columns.iter().filter(|name| kind(name)).collect();
        match found[..] {
            [] => {}
            [name] => {
                if let Some(place) = of_column(name) {
                    return Ok(place);
                }
            }
            _ => {
                let names: Vec<&str> = found.into_iter().copied().collect();
                let message = format!("{} has several: say which of {}", printable_path(path), names.join(", "));
                return Err(Error::argument("--image-column", message));
            }
        }
    }
    let message = format!("{} has none that holds pictures for sure: say which of {}", printable_path(path), there());
    Err(Error::argument("--image-column", message))
}

fn is_utf8(leaf: &ColumnDescriptor) -> bool {
    leaf.converted_type() == ConvertedType::UTF8
}

/// The column of the keys: the one that is named, or one that is called so.
fn key(path: &Path, leaves: &[Arc<ColumnDescriptor>], named: Option<&str>) -> Result<Option<usize>> {
    let find = |name: &str| {
        let leaf = leaves.iter().position(|leaf| leaf.path().string() == name)?;
        let of = &leaves[leaf];
        let known = integer(of).is_some() || is_utf8(of);
        (known && of.max_rep_level() == 0).then_some(leaf)
    };
    match named {
        Some(name) => find(name).map(Some).ok_or_else(|| {
            let message = format!("{}: {name:?} is no column of text or whole numbers", printable_path(path));
            Error::argument("--key-column", message)
        }),
        None => Ok(KEYS.iter().find_map(|name| find(name))),
    }
}

/// Whether a column of whole numbers, which are nothing else, has a sign.
fn integer(leaf: &ColumnDescriptor) -> Option<bool> {
    let whole = matches!(leaf.physical_type(), Type::INT32 | Type::INT64);
    match (whole, leaf.converted_type()) {
        (true, ConvertedType::NONE) if leaf.logical_type_ref().is_none() => Some(true),
        (true, ConvertedType::INT_8 | ConvertedType::INT_16 | ConvertedType::INT_32 | ConvertedType::INT_64) => {
            Some(true)
        }
        (true, ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64) => {
            Some(false)
        }
        _ => None,
    }
}

/// A column of text or whole numbers, as text.
fn texts(reader: &SerializedFileReader<File>, leaf: usize) -> Result<Vec<Option<String>>, ParquetError> {
    let mut all = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group)?;
        let about = group.metadata().column(leaf).column_descr();
        let (rows, signed) =
            ((group.metadata().num_rows() as usize, about.max_def_level()), integer(about) != Some(false));
        match group.get_column_reader(leaf)? {
            ColumnReader::ByteArrayColumnReader(column) => all.extend(whole(column, rows, text)?),
            ColumnReader::Int32ColumnReader(column) => {
                let text = |number: i32| if signed { number.to_string() } else { (number as u32).to_string() };
                all.extend(whole(column, rows, |number| Ok(text(number)))?);
            }
            ColumnReader::Int64ColumnReader(column) => {
                let text = |number: i64| if signed { number.to_string() } else { (number as u64).to_string() };
                all.extend(whole(column, rows, |number| Ok(text(number)))?);
            }
            _ => return Err(ParquetError::General("a column of another kind".to_owned())),
        }
    }
    Ok(all)
}

fn text(bytes: ByteArray) -> Result<String, ParquetError> {
    bytes.as_utf8().map(str::to_owned)
}

/// All rows of a column's part in a group: so many, and there is a value where the level is `there`.
fn whole<T: DataType>(
    mut column: ColumnReaderImpl<T>,
    (rows, there): (usize, i16),
    of: impl Fn(T::T) -> Result<String, ParquetError>,
) -> Result<Vec<Option<String>>, ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    while column.read_records(rows, Some(&mut levels), None, &mut values)?.0 > 0 {}
    let mut values = values.into_iter();
    if there == 0 {
        return values.map(|value| of(value).map(Some)).collect(); // it always has a value, and no levels
    }
    let text = |level| if level == there { values.next().map(&of).transpose() } else { Ok(None) };
    levels.into_iter().map(text).collect()
}

/// The bytes of a column's rows, read as they are asked for: about in their order, so that few are held.
struct Bytes(Mutex<Column>);

struct Column {
    reader: SerializedFileReader<File>,
    leaf: usize,
    /// The part of the column that is being read, and the rows that are left of it.
    open: Option<(ColumnReaderImpl<ByteArrayType>, usize)>,
    next_group: usize,
    next_row: usize,
    /// Rows that were read and nobody has asked for yet.
    held: HashMap<usize, Option<ByteArray>>,
    /// Why no more can be read.
    failed: Option<String>,
}

impl Bytes {
    fn new(reader: SerializedFileReader<File>, leaf: usize) -> Self {
        let (open, held) = (None, HashMap::new());
        Self(Mutex::new(Column { reader, leaf, open, next_group: 0, next_row: 0, held, failed: None }))
    }

    /// A row's bytes, once; `None` where it has none.
    fn row(&self, row: usize) -> Result<Option<ByteArray>, String> {
        let mut column = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(held) = column.held.remove(&row) {
                return Ok(held);
            }
            if let Some(failed) = &column.failed {
                return Err(failed.clone());
            }
            if column.next_row > row {
                return Err("it was read already".to_owned());
            }
            // What reads Parquet panics at some pages that are broken; the reader is not used again.
            match catch_unwind(AssertUnwindSafe(|| column.read())) {
                Ok(Ok(bytes)) => {
                    let at = column.next_row;
                    column.held.insert(at, bytes);
                    column.next_row += 1;
                }
                Ok(Err(error)) => column.failed = Some(error.to_string()),
                Err(_) => column.failed = Some("a page is broken".to_owned()),
            }
        }
    }
}

impl Column {
    /// The next row.
    fn read(&mut self) -> Result<Option<ByteArray>, ParquetError> {
        let descriptor = self.reader.metadata().file_metadata().schema_descr().column(self.leaf);
        loop {
            if let Some((column, left)) = &mut self.open
                && *left > 0
            {
                let (mut values, mut levels) = (Vec::new(), Vec::new());
                if column.read_records(1, Some(&mut levels), None, &mut values)?.0 == 0 {
                    return Err(ParquetError::General("there are fewer rows than the file says".to_owned()));
                }
                *left -= 1;
                let there = levels.first().is_none_or(|level| *level == descriptor.max_def_level());
                return Ok(values.pop().filter(|_| there));
            }
            if self.next_group >= self.reader.num_row_groups() {
                return Err(ParquetError::General("there are fewer rows than the file says".to_owned()));
            }
            let group = self.reader.get_row_group(self.next_group)?;
            self.next_group += 1;
            let rows = group.metadata().num_rows() as usize;
            self.open = Some((get_typed_column_reader(group.get_column_reader(self.leaf)?), rows));
        }
    }
}
