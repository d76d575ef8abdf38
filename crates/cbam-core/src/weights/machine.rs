//! The pickle machine (Python's protocols 2 to 5), which executes nothing.
//!
//! It obeys the opcodes that PyTorch's files need and refuses every other by name. A global is never imported and never
//! called. What happens to it is one of three:
//!
//! - It is on the list of [`super::globals`]: the machine notes which function was applied to which arguments, and
//!   [`super::view`] says what that means; or it is something that no tensor needs, and is passed over.
//! - It is known to run or to load code (`os.system`, `builtins.eval`; [`globals::runs_code`]): the file is refused by that
//!   name, wherever in it the global stands. Nobody keeps such a thing beside weights in good faith.
//! - It is anything else, such as the class of a training script's own configuration: what is made of it is an opaque
//!   object, of which only its class's name and what was put into it are known. Beside the weights it is passed over, and
//!   named; where the weights should be (a whole model that was pickled), [`super::part`] refuses it.

use std::collections::HashMap;

use super::globals::{self, Global};
use super::opcode as op;
use super::pickle::{Id, Object};
use super::reader::Reader;
use super::scalar::scalar;

/// More objects, references, or entries of the memo than any real checkpoint has: a bound on the memory that a hostile
/// pickle can ask for.
const MAX_OBJECTS: usize = 1 << 21;

/// A stack with marks, a memo, and the arena.
#[derive(Debug, Default)]
pub(super) struct Machine<'a> {
    objects: Vec<Object<'a>>,
    /// How many references the containers hold.
    references: usize,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    /// Reads one pickle: its objects, and the place of the one that it stands for.
    pub(super) fn run(reader: &mut Reader<'a>) -> Result<(Vec<Object<'a>>, Id), String> {
        let mut machine = Self::default();
        loop {
            let at = reader.position();
            let code = reader.byte()?;
            if code == op::STOP {
                let root = machine.pop()?;
                return Ok((machine.objects, root));
            }
            machine.step(code, reader).map_err(|message| format!("{message} (opcode at byte {at})"))?;
        }
    }

    fn step(&mut self, code: u8, reader: &mut Reader<'a>) -> Result<(), String> {
        match code {
            op::PROTO => match reader.byte()? {
                2..=5 => Ok(()),
                version => Err(format!("pickle protocol {version}; 2 to 5 are read")),
            },
            op::FRAME => {
                let length = u64::from_le_bytes(reader.array()?);
                if length > reader.len_left() as u64 {
                    return Err(format!("cut short: a frame of {length} bytes, {} are left", reader.len_left()));
                }
                Ok(())
            }
            op::MARK => {
                room(self.marks.len())?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::POP => match self.marks.last() {
                Some(&mark) if mark == self.stack.len() => self.pop_mark().map(|_| ()),
                _ => self.pop().map(|_| ()),
            },
            op::POP_MARK => self.pop_mark().map(|_| ()),
            op::GLOBAL => {
                let (module, name) = (reader.line()?, reader.line()?);
                self.global(module, name)
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Object::Text(module), Object::Text(name)) = (&self.objects[module], &self.objects[name]) else {
                    return Err("a global that is not named by strings".to_owned());
                };
                let (module, name) = (*module, *name);
                self.global(module, name)
            }
            op::REDUCE | op::NEWOBJ => self.call(None),
            op::NEWOBJ_EX => {
                let by_keyword = self.pop()?;
                self.call(Some(by_keyword))
            }
            op::BUILD => self.build(),
            op::BINPERSID => self.persistent(),
            op::BINPUT => {
                let key = reader.byte()?;
                self.put(key.into())
            }
            op::LONG_BINPUT => {
                let key = reader.u32()?;
                self.put(key)
            }
            op::MEMOIZE => self.put(self.memo.len() as u32),
            op::BINGET => {
                let key = reader.byte()?;
                self.fetch(key.into())
            }
            op::LONG_BINGET => {
                let key = reader.u32()?;
                self.fetch(key)
            }
            _ if self.container(code)? => Ok(()),
            _ => {
                let value = scalar(code, reader)?;
                self.push(value)
            }
        }
    }

    /// Obeys an opcode that makes or fills a tuple, list, dictionary or set; false for every other.
    fn container(&mut self, code: u8) -> Result<bool, String> {
        match code {
            op::EMPTY_TUPLE => self.push(Object::Tuple(Vec::new())),
            op::TUPLE1 => self.tuple(1),
            op::TUPLE2 => self.tuple(2),
            op::TUPLE3 => self.tuple(3),
            op::TUPLE => {
                let items = self.pop_mark()?;
                self.count(items.len())?;
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
            op::EMPTY_SET => self.push(Object::Inert("set")),
            op::ADDITEMS => {
                let items = self.pop_mark()?;
                self.count(items.len())?;
                let top = self.top()?;
                match &mut self.objects[top] {
                    Object::Inert(_) => {}
                    Object::Opaque { inside, .. } => inside.extend(items),
                    other => return Err(format!("adds to {}", other.what())),
                }
                Ok(())
            }
            op::FROZENSET => {
                self.pop_mark()?;
                self.push(Object::Inert("frozenset"))
            }
            _ => return Ok(false),
        }
        .map(|()| true)
    }

    fn push(&mut self, object: Object<'a>) -> Result<(), String> {
        room(self.objects.len())?;
        room(self.stack.len())?;
        self.stack.push(self.objects.len());
        self.objects.push(object);
        Ok(())
    }

    /// Counts references that a container is about to hold.
    fn count(&mut self, more: usize) -> Result<(), String> {
        self.references += more;
        room(self.references)
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
        self.count(count)?;
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Object::Tuple(items))
    }

    fn extend_list(&mut self, items: &[Id]) -> Result<(), String> {
        self.count(items.len())?;
        let top = self.top()?;
        match &mut self.objects[top] {
            Object::List(list) => list.extend(items),
            Object::Inert(_) => {}
            Object::Opaque { inside, .. } => inside.extend(items),
            other => return Err(format!("appends to {}", other.what())),
        }
        Ok(())
    }

    /// Adds keys and values, which take turns in `items`.
    fn extend_dict(&mut self, items: &[Id]) -> Result<(), String> {
        self.count(items.len())?;
        let top = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.objects[top] {
            _ if !rest.is_empty() => return Err("a key has no value".to_owned()),
            Object::Dict(dict) => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            Object::Inert(_) => {}
            Object::Opaque { inside, .. } => inside.extend(items),
            other => return Err(format!("sets an item of {}", other.what())),
        }
        Ok(())
    }

    fn put(&mut self, key: u32) -> Result<(), String> {
        room(self.memo.len())?;
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn fetch(&mut self, key: u32) -> Result<(), String> {
        room(self.stack.len())?;
        let id = self.memo.get(&key).ok_or_else(|| format!("the memo has no entry {key}"))?;
        self.stack.push(*id);
        Ok(())
    }

    fn global(&mut self, module: &'a str, name: &'a str) -> Result<(), String> {
        if globals::runs_code(module, name) {
            let full = globals::shortened(module, name);
            return Err(format!(
                "refused: the global {full:?}, which runs or loads code; a file of tensors has no use for it"
            ));
        }
        self.push(Global::find(module, name).map_or(Object::Class(module, name), Object::Global))
    }

    /// Notes a call, makes a dictionary (from nothing or, as Python 2 wrote it, from a list of pairs), or passes over
    /// what no tensor needs.
    fn call(&mut self, by_keyword: Option<Id>) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Object::Tuple(items) = &self.objects[arguments] else {
            return Err(format!("calls with {} for arguments", self.objects[arguments].what()));
        };
        let global = match self.objects[callee] {
            Object::Global(Global::GetAttr) => return self.attribute(arguments),
            Object::Global(global) => global,
            Object::Class("copyreg" | "copy_reg", _) => {
                // It makes an object of its first argument, by hand as it were.
                let class = items.first().copied().unwrap_or(callee);
                return self.opaque(class, [Some(arguments), by_keyword]);
            }
            Object::Class(..) | Object::Opaque { .. } => return self.opaque(callee, [Some(arguments), by_keyword]),
            ref other => return Err(format!("calls {}", other.what())),
        };
        match global {
            Global::Inert(name) => self.push(Object::Inert(name)),
            Global::Dict => {
                let pairs = match *items.as_slice() {
                    [list] if matches!(self.objects[list], Object::List(_)) => self.pairs(list)?,
                    _ => Vec::new(),
                };
                self.count(2 * pairs.len())?;
                self.push(Object::Dict(pairs))
            }
            Global::Storage(_) | Global::Dtype(_) | Global::TensorClass | Global::GetAttr => {
                Err("a call that makes no tensor".to_owned())
            }
            Global::RebuildTensor
            | Global::RebuildTensorV2
            | Global::RebuildTensorV3
            | Global::RebuildParameter
            | Global::RebuildFromType
            | Global::OtherTensor(_) => self.push(Object::Call(global, arguments)),
        }
    }

    /// An object of an unknown class, with what went into it.
    fn opaque(&mut self, class: Id, parts: [Option<Id>; 2]) -> Result<(), String> {
        let inside: Vec<Id> = parts.into_iter().flatten().collect();
        self.count(1 + inside.len())?;
        self.push(Object::Opaque { class, inside })
    }

    /// `getattr(class, name)`, as the members of enumerations and nested classes are pickled, and `__new__` with keywords; of
    /// anything but a class or an object that no tensor needs (a scheduler keeps methods of its optimizer), or of what Python
    /// keeps for itself (`__globals__`), it is refused.
    fn attribute(&mut self, arguments: Id) -> Result<(), String> {
        if let Object::Tuple(items) = &self.objects[arguments]
            && let [of, name] = items[..]
            && let (
                Object::Class(..) | Object::Opaque { .. } | Object::Inert(_) | Object::Global(Global::Inert(_)),
                Object::Text(name),
            ) = (&self.objects[of], &self.objects[name])
            && (*name == "__new__" || !name.starts_with("__"))
        {
            return self.opaque(of, [Some(arguments), None]);
        }
        Err("refused: the global \"builtins.getattr\", applied to something else than a class of the file's own"
            .to_owned())
    }

    /// What a persistent id stands for: a storage; or, in files from before PyTorch 1.6, a class of modules with its source.
    fn persistent(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        if let Object::Tuple(items) = &self.objects[id]
            && let [tag, class, ..] = items[..]
            && matches!(self.objects[tag], Object::Text("module"))
        {
            match self.objects[class] {
                Object::Class(module, name) => return self.push(Object::Class(module, name)),
                Object::Global(global) => return self.push(Object::Global(global)),
                _ => {}
            }
        }
        self.push(Object::Persistent(id))
    }

    fn pairs(&self, list: Id) -> Result<Vec<(Id, Id)>, String> {
        let Object::List(entries) = &self.objects[list] else {
            return Err(format!("makes a dictionary from {}", self.objects[list].what()));
        };
        room(self.references + 2 * entries.len())?;
        let pair = |id: &Id| match &self.objects[*id] {
            Object::List(pair) | Object::Tuple(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
            other => Err(format!("makes an item from {}", other.what())),
        };
        entries.iter().map(pair).collect()
    }

    /// Drops the attributes of a dictionary (`_metadata`: the versions of its modules) or of an inert object, and puts those
    /// of an opaque object into it; nothing else may have any.
    fn build(&mut self) -> Result<(), String> {
        let state = self.pop()?;
        self.count(1)?;
        let top = self.top()?;
        match &mut self.objects[top] {
            Object::Dict(_) | Object::Inert(_) => {}
            Object::Opaque { inside, .. } => inside.push(state),
            other => return Err(format!("sets attributes of {}", other.what())),
        }
        Ok(())
    }
}

fn room(taken: usize) -> Result<(), String> {
    if taken < MAX_OBJECTS { Ok(()) } else { Err(format!("more than {MAX_OBJECTS} objects")) }
}
