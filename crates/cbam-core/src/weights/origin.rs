//! How a file is to be read, and what it held around the tensors.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::refusal::Refusal;
use super::{AVERAGED, Checkpoint, Contents, Format};

/// How many entries beside the weights are reported.
const MAX_BESIDE: usize = 64;

/// How a weights file is read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The entry of a training script's dictionary that holds the weights, such as `state_dict_ema`; names of nested
    /// dictionaries are joined by dots. Or what stands before the names of the weights wanted, such as `teacher` where they are
    /// called `teacher.conv1.weight` and so on. Default: the object itself if it is a dictionary of tensors, else the first of
    /// `state_dict`, `model_state_dict`, `model_state`, `model`, `net`, `network`, `module`, `weights`,
    /// `state_dict_ema`, `model_ema`, `ema_state_dict`, `ema` that holds tensors.
    pub part: Option<String>,
    /// Leave the tensors' names as they are, with the prefixes that wrappers add. Default: false.
    pub keep_prefixes: bool,
}

impl ReadOptions {
    /// With the weights from this entry.
    pub fn with_part(mut self, part: impl Into<String>) -> Self {
        self.part = Some(part.into());
        self
    }

    /// With the names as they are.
    pub fn with_prefixes_kept(mut self) -> Self {
        self.keep_prefixes = true;
        self
    }
}

/// What a file held around the tensors, and what reading it took off their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wrapping {
    /// The entry that the tensors come from, such as `state_dict` or `ema.module`; `None` if the file holds nothing else.
    pub part: Option<String>,
    /// What else there is, such as (`epoch`, `90`) and (`optimizer`, `a dictionary of 2`): the first entries, each as
    /// its name and its value in few words.
    pub beside: Vec<(String, String)>,
    /// The classes of objects beside the weights that are not known here, such as `my.Config`: the first ones of the file.
    /// Nothing was made of them; they were passed over.
    pub unknown: Vec<String>,
    /// The prefixes taken off every name, outermost first: `module.` of `DataParallel`, `_orig_mod.` of
    /// `torch.compile`, `model.` of Lightning, and a part that is a prefix.
    pub prefixes: Vec<String>,
}

impl Display for Wrapping {
    /// In one line: the part, the prefixes, the unknown classes; nothing if there are none of them.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let part = self.part.iter().map(|part| format!("the tensors of {part:?}"));
        let prefixes = self.prefixes.iter().map(|prefix| format!("{prefix} taken off every name"));
        let unknown = (!self.unknown.is_empty())
            .then(|| format!("objects beside the weights passed over, of {}", self.unknown.join(", ")));
        f.write_str(&part.chain(prefixes).chain(unknown).collect::<Vec<_>>().join(", "))
    }
}

/// What wrappers put before every name.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// What a file holds of the part that is wanted, as `read` gives it of an entry or of the whole: that entry, or what stands under
/// that prefix, of the whole or of an entry that the first names of `part` are.
pub(super) fn part_of(
    format: Format,
    part: &str,
    read: &dyn Fn(Option<&str>) -> Result<Contents, Refusal>,
) -> Result<Contents, Refusal> {
    let entry = match format {
        Format::Safetensors => Err(format!("has no part {part:?}: no name begins with it and a dot").into()),
        Format::PyTorch | Format::LegacyPyTorch => read(Some(part)),
    };
    let Err(refusal) = entry else { return entry };
    let split = part.match_indices('.').map(|(dot, _)| (Some(&part[..dot]), &part[dot + 1..]));
    for (entry, prefix) in std::iter::once((None, part)).chain(split) {
        let Ok(contents) = read(entry) else { continue };
        if let Some(contents) = contents.under(prefix)? {
            return Ok(contents);
        }
    }
    Err(refusal)
}

impl Contents {
    /// What stands under a prefix, without it; `None` if nothing does. An error if two names are one without it.
    fn under(mut self, prefix: &str) -> Result<Option<Self>, String> {
        let prefix = format!("{}.", prefix.trim_end_matches('.'));
        // It may stand behind what wrappers put before every name, which messages leave out.
        let inside = |name: &str| {
            let mut rest = name;
            loop {
                if let Some(inside) = rest.strip_prefix(&prefix).filter(|inside| !inside.is_empty()) {
                    return Some(inside.to_owned());
                }
                rest = PREFIXES.iter().find_map(|wrapper| rest.strip_prefix(wrapper))?;
            }
        };
        let (wanted, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.tensors).into_iter().partition(|(name, _)| inside(name).is_some());
        if wanted.is_empty() {
            return Ok(None);
        }
        for (name, tensor) in wanted {
            let Some(here) = inside(&name) else { continue };
            if self.tensors.insert(here.clone(), tensor).is_some() {
                return Err(format!("several tensors are called {here:?} under {prefix:?}, one of them {name:?}"));
            }
        }
        let mut beside: BTreeMap<String, usize> = BTreeMap::new();
        for name in others.keys() {
            *beside.entry(name.split('.').next().unwrap_or(name).to_owned()).or_default() += 1;
        }
        let few = beside.into_iter().take(MAX_BESIDE);
        self.wrapping.beside.extend(few.map(|(name, count)| (format!("{name}."), format!("{count} tensors"))));
        self.wrapping.prefixes.push(prefix);
        Ok(Some(self))
    }
}

impl Checkpoint {
    /// Takes off the prefixes that all names have, except that of a counter of averaged models.
    pub(super) fn strip_prefixes(&mut self) {
        let common = |names: &Self| {
            let mut names = names.tensors.keys().filter(|name| name.as_str() != AVERAGED);
            let first = names.next()?;
            let prefix = PREFIXES.into_iter().find(|prefix| first.starts_with(prefix))?;
            names.all(|name| name.len() > prefix.len() && name.starts_with(prefix)).then_some(prefix)
        };
        // A name gets shorter each time; one that is nothing but a prefix stays.
        while let Some(prefix) = common(self)
            && !self.tensors.contains_key(prefix)
        {
            let tensors = std::mem::take(&mut self.tensors);
            self.tensors = tensors
                .into_iter()
                .map(|(name, tensor)| (name.strip_prefix(prefix).unwrap_or(&name).to_owned(), tensor))
                .collect();
            self.wrapping.prefixes.push(prefix.to_owned());
        }
    }
}
