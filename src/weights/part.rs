//! Which dictionary of a PyTorch file holds the weights: the file's object itself, or an entry of a training script's.

use std::collections::BTreeMap;

use super::Wrapping;
use super::pickle::{Id, Object, Pickle};
use super::view::{self, View};

/// What training scripts call the weights, the usual ones first: the running average only where there is nothing else.
const PARTS: [&str; 12] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema",
];

/// How deep a part may lie in other parts, such as `ema` → `module`.
const MAX_DEPTH: usize = 4;
/// More tensors than any checkpoint has.
const MAX_TENSORS: usize = 1 << 16;
/// How many entries beside the weights are told of.
const MAX_BESIDE: usize = 64;

type Items = [(Id, Id)];
type Found<'p> = (BTreeMap<&'p str, View<'p>>, Wrapping);

/// Finds the weights in the object of a file: the part `wanted` (a path of names joined by dots), or the first of the
/// names above, or the object itself.
pub(super) fn find<'p>(object: &'p Pickle<'_>, wanted: Option<&str>) -> Result<Found<'p>, String> {
    let Object::Dict(root) = object.root() else {
        return Err(format!("holds {}, not a dictionary of tensors", object.root().what()));
    };
    let holds = holders(object);
    let mut wrapping = Wrapping::default();
    let mut path = wanted.into_iter().flat_map(|path| path.split('.'));
    let mut items: &Items = root;
    for _ in 0..MAX_DEPTH {
        let inner = match path.next() {
            Some(name) => Some((name, named(object, items, name)?)),
            None => PARTS.iter().find_map(|name| match object.item(items, name) {
                Some(id) if holds[id] => dictionary(object, id).map(|inner| (*name, inner)),
                _ => None,
            }),
        };
        let Some((name, inner)) = inner else { break };
        wrapping.beside.extend(others(object, items, name));
        wrapping.part = Some(wrapping.part.map_or_else(|| name.to_owned(), |outer| format!("{outer}.{name}")));
        items = inner;
    }
    let views = state_dict(object, items, &holds, &mut wrapping)?;
    wrapping.beside.truncate(MAX_BESIDE);
    Ok((views, wrapping))
}

/// The dictionary that the caller asked for.
fn named<'p>(object: &'p Pickle<'_>, items: &'p Items, name: &str) -> Result<&'p Items, String> {
    let Some(id) = object.item(items, name) else {
        return Err(format!("has no {name:?}; its entries are {}", names(object, items).join(", ")));
    };
    dictionary(object, id).ok_or_else(|| format!("{name:?} is {}, not a dictionary of tensors", object.get(id).what()))
}

fn dictionary<'p>(object: &'p Pickle<'_>, id: Id) -> Option<&'p Items> {
    if let Object::Dict(items) = object.get(id) { Some(items) } else { None }
}

/// The tensors of a dictionary. Values that are no tensors, such as a number of epochs, are set aside; a dictionary
/// without any tensor, or one that holds other dictionaries of tensors, is not the one.
fn state_dict<'p>(
    object: &'p Pickle<'_>,
    items: &'p Items,
    holds: &[bool],
    wrapping: &mut Wrapping,
) -> Result<BTreeMap<&'p str, View<'p>>, String> {
    let inner = items.iter().filter(|item| holds[item.1]).map(|item| object.get(item.0).summary());
    let inner: Vec<String> = inner.take(MAX_BESIDE).collect();
    if !inner.is_empty() {
        let names = inner.join(", ");
        return Err(format!(
            "holds dictionaries of tensors by no usual name: choose one of {names} as the part to read"
        ));
    }
    let mut views = BTreeMap::new();
    for (key, value) in items {
        let (key, value_object) = (object.get(*key), object.get(*value));
        match (key, value_object) {
            (Object::Text(name), Object::Call(..)) => {
                if views.len() == MAX_TENSORS {
                    return Err(format!("more than {MAX_TENSORS} tensors"));
                }
                views.insert(*name, view::view(object, *value).map_err(|message| format!("{name}: {message}"))?);
            }
            (_, Object::Call(..)) => return Err(format!("a tensor's name is {}", key.what())),
            _ => wrapping.beside.push((label(key), value_object.summary())),
        }
        if wrapping.beside.len() > 2 * MAX_BESIDE {
            wrapping.beside.truncate(MAX_BESIDE);
        }
    }
    if views.is_empty() && !items.is_empty() {
        return Err(format!("holds a dictionary without tensors; its entries are {}", names(object, items).join(", ")));
    }
    Ok(views)
}

/// Of every object, whether it is a dictionary with a tensor among its values, or with a part that is such a one.
fn holders(object: &Pickle) -> Vec<bool> {
    let mut holds = vec![false; object.objects().len()];
    for round in 0..MAX_DEPTH {
        for (id, candidate) in object.objects().iter().enumerate() {
            let Object::Dict(items) = candidate else { continue };
            let counts = |(key, value): &(Id, Id)| match object.get(*key) {
                Object::Text(_) if round == 0 => matches!(object.get(*value), Object::Call(..)),
                Object::Text(name) => holds[*value] && PARTS.contains(name),
                _ => false,
            };
            if !holds[id] && items.iter().any(counts) {
                holds[id] = true;
            }
        }
    }
    holds
}

/// The entries beside `name`.
fn others(object: &Pickle, items: &Items, name: &str) -> Vec<(String, String)> {
    let beside = items.iter().filter(|item| !matches!(object.get(item.0), Object::Text(text) if *text == name));
    beside.map(|item| (label(object.get(item.0)), object.get(item.1).summary())).take(MAX_BESIDE).collect()
}

fn names(object: &Pickle, items: &Items) -> Vec<String> {
    items.iter().map(|item| object.get(item.0).summary()).take(MAX_BESIDE).collect()
}

fn label(key: &Object) -> String {
    match key {
        Object::Text(text) => text.chars().take(60).collect(),
        other => other.summary(),
    }
}
