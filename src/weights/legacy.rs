//! What `torch.save` wrote before PyTorch 1.6: five pickles (magic number, protocol, machine, the object, the keys of
//! its storages), then each storage as its length and its raw elements.
//!
//! The object must be a dictionary of tensors, or a dictionary that holds one under `state_dict`.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::dtype;
use super::pickle::{Global, Id, Object, Pickle};
use super::reader::Reader;

/// How every such file begins: a pickle (protocol 2) of the magic number.
pub(super) const FIRST_BYTES: [u8; 15] =
    [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];

/// The version of the layout.
const PROTOCOL: i128 = 1001;

/// Tensors may overlap in their storages, but together they may not take more than this times the file's length.
const MAX_OVERLAP: usize = 4;

/// A run of elements in the file, that tensors are views of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Storage<'a> {
    key: &'a str,
    kind: Kind,
    len: usize,
}

/// A tensor as a view of a storage.
#[derive(Debug)]
struct View<'a> {
    storage: Storage<'a>,
    offset: i64,
    size: Vec<i64>,
    stride: Vec<i64>,
}

/// Reads the tensors of a legacy PyTorch file that begins with [`FIRST_BYTES`].
pub(super) fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    let mut reader = Reader::new(bytes);
    Pickle::read(&mut reader)?; // the magic number
    check_machine(&mut reader)?;
    let object = Pickle::read(&mut reader)?;
    let keys = Pickle::read(&mut reader)?;

    let views = state_dict(&object)?;
    let storages = read_storages(&object, &keys, &mut reader)?;
    let mut total = 0_usize;
    for (name, view) in &views {
        let count = view.check().map_err(|message| format!("{name}: {message}"))?;
        total = total.saturating_add(count.saturating_mul(view.storage.kind.elt_size_in_bytes()));
        if total > bytes.len().saturating_mul(MAX_OVERLAP) {
            return Err(format!(
                "{name}: the tensors up to here would take {total} bytes, the file has {}",
                bytes.len()
            ));
        }
    }
    let tensor = |(name, view): (&str, View)| {
        let tensor = view.tensor(&storages).map_err(|message| format!("{name}: {message}"))?;
        Ok((name.to_owned(), tensor))
    };
    views.into_iter().map(tensor).collect()
}

/// The second and the third pickle: the layout's version, and the byte order of the machine that wrote it.
fn check_machine(reader: &mut Reader) -> Result<(), String> {
    match Pickle::read(reader)?.root() {
        Object::Int(PROTOCOL) => {}
        Object::Int(other) => return Err(format!("layout version {other}; only {PROTOCOL} is read")),
        other => return Err(format!("the layout's version is {}", other.what())),
    }
    let machine = Pickle::read(reader)?;
    let Object::Dict(items) = machine.root() else {
        return Err(format!("the description of the machine is {}", machine.root().what()));
    };
    match machine.item(items, "little_endian") {
        Some(Object::Bool(true)) => Ok(()),
        Some(Object::Bool(false)) => Err("written in big-endian byte order, which is not read".to_owned()),
        _ => Err("the description of the machine lacks little_endian".to_owned()),
    }
}

/// The tensors that the object names.
fn state_dict<'p>(object: &'p Pickle<'_>) -> Result<BTreeMap<&'p str, View<'p>>, String> {
    let Object::Dict(items) = object.root() else {
        return Err(format!("holds {}, not a dictionary of tensors", object.root().what()));
    };
    let items = match object.item(items, "state_dict") {
        Some(Object::Dict(inner)) => inner,
        _ => items,
    };
    let mut views = BTreeMap::new();
    for (key, value) in items {
        let Object::Text(name) = object.get(*key) else {
            return Err(format!("a tensor's name is {}", object.get(*key).what()));
        };
        views.insert(*name, view(object, *value).map_err(|message| format!("{name}: {message}"))?);
    }
    Ok(views)
}

/// What `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …)` describes.
fn view<'p>(object: &'p Pickle<'_>, mut id: Id) -> Result<View<'p>, String> {
    loop {
        let Object::Call(function, arguments) = object.get(id) else {
            return Err(format!("{}, not a tensor", object.get(id).what()));
        };
        let arguments = tuple(object, *arguments)?;
        match (function, arguments) {
            // The arguments were made before the call, so this ends.
            (Global::RebuildParameter, [tensor, ..]) => id = *tensor,
            (Global::RebuildTensor | Global::RebuildTensorV2, [storage, offset, size, stride, ..]) => {
                let Object::Persistent(storage) = object.get(*storage) else {
                    return Err(format!("a tensor of {}, not of a storage", object.get(*storage).what()));
                };
                return Ok(View {
                    storage: declaration(object, *storage)?,
                    offset: integer(object, *offset)?,
                    size: integers(object, *size)?,
                    stride: integers(object, *stride)?,
                });
            }
            _ => return Err(format!("a tensor from {} arguments", arguments.len())),
        }
    }
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
        (Object::Text("storage"), Object::Global(Global::Storage(kind)), Object::Text(key)) => {
            let len = usize::try_from(integer(object, *len)?).map_err(|_| wrong())?;
            Ok(Storage { key, kind: *kind, len })
        }
        _ => Err(wrong()),
    }
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
    tuple(object, id)?.iter().map(|&id| integer(object, id)).collect()
}

/// The storages that the tensors of `object` lie in, in the order that `keys` gives.
fn read_storages<'p>(
    object: &'p Pickle<'_>,
    keys: &Pickle,
    reader: &mut Reader,
) -> Result<BTreeMap<&'p str, Tensor>, String> {
    let mut declared = BTreeMap::new();
    for id in
        object.objects().iter().filter_map(|object| if let Object::Persistent(id) = object { Some(*id) } else { None })
    {
        let storage = declaration(object, id)?;
        if *declared.entry(storage.key).or_insert(storage) != storage {
            return Err(format!("storage {:?} is declared twice, differently", storage.key));
        }
    }
    let Object::List(ids) = keys.root() else {
        return Err(format!("the keys of the storages are {}", keys.root().what()));
    };
    let mut tensors = BTreeMap::new();
    for id in ids {
        let Object::Text(key) = keys.get(*id) else {
            return Err(format!("the key of a storage is {}", keys.get(*id).what()));
        };
        let storage =
            declared.remove(key).ok_or_else(|| format!("storage {key:?} is stored but not declared, or twice"))?;
        let fault = |message: String| format!("storage {key:?}: {message}");
        let len = u64::from_le_bytes(reader.array().map_err(fault)?);
        if len != storage.len as u64 {
            return Err(fault(format!("declared with {} elements, stored with {len}", storage.len)));
        }
        let bytes = storage.len.checked_mul(storage.kind.elt_size_in_bytes());
        let data = reader.take(bytes.unwrap_or(usize::MAX)).map_err(fault)?;
        let tensor = dtype::tensor(storage.kind, &[len as i64], data).map_err(fault)?;
        tensors.insert(storage.key, tensor);
    }
    if let Some(key) = declared.keys().next() {
        return Err(format!("storage {key:?} is declared but not stored"));
    }
    match reader.len_left() {
        0 => Ok(tensors),
        left => Err(format!("{left} bytes are left after the last storage")),
    }
}

impl View<'_> {
    /// Checks that every element lies in the storage, and counts the elements.
    fn check(&self) -> Result<usize, String> {
        let outside = || {
            let Self { offset, size, stride, storage } = self;
            format!(
                "size {size:?}, stride {stride:?}, offset {offset} do not fit a storage of {} elements",
                storage.len
            )
        };
        let valid = self.offset >= 0 && self.size.iter().chain(&self.stride).all(|&n| n >= 0);
        if !valid || self.size.len() != self.stride.len() || self.size.len() > 64 {
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

    /// The view itself; it shares memory with every other view of its storage.
    fn tensor(&self, storages: &BTreeMap<&str, Tensor>) -> Result<Tensor, String> {
        if self.size.contains(&0) {
            return dtype::tensor(self.storage.kind, &self.size, &[]);
        }
        let storage = storages.get(self.storage.key).ok_or("its storage is not stored")?;
        storage.f_as_strided(&self.size, &self.stride, self.offset).map_err(|error| error.to_string())
    }
}
