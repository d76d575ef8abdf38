//! Which dictionary of a PyTorch file holds the weights: the file's object itself, or an entry of a training script's.

use std::collections::BTreeMap;

use super::pickle::{Id, Object, Pickle};
use super::refusal::Refusal;
use super::view::{self, View};
use super::{MAX_TENSORS, Wrapping};
use crate::Remedy;

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
/// How many entries beside the weights are reported.
const MAX_BESIDE: usize = 64;
/// How many unknown classes of objects beside the weights are reported.
const MAX_UNKNOWN: usize = 16;

/// Why none of several dictionaries is read.
const NO_USUAL_NAME: &str = "holds dictionaries of tensors by no usual name";

type Items = [(Id, Id)];
type Found<'p> = (BTreeMap<&'p str, View<'p>>, Wrapping);

/// Finds the weights in the object of a file: the part `wanted` (a path of names joined by dots), or the first of the
/// names above, or the object itself.
pub(super) fn find<'p>(object: &'p Pickle<'_>, wanted: Option<&str>) -> Result<Found<'p>, Refusal> {
    let Object::Dict(root) = object.root() else {
        return Err(match object.class_name(object.root_id()) {
            Some(class) => whole_model("the file", &class),
            None => format!("holds {}, not a dictionary of tensors", object.root().what()),
        }
        .into());
    };
    let holds = holders(object);
    let mut wrapping = Wrapping::default();
    let mut path = wanted.into_iter().flat_map(|path| path.split('.'));
    let mut items: &Items = root;
    for _ in 0..MAX_DEPTH {
        let inner = match path.next() {
            Some(name) => Some((name, named(object, items, name)?)),
            None => usual(object, items, &holds)?,
        };
        let Some((name, inner)) = inner else { break };
        wrapping.beside.extend(others(object, items, name));
        wrapping.part = Some(wrapping.part.map_or_else(|| name.to_owned(), |outer| format!("{outer}.{name}")));
        items = inner;
    }
    let views = state_dict(object, items, &holds, &mut wrapping)?;
    wrapping.beside.truncate(MAX_BESIDE);
    wrapping.unknown = object.unknown_classes(MAX_UNKNOWN);
    Ok((views, wrapping))
}

/// The first of the usual names that has a dictionary of tensors. An opaque object with tensors that comes before it is a
/// whole model, and what follows may be something else than what the file is about.
fn usual<'p>(
    object: &'p Pickle<'_>,
    items: &'p Items,
    holds: &[bool],
) -> Result<Option<(&'static str, &'p Items)>, Refusal> {
    let mut models: Vec<(String, String)> = Vec::new();
    for name in PARTS {
        let Some(id) = object.item(items, name) else { continue };
        match object.get(id) {
            Object::Dict(inner) if holds[id] => {
                let Some((model, class)) = models.first() else { return Ok(Some((name, inner))) };
                return Err(Refusal::helped(whole_model(model, class), Remedy::Part(vec![name.to_owned()])));
            }
            Object::Opaque { .. } if object.with_tensors([id]).is_some() => {
                models.extend(object.class_name(id).map(|class| (format!("{name:?}"), class)));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Refuses a whole model, which would have to be made by its own code.
fn whole_model(what: &str, class: &str) -> String {
    format!(
        "refused: the global {class:?}; {what} is an object of it, which only its own code could make, and nothing in a file \
         is executed; if it is a whole model, save its state_dict() instead"
    )
}

/// The dictionary that the caller asked for.
fn named<'p>(object: &'p Pickle<'_>, items: &'p Items, name: &str) -> Result<&'p Items, String> {
    let Some(id) = object.item(items, name) else {
        return Err(format!("has no {name:?}; its entries are {}", names(object, items).join(", ")));
    };
    dictionary(object, id).ok_or_else(|| match object.class_name(id) {
        Some(class) => whole_model(&format!("{name:?}"), &class),
        None => format!("{name:?} is {}, not a dictionary of tensors", object.get(id).what()),
    })
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
) -> Result<BTreeMap<&'p str, View<'p>>, Refusal> {
    let inner = items.iter().filter(|item| holds[item.1]).map(|item| label(object.get(item.0)));
    let inner: Vec<String> = inner.take(MAX_BESIDE).collect();
    if !inner.is_empty() {
        return Err(Refusal::helped(NO_USUAL_NAME, Remedy::Part(inner)));
    }
    let opaque = items.iter().map(|item| item.1).filter(|id| matches!(object.get(*id), Object::Opaque { .. }));
    if let Some(id) = object.with_tensors(opaque) {
        let key = items.iter().find(|item| item.1 == id).map(|item| label(object.get(item.0)));
        let class = object.class_name(id).unwrap_or_else(|| object.get(id).what().to_owned());
        return Err(whole_model(&format!("{:?}", key.unwrap_or_default()), &class).into());
    }
    let mut views = BTreeMap::new();
    for (key, value) in items {
        let (key, value_object) = (object.get(*key), object.get(*value));
        match (key, value_object) {
            (Object::Text(name), Object::Call(..)) => {
                if views.len() == MAX_TENSORS {
                    return Err(format!("more than {MAX_TENSORS} tensors").into());
                }
                views.insert(*name, view::view(object, *value).map_err(|message| format!("{name}: {message}"))?);
            }
            (_, Object::Call(..)) => return Err(format!("a tensor's name is {}", key.what()).into()),
            _ => wrapping.beside.push((label(key), object.summary(*value))),
        }
        if wrapping.beside.len() > 2 * MAX_BESIDE {
            wrapping.beside.truncate(MAX_BESIDE);
        }
    }
    if views.is_empty() {
        let deeper = deeper(object, items, holds);
        if !deeper.is_empty() {
            return Err(Refusal::helped(NO_USUAL_NAME, Remedy::Part(deeper)));
        }
    }
    if views.is_empty() && !items.is_empty() {
        return Err(
            format!("holds a dictionary without tensors; its entries are {}", names(object, items).join(", ")).into()
        );
    }
    Ok(views)
}

/// The dictionaries of tensors in the dictionaries of one, by their paths.
fn deeper(object: &Pickle<'_>, items: &Items, holds: &[bool]) -> Vec<String> {
    let inner = items.iter().filter_map(|(key, id)| Some((label(object.get(*key)), dictionary(object, *id)?)));
    let paths = inner.flat_map(|(outer, inner)| {
        let held = inner.iter().filter(|item| holds[item.1]);
        held.map(move |item| format!("{outer}.{}", label(object.get(item.0))))
    });
    paths.take(MAX_BESIDE).collect()
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
    beside.map(|item| (label(object.get(item.0)), object.summary(item.1))).take(MAX_BESIDE).collect()
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
