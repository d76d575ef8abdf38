//! The numbers of an ONNX file: in it, or in files that lie beside it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use bytes::{Buf, Bytes};
use prost::encoding::decode_varint;

use super::proto;
use crate::weights::{Dtype, StoredTensor};

/// Tensors may lie over one another, but together they may not take more than this times the files' lengths.
const MAX_OVERLAP: usize = 8;

/// The bytes that tensors may be of, and how many were taken of them.
#[derive(Debug)]
pub(super) struct Storage {
    /// Where the files lie that hold numbers; `None` for a model in memory.
    folder: Option<PathBuf>,
    files: RefCell<HashMap<String, Bytes>>,
    /// The bytes of all files that were opened, and those of all tensors.
    opened: RefCell<(usize, usize)>,
}

impl Storage {
    pub(super) fn new(folder: Option<&Path>, length: usize) -> Self {
        let folder = folder.map(Path::to_owned);
        Self { folder, files: RefCell::default(), opened: RefCell::new((length, 0)) }
    }

    /// A tensor, whose numbers are not copied unless they are written as varints.
    pub(super) fn tensor(&self, of: &proto::Tensor) -> Result<StoredTensor, String> {
        let dtype = dtype(of.data_type)?;
        let count = of.dims.iter().try_fold(1_usize, |count, side| count.checked_mul(usize::try_from(*side).ok()?));
        let count = count.ok_or_else(|| format!("{:?} is no shape", of.dims))?;
        let bytes = if of.data_location == 1 {
            self.outside(of)?
        } else if !of.raw_data.is_empty() {
            of.raw_data.clone()
        } else {
            typed(of, dtype, count)?
        };
        let mut opened = self.opened.borrow_mut();
        opened.1 = opened.1.saturating_add(bytes.len());
        if opened.1 > opened.0.saturating_mul(MAX_OVERLAP) {
            return Err(format!("the tensors up to here would take {} bytes, the files have {}", opened.1, opened.0));
        }
        StoredTensor::of_bytes(dtype, &of.dims, bytes)
    }

    /// Numbers in a file beside the model.
    fn outside(&self, of: &proto::Tensor) -> Result<Bytes, String> {
        let entry =
            |key: &str| of.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text.parse::<usize>().map(Some).map_err(|_| format!("its {key} is {text:?}, and no number")),
        };
        let location = entry("location").ok_or("its numbers lie in another file, whose name is missing")?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let Some(folder) = &self.folder else {
            return Err(format!("its numbers lie in {location}, beside the file; open that by its path"));
        };
        let inside =
            Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside || location.is_empty() {
            return Err(format!("its numbers lie in {location:?}, which is not beside the file"));
        }
        let mut files = self.files.borrow_mut();
        if !files.contains_key(location) {
            let bytes = crate::weights::read_file(folder.join(location)).map_err(|error| error.to_string())?;
            self.opened.borrow_mut().0 += bytes.len();
            files.insert(location.to_owned(), bytes);
        }
        let file = &files[location];
        let end = length.map_or(Some(file.len()), |length| offset.checked_add(length));
        match end.filter(|end| offset <= *end && *end <= file.len()) {
            Some(end) => Ok(file.slice(offset..end)),
            None => Err(format!("its numbers lie behind the end of {location}, which has {} bytes", file.len())),
        }
    }
}

/// Numbers that are written one by one.
fn typed(of: &proto::Tensor, dtype: Dtype, count: usize) -> Result<Bytes, String> {
    match dtype {
        Dtype::F32 => Ok(of.float_data.clone()),
        Dtype::F64 => Ok(of.double_data.clone()),
        Dtype::I64 => varints(&of.int64_data, count, i64::to_le_bytes),
        Dtype::I32 => varints(&of.int32_data, count, |number| (number as i32).to_le_bytes()),
        Dtype::F16 | Dtype::BF16 | Dtype::I16 => varints(&of.int32_data, count, |number| (number as u16).to_le_bytes()),
        Dtype::I8 | Dtype::U8 | Dtype::Bool => varints(&of.int32_data, count, |number| [number as u8]),
    }
}

fn varints<const N: usize>(packed: &Bytes, count: usize, bytes: impl Fn(i64) -> [u8; N]) -> Result<Bytes, String> {
    let mut rest = packed.clone();
    // A number takes a byte at least.
    let mut numbers = Vec::with_capacity(count.min(packed.len()) * N);
    while rest.has_remaining() {
        let number = decode_varint(&mut rest).map_err(|error| format!("its numbers are broken ({error})"))?;
        numbers.extend(bytes(number.cast_signed()));
    }
    Ok(numbers.into())
}

/// An element type by its number (`TensorProto.DataType`).
pub(super) fn dtype(number: i32) -> Result<Dtype, String> {
    let unread = match number {
        1 => return Ok(Dtype::F32),
        2 => return Ok(Dtype::U8),
        3 => return Ok(Dtype::I8),
        5 => return Ok(Dtype::I16),
        6 => return Ok(Dtype::I32),
        7 => return Ok(Dtype::I64),
        9 => return Ok(Dtype::Bool),
        10 => return Ok(Dtype::F16),
        11 => return Ok(Dtype::F64),
        16 => return Ok(Dtype::BF16),
        4 => "u16",
        8 => "string",
        12 => "u32",
        13 => "u64",
        14 | 15 => "complex numbers",
        17..=20 => "f8",
        21 | 22 => "4 bits",
        _ => return Err(format!("elements of type {number}, which is not read")),
    };
    Err(format!("elements of type {unread}, which is not read"))
}
