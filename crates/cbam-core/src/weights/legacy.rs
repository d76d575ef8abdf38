//! What `torch.save` wrote before PyTorch 1.6: five pickles (magic number, protocol, machine, the object, the keys of
//! its storages), then each storage as its length and its raw elements.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::pickle::{Object, Pickle};
use super::reader::Reader;
use super::refusal::Refusal;
use super::{Contents, part, view};

/// The number in the first pickle.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// The version of the layout.
const PROTOCOL: i128 = 1001;
/// How far into a file the first pickle may reach.
const FIRST_PICKLE: usize = 64;

/// Whether a file begins with the magic number, in a pickle of any protocol.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(&bytes[..bytes.len().min(FIRST_PICKLE)]);
    bytes.first() == Some(&super::opcode::PROTO)
        && Pickle::read(&mut reader).is_ok_and(|pickle| matches!(pickle.root(), Object::Int(MAGIC)))
}

/// Reads the tensors of a file that [`is_legacy`].
pub(super) fn read(bytes: &Bytes, wanted: Option<&str>) -> Result<Contents, Refusal> {
    let mut reader = Reader::new(bytes);
    Pickle::read(&mut reader)?; // the magic number
    check_machine(&mut reader)?;
    let object = Pickle::read(&mut reader)?;
    let keys = Pickle::read(&mut reader)?;

    let (views, wrapping) = part::find(&object, wanted)?;
    let needed = views.values().map(|view| view.storage.key).collect();
    let storages = read_storages(&object, &keys, &mut reader, &needed, bytes)?;
    view::check(&views, bytes.len())?;
    let tensors = view::tensors(views, &storages)?;
    Ok(Contents { tensors, wrapping, ..Default::default() })
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
    match machine.item(items, "little_endian").map(|id| machine.get(id)) {
        Some(Object::Bool(true)) => Ok(()),
        Some(Object::Bool(false)) => Err("written in big-endian byte order, which is not read".to_owned()),
        _ => Err("the description of the machine lacks little_endian".to_owned()),
    }
}

/// The storages that lie behind the pickles, in the order that `keys` gives; those that are `needed`, as parts of the `file`.
fn read_storages<'p>(
    object: &'p Pickle<'_>,
    keys: &Pickle,
    reader: &mut Reader,
    needed: &BTreeSet<&str>,
    file: &Bytes,
) -> Result<BTreeMap<&'p str, Bytes>, String> {
    let mut declared = view::storages(object)?;
    let Object::List(ids) = keys.root() else {
        return Err(format!("the keys of the storages are {}", keys.root().what()));
    };
    let mut storages = BTreeMap::new();
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
        let data = reader.take(storage.bytes()).map_err(fault)?;
        if needed.contains(key) {
            storage.check(data).map_err(fault)?;
            storages.insert(storage.key, file.slice_ref(data));
        }
    }
    if let Some(key) = declared.keys().next() {
        return Err(format!("storage {key:?} is declared but not stored"));
    }
    match reader.len_left() {
        0 => Ok(storages),
        left => Err(format!("{left} bytes are left after the last storage")),
    }
}
