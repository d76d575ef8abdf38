//! A reader of pickles (Python's protocol 2) that executes nothing.
//!
//! It obeys the opcodes that a dictionary of tensors needs and refuses every other by name. A global must be on a short
//! list of functions and storage classes, and is never called: the reader notes which global was applied to which
//! arguments, and [`super::legacy`] says what that means. Objects lie in one arena and refer to one another by number,
//! so a pickle can neither nest so deep nor turn so much on itself that walking or freeing it would not end.

use std::collections::HashMap;

use tch::Kind;

use super::dtype;
use super::opcode as op;
use super::reader::Reader;

/// More objects than any real checkpoint has; a bound on the memory that a hostile pickle can ask for.
const MAX_OBJECTS: usize = 1 << 20;

/// An object, by its place in the arena.
pub(super) type Id = usize;

/// A Python object, as far as a file of tensors has them.
#[derive(Debug)]
pub(super) enum Object<'a> {
    None,
    Bool(bool),
    Int(i128),
    /// A number that no tensor needs.
    Float,
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// A dictionary, ordered or not.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// A global applied to a tuple of arguments.
    Call(Global, Id),
    /// What a persistent id stands for: here, a storage.
    Persistent(Id),
}

impl Object<'_> {
    /// What it is, for messages.
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an integer",
            Self::Float => "a float",
            Self::Text(_) => "a string",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Global(_) => "a function or class",
            Self::Call(..) => "a tensor",
            Self::Persistent(_) => "a storage",
        }
    }
}

/// The globals that a file of tensors may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    Storage(Kind),
}

impl Global {
    fn find(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensorV2),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch", class) => dtype::from_storage(class).map(Self::Storage),
            _ => None,
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
        let mut machine = Machine::default();
        loop {
            let at = reader.position();
            let code = reader.byte()?;
            if code == op::STOP {
                let root = machine.pop()?;
                return Ok(Self { objects: machine.objects, root });
            }
            machine.step(code, reader).map_err(|message| format!("{message} (opcode at byte {at})"))?;
        }
    }

    pub(super) fn root(&self) -> &Object<'a> {
        &self.objects[self.root]
    }

    pub(super) fn get(&self, id: Id) -> &Object<'a> {
        &self.objects[id]
    }

    pub(super) fn objects(&self) -> &[Object<'a>] {
        &self.objects
    }

    /// The value of a dictionary's key; the last one if it is there twice, as in Python.
    pub(super) fn item(&self, items: &[(Id, Id)], key: &str) -> Option<&Object<'a>> {
        let found = items.iter().rev().find(|(id, _)| matches!(self.get(*id), Object::Text(text) if *text == key));
        found.map(|item| self.get(item.1))
    }
}

/// The pickle machine: a stack with marks, a memo, and the arena.
#[derive(Debug, Default)]
struct Machine<'a> {
    objects: Vec<Object<'a>>,
    pairs: usize,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, code: u8, reader: &mut Reader<'a>) -> Result<(), String> {
        match code {
            op::PROTO => match reader.byte()? {
                2 => Ok(()),
                version => Err(format!("pickle protocol {version}; only 2 is read")),
            },
            op::MARK => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::NONE => self.push(Object::None),
            op::NEWTRUE => self.push(Object::Bool(true)),
            op::NEWFALSE => self.push(Object::Bool(false)),
            op::BININT => self.push(Object::Int(i32::from_le_bytes(reader.array()?).into())),
            op::BININT1 => self.push(Object::Int(reader.byte()?.into())),
            op::BININT2 => self.push(Object::Int(u16::from_le_bytes(reader.array()?).into())),
            op::LONG1 => {
                let count = reader.byte()?;
                self.push(Object::Int(reader.long(count.into())?))
            }
            op::BINFLOAT => {
                reader.take(8)?;
                self.push(Object::Float)
            }
            op::SHORT_BINSTRING => {
                let count = reader.byte()?;
                self.push(Object::Text(reader.text(count.into())?))
            }
            op::BINSTRING | op::BINUNICODE => {
                let count = reader.u32()?;
                self.push(Object::Text(reader.text(count as usize)?))
            }
            op::EMPTY_TUPLE => self.push(Object::Tuple(Vec::new())),
            op::TUPLE1 => self.tuple(1),
            op::TUPLE2 => self.tuple(2),
            op::TUPLE3 => self.tuple(3),
            op::TUPLE => {
                let items = self.pop_mark()?;
                self.push(Object::Tuple(items))
            }
            op::EMPTY_LIST => self.push(Object::List(Vec::new())),
            op::APPEND => {
                let item = self.pop()?;
                self.extend_list(&[item])
            }
            op::APPENDS => {
                let items = self.pop_mark()?;
                self.extend_list(&items)
            }
            op::EMPTY_DICT => self.push(Object::Dict(Vec::new())),
            op::SETITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(&[key, value])
            }
            op::SETITEMS => {
                let items = self.pop_mark()?;
                self.extend_dict(&items)
            }
            op::BINPUT => {
                let key = reader.byte()?;
                self.put(key.into())
            }
            op::LONG_BINPUT => {
                let key = reader.u32()?;
                self.put(key)
            }
            op::BINGET => {
                let key = reader.byte()?;
                self.fetch(key.into())
            }
            op::LONG_BINGET => {
                let key = reader.u32()?;
                self.fetch(key)
            }
            op::GLOBAL => {
                let (module, name) = (reader.line()?, reader.line()?);
                let known = Global::find(module, name);
                self.push(Object::Global(known.ok_or_else(|| {
                    let full: String = format!("{module}.{name}").chars().take(120).collect();
                    format!("refused: the global {full:?}, which a file of tensors has no use for")
                })?))
            }
            op::REDUCE => self.reduce(),
            op::BUILD => self.build(),
            op::BINPERSID => {
                let id = self.pop()?;
                self.push(Object::Persistent(id))
            }
            _ => Err(op::refused_name(code).map_or_else(
                || format!("no pickle has an opcode {code:#04x}"),
                |name| format!("refused: the opcode {name}, which a file of tensors has no use for"),
            )),
        }
    }

    fn push(&mut self, object: Object<'a>) -> Result<(), String> {
        if self.objects.len() + self.pairs >= MAX_OBJECTS {
            return Err(format!("more than {MAX_OBJECTS} objects"));
        }
        self.stack.push(self.objects.len());
        self.objects.push(object);
        Ok(())
    }

    /// Takes the top of the stack, but nothing under the last mark.
    fn pop(&mut self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.pop().filter(|_| self.stack.len() >= floor);
        top.ok_or_else(|| "takes from an empty stack".to_owned())
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("has no mark to go back to")?;
        Ok(self.stack.split_off(mark))
    }

    fn top(&self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack[floor..].last().copied().ok_or_else(|| "looks at an empty stack".to_owned())
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Object::Tuple(items))
    }

    fn extend_list(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.objects[top] {
            Object::List(list) => list.extend(items),
            other => return Err(format!("appends to {}", other.what())),
        }
        Ok(())
    }

    /// Adds keys and values, which take turns in `items`.
    fn extend_dict(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.objects[top] {
            Object::Dict(dict) if rest.is_empty() => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            Object::Dict(_) => return Err("a key has no value".to_owned()),
            other => return Err(format!("sets an item of {}", other.what())),
        }
        Ok(())
    }

    fn put(&mut self, key: u32) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn fetch(&mut self, key: u32) -> Result<(), String> {
        let id = self.memo.get(&key).ok_or_else(|| format!("the memo has no entry {key}"))?;
        self.stack.push(*id);
        Ok(())
    }

    /// Notes a call, or makes an `OrderedDict`, from nothing or (as Python 2 wrote it) from a list of pairs.
    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Object::Global(global) = self.objects[callee] else {
            return Err(format!("calls {}", self.objects[callee].what()));
        };
        let Object::Tuple(items) = &self.objects[arguments] else {
            return Err(format!("calls with {} for arguments", self.objects[arguments].what()));
        };
        match (global, items.as_slice()) {
            (Global::OrderedDict, []) => self.push(Object::Dict(Vec::new())),
            (Global::OrderedDict, &[list]) => {
                let pairs = self.pairs(list)?;
                self.pairs += pairs.len();
                self.push(Object::Dict(pairs))
            }
            (Global::RebuildTensor | Global::RebuildTensorV2 | Global::RebuildParameter, _) => {
                self.push(Object::Call(global, arguments))
            }
            _ => Err("a call that makes no tensor".to_owned()),
        }
    }

    fn pairs(&self, list: Id) -> Result<Vec<(Id, Id)>, String> {
        let Object::List(entries) = &self.objects[list] else {
            return Err(format!("makes a dictionary from {}", self.objects[list].what()));
        };
        if self.objects.len() + self.pairs + entries.len() > MAX_OBJECTS {
            return Err(format!("more than {MAX_OBJECTS} objects"));
        }
        let pair = |id: &Id| match &self.objects[*id] {
            Object::List(pair) | Object::Tuple(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
            other => Err(format!("makes an item from {}", other.what())),
        };
        entries.iter().map(pair).collect()
    }

    /// Drops the attributes of a dictionary (`_metadata`: the versions of its modules); nothing else may have any.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        let top = self.top()?;
        match &self.objects[top] {
            Object::Dict(_) => Ok(()),
            other => Err(format!("sets attributes of {}", other.what())),
        }
    }
}
