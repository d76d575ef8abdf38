//! What a pickle holds, as objects that nothing was executed for.
//!
//! Objects lie in one arena and refer to one another by number, so a pickle can neither nest so deep nor turn so much on
//! itself that walking or freeing it would not end.

use super::globals::{self, Global};
use super::machine::Machine;
use super::reader::Reader;

/// An object, by its place in the arena.
pub(super) type Id = usize;

/// A Python object, as far as files of tensors have them.
#[derive(Debug)]
pub(super) enum Object<'a> {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(&'a str),
    Bytes,
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// A dictionary, ordered or not.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// A class or function that is not known here, by its module and its name.
    Class(&'a str, &'a str),
    /// What was made of such a one, or of something in it: the class, and all that was put into it.
    Opaque {
        class: Id,
        inside: Vec<Id>,
    },
    /// A function that makes a tensor, and the tuple of its arguments.
    Call(Global, Id),
    /// What a persistent id stands for: here, a storage.
    Persistent(Id),
    /// Something that no tensor needs, by what it was made with.
    Inert(&'static str),
}

impl Object<'_> {
    /// What it is, for messages.
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) => "a string",
            Self::Bytes => "bytes",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Global(Global::GetAttr) => "the function builtins.getattr",
            Self::Global(_) | Self::Class(..) => "a function or class",
            Self::Opaque { .. } => "an object of a class that is not known here",
            Self::Call(..) => "a tensor",
            Self::Persistent(_) => "a storage",
            Self::Inert(_) => "another object",
        }
    }

    /// Its value or its kind, in few words.
    pub(super) fn summary(&self) -> String {
        const LONGEST: usize = 60;
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(text) if text.chars().count() <= LONGEST => format!("{text:?}"),
            Self::Text(text) => format!("{:?}…", text.chars().take(LONGEST).collect::<String>()),
            Self::Tuple(items) => format!("a tuple of {}", items.len()),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Dict(items) => format!("a dictionary of {}", items.len()),
            Self::Inert(name) => (*name).to_owned(),
            other => other.what().to_owned(),
        }
    }
}

/// One pickle: its objects, and which of them it stands for.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads one pickle and leaves `reader` behind its end.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, String> {
        let (objects, root) = Machine::run(reader)?;
        Ok(Self { objects, root })
    }

    pub(super) fn root(&self) -> &Object<'a> {
        &self.objects[self.root]
    }

    pub(super) fn root_id(&self) -> Id {
        self.root
    }

    pub(super) fn get(&self, id: Id) -> &Object<'a> {
        &self.objects[id]
    }

    pub(super) fn objects(&self) -> &[Object<'a>] {
        &self.objects
    }

    /// The class of an opaque object, or an unknown class itself, by its full name; `None` of anything else.
    pub(super) fn class_name(&self, mut id: Id) -> Option<String> {
        /// How often an object may be of a class that is itself inside of one.
        const MOST: usize = 8;
        for _ in 0..MOST {
            match self.get(id) {
                Object::Class(module, name) => return Some(globals::shortened(module, name)),
                Object::Opaque { class, .. } => id = *class,
                _ => break,
            }
        }
        None
    }

    /// A value, or its kind, in few words.
    pub(super) fn summary(&self, id: Id) -> String {
        match (self.get(id), self.class_name(id)) {
            (Object::Class(..), Some(name)) => format!("the class or function {name}"),
            (_, Some(name)) => format!("an object of {name}"),
            (object, None) => object.summary(),
        }
    }

    /// One of `ids` in which, or in what it holds, a tensor lies, or the storage of one; `None` if there is no such.
    pub(super) fn with_tensors(&self, ids: impl IntoIterator<Item = Id>) -> Option<Id> {
        let mut seen = vec![false; self.objects.len()];
        let mut open: Vec<(Id, Id)> = ids.into_iter().map(|id| (id, id)).collect();
        while let Some((id, of)) = open.pop() {
            if std::mem::replace(&mut seen[id], true) {
                continue;
            }
            match self.get(id) {
                Object::Call(..) | Object::Persistent(_) => return Some(of),
                Object::Tuple(items) | Object::List(items) => open.extend(items.iter().map(|id| (*id, of))),
                Object::Opaque { class, inside } => open.extend(inside.iter().chain([class]).map(|id| (*id, of))),
                Object::Dict(items) => open.extend(items.iter().flat_map(|(key, value)| [(*key, of), (*value, of)])),
                _ => {}
            }
        }
        None
    }

    /// The classes that are not known here and have objects in the pickle, each once, in the order of the file: at most
    /// `most`.
    pub(super) fn unknown_classes(&self, most: usize) -> Vec<String> {
        let mut names = Vec::new();
        let opaque = |id: &Id| matches!(self.get(*id), Object::Opaque { .. });
        for name in (0..self.objects.len()).filter(opaque).filter_map(|id| self.class_name(id)) {
            if names.len() == most {
                break;
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The value of a dictionary's key; the last one if it is there twice, as in Python.
    pub(super) fn item(&self, items: &[(Id, Id)], key: &str) -> Option<Id> {
        let found = items.iter().rev().find(|(id, _)| matches!(self.get(*id), Object::Text(text) if *text == key));
        found.map(|item| item.1)
    }
}
