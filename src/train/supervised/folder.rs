//! Pictures with a class each: a folder per class, or an archive of such folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rand::seq::SliceRandom;

use super::SupervisedOptions;
use crate::train::random::{Stream, rng};
use crate::train::source::{Found, is_held_out};
use crate::train::{Observer, Pictures};
use crate::{Error, Result};

/// Pictures, and the class of each.
#[derive(Debug, Clone)]
pub(super) struct Labelled {
    pub(super) pictures: Pictures,
    /// By picture: the place of its class among the names.
    pub(super) classes: Vec<usize>,
}

impl Labelled {
    pub(super) fn len(&self) -> usize {
        self.classes.len()
    }

    /// The names of the classes, out of `labels`, whose pictures are all among `bad`.
    pub(super) fn lost<'a>(&self, labels: &'a [String], bad: &BTreeSet<usize>) -> Vec<&'a str> {
        let good: BTreeSet<usize> = self
            .classes
            .iter()
            .enumerate()
            .filter(|(index, _)| !bad.contains(index))
            .map(|(_, class)| *class)
            .collect();
        let known: BTreeSet<usize> = self.classes.iter().copied().collect();
        known.difference(&good).filter_map(|class| Some(labels.get(*class)?.as_str())).collect()
    }

    fn select(&self, indices: &[usize]) -> Self {
        let classes = indices.iter().map(|&index| self.classes[index]).collect();
        Self { pictures: self.pictures.select(indices), classes }
    }
}

/// What to train on, what is held out, and the names of the classes.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) training: Labelled,
    pub(super) held_out: Labelled,
    pub(super) labels: Vec<String>,
    /// What people should know of them.
    pub(super) notes: Vec<String>,
    /// Folders and links that cannot be followed, and archives that are broken.
    pub(super) faults: Vec<(PathBuf, String)>,
}

impl Data {
    /// Tells what people should know of the pictures, and which folders and archives cannot be read, or not to their end.
    pub(super) fn tell(&self, observer: &mut dyn Observer) {
        self.notes.iter().for_each(|note| observer.noted(note));
        for (path, message) in &self.faults {
            observer.skipped(&Error::photo(path, message));
        }
    }

    /// Finds the pictures and parts them: about one in [`SupervisedOptions::hold_out`], chosen by names alone, is held out,
    /// unless there is a folder of them.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if there are fewer than two classes, a class's folder has no picture, or there
    /// is no picture to train on or to hold out.
    pub(super) fn find(options: &SupervisedOptions) -> Result<Self> {
        let all = Pictures::find(std::slice::from_ref(&options.images))?;
        let below: Vec<PathBuf> = (0..all.len()).map(|index| below(all.name(index), &options.images)).collect();
        let depth = common_folders(&below);
        let class = |path: &Path| {
            let name = path.iter().nth(depth).filter(|_| path.iter().count() > depth + 1);
            name.map(|name| name.to_string_lossy().into_owned())
        };
        let labels: BTreeSet<String> = below.iter().filter_map(|path| class(path)).collect();
        let labels: Vec<String> = labels.into_iter().collect();
        let fault = |message: String| Error::argument(options.images.display(), message);
        let empty = empty_folders(all.found(), &below, depth);
        if labels.len() < 2 {
            return Err(fault(too_few(&below, depth, &labels, all.found())));
        }
        if let Some(stray) = below.iter().find(|path| class(path).is_none()) {
            return Err(fault(format!("{} lies in no class's folder", stray.display())));
        }
        if !empty.is_empty() {
            let (folders, it) = if empty.len() == 1 { ("folder", "it") } else { ("folders", "them") };
            let message = format!("no picture that can be read in the {folders} {}", some(&empty));
            return Err(fault(format!("{message}: each folder is a class; put pictures there, or remove {it}")));
        }
        let mut found = all.found().clone();
        let place = |label: &str| labels.iter().position(|known| known == label);
        let classes = below.iter().filter_map(|path| place(&class(path)?)).collect();
        let all = Labelled { pictures: all, classes };

        let (training, held_out) = if let Some(path) = &options.validation {
            let (held_out, beside) = validation(path, &labels)?;
            found.faults.extend(beside.faults);
            (all, held_out)
        } else {
            let held_out = |index: &usize| is_held_out(all.pictures.name(*index), options.hold_out);
            let (held_out, training): (Vec<_>, Vec<_>) = (0..all.len()).partition(held_out);
            (all.select(&training), all.select(&held_out))
        };
        let training = sample(&training, options.limit.unwrap_or(usize::MAX), options.seed);
        for (what, part) in [("to train on", &training), ("held out", &held_out)] {
            if part.len() == 0 {
                return Err(fault(format!("no picture is left {what}; see hold-out and validation")));
            }
        }
        let mut notes = Vec::new();
        if !found.left_out.is_empty() {
            notes.push(format!("{}: left out: {}", options.images.display(), found.left_out));
        }
        for (what, part) in [("to train on", &training), ("to measure on", &held_out)] {
            let there: BTreeSet<usize> = part.classes.iter().copied().collect();
            let without = labels.iter().enumerate().filter(|(class, _)| !there.contains(class));
            let classes: Vec<&str> = without.map(|(_, label)| label.as_str()).collect();
            if !classes.is_empty() {
                notes.push(format!("no picture {what} of {}: {}", plural(classes.len()), some(&classes)));
            }
        }
        Ok(Self { training, held_out, labels, notes, faults: found.faults })
    }
}

/// The folders that are classes by their place and have no picture.
fn empty_folders(found: &Found, below: &[PathBuf], depth: usize) -> Vec<String> {
    let common: PathBuf = below.first().map(|path| path.iter().take(depth).collect()).unwrap_or_default();
    let full: BTreeSet<PathBuf> = below.iter().map(|path| path.iter().take(depth + 1).collect()).collect();
    let classes = found.folders.iter().filter(|folder| folder.parent() == Some(&common) && !full.contains(*folder));
    classes.filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned())).collect()
}

/// Why there are too few classes.
fn too_few(below: &[PathBuf], depth: usize, labels: &[String], found: &Found) -> String {
    // Where all pictures lie in one folder, that folder is the only class.
    let only = below.first().and_then(|path| path.iter().nth(depth.checked_sub(1)?)).map(|name| name.to_string_lossy());
    let (count, names) = match (labels, only) {
        ([label], _) => (1, format!(" ({label})")),
        (_, Some(name)) => (1, format!(" ({name})")),
        _ => (0, ": the pictures lie in no folder".to_owned()),
    };
    let empty = empty_folders(found, below, depth.saturating_sub(1));
    let beside = if empty.is_empty() { String::new() } else { format!("; without a picture: {}", some(&empty)) };
    format!("there must be a folder for each class, at least two; found {}{names}{beside}", plural(count))
}

fn plural(classes: usize) -> String {
    if classes == 1 { "1 class".to_owned() } else { format!("{classes} classes") }
}

/// The first few names.
fn some<T: AsRef<str>>(names: &[T]) -> String {
    const NAMED: usize = 5;
    let named: Vec<&str> = names.iter().take(NAMED).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(NAMED);
    named.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// The pictures of a folder of held-out ones; each class is the first of its folders that is known.
fn validation(path: &PathBuf, labels: &[String]) -> Result<(Labelled, Found)> {
    let pictures = Pictures::find(std::slice::from_ref(path))?;
    let class = |index: usize| {
        let below = below(pictures.name(index), path);
        let known = |part: &std::ffi::OsStr| labels.iter().position(|label| part.to_str() == Some(label));
        below
            .parent()
            .and_then(|folders| folders.iter().find_map(known))
            .ok_or_else(|| Error::argument(path.display(), format!("{} lies in no class's folder", below.display())))
    };
    let classes = (0..pictures.len()).map(class).collect::<Result<_>>()?;
    let found = pictures.found().clone();
    Ok((Labelled { pictures, classes }, found))
}

/// A picture's path below the folder or archive.
fn below(name: &Path, root: &Path) -> PathBuf {
    let below = name.strip_prefix(root).unwrap_or(name);
    // An archive's members may begin with "./".
    below.components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect()
}

/// How many folders all paths begin with.
fn common_folders(paths: &[PathBuf]) -> usize {
    let Some(first) = paths.first() else { return 0 };
    let folders: Vec<_> = first.parent().map(|parent| parent.iter().collect()).unwrap_or_default();
    let shared = |path: &PathBuf| path.iter().zip(&folders).take_while(|(a, b)| a == *b).count();
    paths.iter().map(shared).min().unwrap_or(0)
}

/// At most that many pictures of each class, chosen by the seed.
fn sample(all: &Labelled, limit: usize, seed: u64) -> Labelled {
    let mut indices: Vec<usize> = (0..all.len()).collect();
    indices.shuffle(&mut rng(seed, Stream::SupervisedSample, 0));
    let mut taken = vec![0; all.classes.iter().max().map_or(0, |last| last + 1)];
    indices.retain(|&index| {
        let taken = &mut taken[all.classes[index]];
        *taken += 1;
        *taken <= limit
    });
    indices.sort_unstable();
    all.select(&indices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_all_share_are_no_classes() {
        let depth = |paths: &[&str]| common_folders(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(depth(&["a/x/1.png", "a/y/2.png"]), 1);
        assert_eq!(depth(&["x/1.png", "y/2.png"]), 0);
        assert_eq!(depth(&["a/b/x/1.png", "a/b/y/z/2.png"]), 2);
        assert_eq!(depth(&["1.png", "y/2.png"]), 0);
        assert_eq!(below(Path::new("set.tar/./x/1.png"), Path::new("set.tar")), Path::new("x/1.png"));
    }
}
