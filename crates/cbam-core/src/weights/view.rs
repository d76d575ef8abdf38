//! Tensors in a pickle: views of storages, which lie elsewhere in the file.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::globals::{Element, Global};
use super::pickle::{Id, Object, Pickle};
use super::stored::check_bools;
use super::{Dtype, StoredTensor};

/// Tensors may overlap in their storages, but together they may not take more than this times the file's length.
const MAX_OVERLAP: usize = 4;
/// More axes than any tensor has.
const MAX_AXES: usize = 64;
/// How many wrappers (a parameter of a subclass of …) a tensor may stand in.
const MAX_WRAPPERS: usize = 4;

/// A run of elements in the file, that tensors are views of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    pub(super) element: Element,
    /// How many elements.
    pub(super) len: usize,
}

/// A tensor as a view of a storage.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) storage: Storage<'a>,
    dtype: Dtype,
    offset: i64,
    size: Vec<i64>,
    stride: Vec<i64>,
}

impl Storage<'_> {
    /// Its length in the file.
    pub(super) fn bytes(&self) -> usize {
        self.len.saturating_mul(self.element.size)
    }

    /// Checks its elements.
    pub(super) fn check(&self, data: &[u8]) -> Result<(), String> {
        check_bools(self.element.dtype.ok_or("its elements are of no type that is read")?, data)
    }
}

/// The storages that a pickle declares, by their keys.
pub(super) fn storages<'p>(object: &'p Pickle<'_>) -> Result<BTreeMap<&'p str, Storage<'p>>, String> {
    let ids = object.objects().iter();
    let ids = ids.filter_map(|object| if let Object::Persistent(id) = object { Some(*id) } else { None });
    let mut declared = BTreeMap::new();
    for id in ids {
        let storage = declaration(object, id)?;
        if *declared.entry(storage.key).or_insert(storage) != storage {
            return Err(format!("storage {:?} is declared twice, differently", storage.key));
        }
    }
    Ok(declared)
}

/// A storage's persistent id: `("storage", class, key, location, length[, None])`.
fn declaration<'p>(object: &'p Pickle<'_>, id: Id) -> Result<Storage<'p>, String> {
    let wrong = || "a storage is not declared as PyTorch does it".to_owned();
    let [tag, class, key, _location, len, rest @ ..] = tuple(object, id)? else { return Err(wrong()) };
    if let [part, ..] = rest
        && !matches!(object.get(*part), Object::None)
    {
        return Err("a storage that is part of another, as PyTorch before 0.4 had them: not supported".to_owned());
    }
    match (object.get(*tag), object.get(*class), object.get(*key)) {
        (Object::Text("storage"), Object::Global(Global::Storage(element)), Object::Text(key)) => {
            let len = usize::try_from(integer(object, *len)?).map_err(|_| wrong())?;
            Ok(Storage { key, element: *element, len })
        }
        _ => Err(wrong()),
    }
}

/// The view that a call such as `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …)` describes.
pub(super) fn view<'p>(object: &'p Pickle<'_>, mut id: Id) -> Result<View<'p>, String> {
    for _ in 0..MAX_WRAPPERS {
        let Object::Call(function, arguments) = object.get(id) else {
            return Err(format!("{}, not a tensor", object.get(id).what()));
        };
        let list = tuple(object, *arguments)?;
        match (function, list) {
            (Global::RebuildParameter, [tensor, ..]) => id = *tensor,
            (Global::RebuildFromType, [function, class, arguments, ..]) => {
                match (object.get(*function), object.get(*class)) {
                    (Object::Global(function), Object::Global(Global::TensorClass)) => {
                        return dense(object, *function, tuple(object, *arguments)?);
                    }
                    _ => return Err("a tensor of a class that is not read".to_owned()),
                }
            }
            _ => return dense(object, *function, list),
        }
    }
    Err(format!("a tensor in more than {MAX_WRAPPERS} wrappers"))
}

/// The view that a function of `torch._utils` makes of its arguments.
fn dense<'p>(object: &'p Pickle<'_>, function: Global, arguments: &[Id]) -> Result<View<'p>, String> {
    match (function, arguments) {
        (Global::RebuildTensor | Global::RebuildTensorV2, [storage, offset, size, stride, rest @ ..]) => {
            let Object::Persistent(storage) = object.get(*storage) else {
                return Err(format!("a tensor of {}, not of a storage", object.get(*storage).what()));
            };
            let storage = declaration(object, *storage)?;
            let dtype = storage.element.dtype.ok_or_else(|| {
                format!("a tensor of a torch.{}, whose elements are of no type that is read", storage.element.class)
            })?;
            if let [_, _, bits, ..] = rest {
                no_math_bits(object, *bits)?;
            }
            let (size, stride) = (integers(object, *size)?, integers(object, *stride)?);
            Ok(View { storage, dtype, offset: integer(object, *offset)?, size, stride })
        }
        (Global::RebuildTensorV3, arguments) => {
            let name = arguments.iter().rev().find_map(|id| match object.get(*id) {
                Object::Global(Global::Dtype(name)) => Some(*name),
                _ => None,
            });
            Err(format!("elements of type torch.{} are not supported", name.unwrap_or("(unknown)")))
        }
        (Global::OtherTensor(what), _) => {
            Err(format!("{what}, which is not supported: only dense tensors with values are"))
        }
        (_, arguments) => Err(format!("a tensor from {} arguments", arguments.len())),
    }
}

/// Refuses a tensor whose values are the negatives or the conjugates of what is stored.
fn no_math_bits(object: &Pickle, bits: Id) -> Result<(), String> {
    let Object::Dict(items) = object.get(bits) else { return Ok(()) };
    if items.len() > MAX_AXES {
        return Err(format!("a tensor with {} attributes", items.len()));
    }
    for name in ["neg", "conj"] {
        if object.item(items, name).is_some_and(|id| matches!(object.get(id), Object::Bool(true))) {
            return Err(format!("a tensor with the bit {name:?}, as of a view that was never resolved: not supported"));
        }
    }
    Ok(())
}

fn tuple<'p>(object: &'p Pickle<'_>, id: Id) -> Result<&'p [Id], String> {
    match object.get(id) {
        Object::Tuple(items) => Ok(items),
        other => Err(format!("{} where a tuple belongs", other.what())),
    }
}

fn integer(object: &Pickle, id: Id) -> Result<i64, String> {
    match object.get(id) {
        Object::Int(value) => i64::try_from(*value).map_err(|_| format!("the number {value} is too large")),
        other => Err(format!("{} where an integer belongs", other.what())),
    }
}

fn integers(object: &Pickle, id: Id) -> Result<Vec<i64>, String> {
    let items = tuple(object, id)?;
    if items.len() > MAX_AXES {
        return Err(format!("a tensor of {} axes", items.len()));
    }
    items.iter().map(|&id| integer(object, id)).collect()
}

/// Checks that every tensor lies in its storage, and that together they take no more than the file, of `len` bytes,
/// warrants.
pub(super) fn check(views: &BTreeMap<&str, View>, len: usize) -> Result<(), String> {
    let mut total = 0_usize;
    for (name, view) in views {
        let count = view.check().map_err(|message| format!("{name}: {message}"))?;
        total = total.saturating_add(count.saturating_mul(view.dtype.size()));
        if total > len.saturating_mul(MAX_OVERLAP) {
            return Err(format!("{name}: the tensors up to here would take {total} bytes, the file has {len}"));
        }
    }
    Ok(())
}

/// The tensors themselves, which share the bytes of their storages.
pub(super) fn tensors(
    views: BTreeMap<&str, View>,
    storages: &BTreeMap<&str, Bytes>,
) -> Result<BTreeMap<String, StoredTensor>, String> {
    let tensor = |(name, view): (&str, View)| {
        let tensor = view.tensor(storages).map_err(|message| format!("{name}: {message}"))?;
        Ok((name.to_owned(), tensor))
    };
    views.into_iter().map(tensor).collect()
}

impl View<'_> {
    /// Checks that every element lies in the storage, and counts the elements.
    fn check(&self) -> Result<usize, String> {
        let outside = || {
            let Self { offset, size, stride, storage, .. } = self;
            format!(
                "size {size:?}, stride {stride:?}, offset {offset} do not fit a storage of {} elements",
                storage.len
            )
        };
        let valid = self.offset >= 0 && self.size.iter().chain(&self.stride).all(|&n| n >= 0);
        if !valid || self.size.len() != self.stride.len() {
            return Err(outside());
        }
        let count = self.size.iter().try_fold(1_i64, |product, &size| product.checked_mul(size)).ok_or_else(outside)?;
        let last =
            self.size.iter().zip(&self.stride).try_fold(self.offset, |last, (&size, &stride)| {
                last.checked_add((size - 1).max(0).checked_mul(stride)?)
            });
        match last {
            _ if count == 0 => Ok(0),
            Some(last) if (last as u64) < self.storage.len as u64 => Ok(count as usize),
            _ => Err(outside()),
        }
    }

    /// The view itself.
    fn tensor(&self, storages: &BTreeMap<&str, Bytes>) -> Result<StoredTensor, String> {
        if self.size.contains(&0) {
            return StoredTensor::of_bytes(self.dtype, &self.size, Bytes::new());
        }
        let storage = storages.get(self.storage.key).ok_or("its storage is not stored")?;
        StoredTensor::strided(self.dtype, &self.size, &self.stride, self.offset, storage)
    }
}
