//! What a scripted network's code does last to one of its outputs, read from the code that its file holds.
//!
//! The code is a small part of Python, one statement a line: assignments, calls, `return`. It is followed back from what
//! `forward` returns, through the modules that it calls, to the operation that made the output. Nothing is run; what cannot
//! be followed (loops, branches that end differently) is not found.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive};

/// More bytes of code than networks have.
const MAX_CODE: u64 = 32 << 20;
/// How many calls and variables are followed.
const MAX_DEPTH: usize = 200;

/// Operations that leave numbers as they are, in another shape or kind, or within their bounds.
const SAME: [&str; 20] = [
    "squeeze",
    "squeeze_",
    "unsqueeze",
    "unsqueeze_",
    "view",
    "reshape",
    "flatten",
    "to",
    "contiguous",
    "clone",
    "detach",
    "detach_",
    "dropout",
    "type_as",
    "float",
    "select",
    "slice",
    "alias",
    // Means of numbers stay within their bounds.
    "mean",
    "adaptive_avg_pool2d",
];
/// Operations whose results have no bounds, or that make logarithms of probabilities, which are logits too.
const UNBOUNDED: [&str; 14] = [
    "linear",
    "addmm",
    "matmul",
    "mm",
    "bmm",
    "baddbmm",
    "conv1d",
    "conv2d",
    "_convolution",
    "einsum",
    "batch_norm",
    "layer_norm",
    "log_softmax",
    "relu",
];

/// The operation that output `index` of the network in `file` ends in: `sigmoid`, `softmax` or the name of one that gives out
/// logits; `None` if the code does not tell.
pub(super) fn of(file: &[u8], index: usize) -> Option<&'static str> {
    Code::read(file)?.ending(index)
}

/// What a value ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// An operation.
    Operation(&'static str),
    /// It is an argument of the method, by its place; 0 is the object.
    Argument(usize),
}

/// The code of an archive.
#[derive(Debug, Default)]
struct Code {
    /// By module, such as `__torch__.torch.nn.modules.linear`.
    modules: BTreeMap<String, String>,
    /// The module and the class of the network itself.
    top: (String, String),
}

/// The body of a function, and where its names come from.
struct Scope<'c> {
    /// The path of the class that it is a method of.
    class: &'c str,
    /// How it calls its object.
    this: &'c str,
    /// Its arguments, the object first.
    arguments: Vec<String>,
    lines: Vec<&'c str>,
}

impl Code {
    fn read(file: &[u8]) -> Option<Self> {
        let archive = ZipArchive::from_slice(file).ok()?;
        let mut code = Self::default();
        let mut left = MAX_CODE;
        for header in archive.entries() {
            let header = header.ok()?;
            let path = std::str::from_utf8(header.file_path().as_bytes()).ok()?;
            let module = path.split_once("/code/").and_then(|(_, path)| path.strip_suffix(".py"));
            let object = path.ends_with("/data.pkl") && path.matches('/').count() == 1;
            if module.is_none() && !object {
                continue;
            }
            let entry = archive.get_entry(header.wayfinder()).ok()?;
            let mut bytes = Vec::new();
            let data: Box<dyn Read> = match header.compression_method() {
                CompressionMethod::STORE => Box::new(entry.data()),
                CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(entry.data())),
                _ => return None,
            };
            left = left.checked_sub(data.take(left).read_to_end(&mut bytes).ok()? as u64)?;
            match module {
                Some(module) => drop(code.modules.insert(module.replace('/', "."), String::from_utf8(bytes).ok()?)),
                None => code.top = first_class(&bytes)?,
            }
        }
        Some(code)
    }

    fn ending(&self, index: usize) -> Option<&'static str> {
        let (module, class) = &self.top;
        match self.method(&format!("{module}.{class}"), "forward", Some(index), 0)? {
            End::Operation(name) => Some(name),
            End::Argument(_) => None,
        }
    }

    /// What a method's result ends in; `index` is the place in the tuple that it returns, if it does.
    fn method(&self, class: &str, method: &str, index: Option<usize>, depth: usize) -> Option<End> {
        let body = self.class(class)?;
        let scope = Scope::of(class, &body, method)?;
        let returned = scope.lines.iter().filter_map(|line| line.trim().strip_prefix("return "));
        agreed(returned, |value| self.expression(&scope, value, index, depth + 1))
    }

    /// The lines of a class, by its path.
    fn class(&self, path: &str) -> Option<Vec<&str>> {
        let (module, name) = path.rsplit_once('.')?;
        let head = format!("class {name}(");
        let mut lines = self.modules.get(module)?.lines().skip_while(|line| !line.starts_with(&head));
        lines.next()?;
        Some(lines.take_while(|line| line.is_empty() || line.starts_with(' ')).collect())
    }

    fn expression(&self, scope: &Scope<'_>, text: &str, index: Option<usize>, depth: usize) -> Option<End> {
        if depth > MAX_DEPTH {
            return None;
        }
        let text = text.trim();
        let follow = |text: &str, index| self.expression(scope, text, index, depth + 1);
        // One of several results: `_0[1]`, `((net).forward(x, ))[0]`.
        if let Some((several, place)) = text.strip_suffix(']').and_then(|text| text.rsplit_once('['))
            && let Ok(place) = place.parse()
            && !several.is_empty()
        {
            return follow(several, Some(place));
        }
        if let Some(open) = text.chars().next().filter(|c| "([{".contains(*c)) {
            let (inner, rest) = bracketed(text)?;
            let parts = parts(inner);
            if let Some((method, given)) = rest.strip_prefix('.').and_then(|call| call.split_once('(')) {
                let end = self.method(&self.class_of(scope, inner, depth + 1)?, method, index, depth + 1)?;
                return match end {
                    // As a dropout out of training: what it is given.
                    End::Argument(place) => {
                        follow(self::parts(given.strip_suffix(')')?).get(place.checked_sub(1)?)?, index)
                    }
                    end @ End::Operation(_) => Some(end),
                };
            }
            return match open {
                _ if !rest.is_empty() => None,
                '(' if parts.len() == 1 && !inner.trim_end().ends_with(',') => follow(inner, index),
                '{' => follow(parts.get(index?)?.split_once(": ")?.1, None),
                _ => follow(parts.get(index?)?, None),
            };
        }
        let Some((callee, arguments)) = text.split_once('(') else {
            return self.variable(scope, text, index, depth + 1);
        };
        let first = || Some(*parts(arguments.strip_suffix(')')?).first()?);
        let name = match callee.rsplit_once('.') {
            Some((module, name)) if module == "torch" || module.starts_with("__torch__.") => name,
            Some(_) => return None,
            // A function under a name of its own: `softmax = __torch__.torch.nn.functional.softmax`.
            None => {
                scope
                    .assigned(callee)
                    .next()?
                    .0
                    .rsplit_once('.')
                    .filter(|(module, _)| module.starts_with("__torch__."))?
                    .1
            }
        };
        match name.trim_end_matches('_').trim_start_matches('_') {
            "sigmoid" => Some(End::Operation("sigmoid")),
            "softmax" => Some(End::Operation("softmax")),
            _ if SAME.contains(&name) => follow(first()?, index),
            _ => UNBOUNDED.into_iter().find(|unbounded| *unbounded == name).map(End::Operation),
        }
    }

    /// What a variable ends in, by all that is assigned to it.
    fn variable(&self, scope: &Scope<'_>, name: &str, index: Option<usize>, depth: usize) -> Option<End> {
        if scope.assigned(name).next().is_none() {
            return scope.arguments.iter().position(|argument| argument == name).map(End::Argument);
        }
        agreed(scope.assigned(name), |(value, place)| self.expression(scope, value, place.or(index), depth + 1))
    }

    /// The class of a module that an expression names.
    fn class_of(&self, scope: &Scope<'_>, text: &str, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH {
            return None;
        }
        let text = text.trim();
        if text == scope.this {
            return Some(scope.class.to_owned());
        }
        let (object, attribute) = if let Some(inner) = text.strip_prefix("getattr(") {
            let (object, attribute) = inner.strip_suffix(')')?.split_once(", ")?;
            (object, attribute.trim_matches('"'))
        } else if let Some(pair) = text.rsplit_once('.') {
            pair
        } else {
            let mut assigned = scope.assigned(text);
            let (value, None) = assigned.next()? else { return None };
            return if assigned.next().is_none() { self.class_of(scope, value, depth + 1) } else { None };
        };
        let class = self.class_of(scope, object, depth + 1)?;
        let [plain, quoted] = [format!("{attribute} : "), format!("__annotations__[\"{attribute}\"] = ")];
        let lines = self.class(&class)?;
        let mut of_attribute = lines.iter().filter_map(|line| {
            let line = line.trim();
            line.strip_prefix(&plain).or_else(|| line.strip_prefix(&quoted))
        });
        of_attribute.next().map(str::to_owned)
    }
}

impl<'c> Scope<'c> {
    /// A method of a class with these lines.
    fn of(class: &'c str, lines: &[&'c str], method: &str) -> Option<Self> {
        let head = format!("  def {method}(");
        let start = lines.iter().position(|line| line.starts_with(&head))?;
        let mut head: Vec<&str> = Vec::new();
        for line in &lines[start..] {
            head.push(line.trim());
            if line.ends_with(':') {
                break;
            }
        }
        let head = head.join(" ");
        let (arguments, _) = bracketed(head.get(head.find('(')?..)?)?;
        let name = |argument: &str| argument.split(':').next().unwrap_or_default().trim().to_owned();
        let arguments: Vec<String> = parts(arguments).into_iter().map(name).collect();
        let this = lines[start].split_once('(')?.1.split([':', ',', ')']).next()?;
        let body = lines[start + 1..].iter().take_while(|line| !line.starts_with("  def ")).copied();
        Some(Self { class, this, arguments, lines: body.filter(|line| line.starts_with("    ")).collect() })
    }

    /// What is assigned to a name, each with its place where a tuple is taken apart.
    fn assigned<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (&'c str, Option<usize>)> + 's {
        self.lines.iter().filter_map(move |line| {
            let (targets, value) = line.trim().split_once(" = ")?;
            let place = targets.split(',').position(|target| target.trim() == name)?;
            Some((value, targets.contains(',').then_some(place)))
        })
    }
}

/// What all of several things end in, if that is one.
fn agreed<T>(mut all: impl Iterator<Item = T>, mut ending: impl FnMut(T) -> Option<End>) -> Option<End> {
    let first = ending(all.next()?)?;
    all.all(|other| ending(other) == Some(first)).then_some(first)
}

/// The network's class: the first that its pickled object names.
fn first_class(pickle: &[u8]) -> Option<(String, String)> {
    let start = memchr::memmem::find(pickle, b"c__torch__")? + 1;
    let mut lines = pickle[start..].split(|byte| *byte == b'\n');
    let mut line = || lines.next().and_then(|line| std::str::from_utf8(line).ok()).map(str::to_owned);
    Some((line()?, line()?))
}

/// What is in the bracket that a text begins with, and what follows it.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let mut quoted = false;
    for (place, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some((&text[1..place], &text[place + 1..]));
                }
            }
            _ => {}
        }
    }
    None
}

/// The parts of a list between the commas that are in no bracket.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_i64, false);
    for (place, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(text[start..place].trim());
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
#[path = "ending_tests.rs"]
mod tests;
