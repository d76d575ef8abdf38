//! Pictures to train on: the files of folders and the members of tar archives, read when they are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use walkdir::WalkDir;

use super::Observer;
use crate::files::archive::{self, Member};
use crate::photo::{self, LeftOut, Limits, Photo, is_picture, is_system};
use crate::{Error, Result};

/// A list of pictures, in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Pictures {
    entries: Vec<Entry>,
    found: Found,
    damaged: Damaged,
}

/// Pictures that are damaged, though they can be read, and how; shared with the parts of a list.
type Damaged = Arc<Mutex<BTreeMap<PathBuf, String>>>;

/// What was found beside the pictures.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// What was left out.
    pub(super) left_out: LeftOut,
    /// The folders, below those that were asked for.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Folders and links that cannot be followed, and archives that are broken.
    pub(super) faults: Vec<(PathBuf, String)>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// The file, or the archive and the member's path within it: unique, and what an error names.
    name: PathBuf,
    /// In an archive: its file, and the member's offset and length in bytes.
    member: Option<(PathBuf, u64, u64)>,
}

impl Pictures {
    /// The pictures of folders (at any depth) and tar archives, known by their extension; without what is hidden or the
    /// system's ([`is_system`]), and what cannot be followed below a folder.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if a folder or an archive cannot be read,
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if there is no picture in all of them.
    pub fn find(paths: &[PathBuf]) -> Result<Self> {
        let mut pictures = Self::default();
        for path in paths {
            if path.is_file() { pictures.list_archive(path)? } else { pictures.list_folder(path)? }
        }
        pictures.entries.sort_by(|a, b| a.name.cmp(&b.name));
        if pictures.entries.is_empty() {
            let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            let left_out = &pictures.found.left_out;
            let but = if left_out.is_empty() { String::new() } else { format!("; left out: {left_out}") };
            return Err(Error::argument(names.join(", "), format!("no pictures there{but}")));
        }
        Ok(pictures)
    }

    /// What else was found.
    pub(super) fn found(&self) -> &Found {
        &self.found
    }

    /// Tells what was left out, and what cannot be followed or read to its end.
    pub(super) fn tell_found(&self, observer: &mut dyn Observer) {
        if !self.found.left_out.is_empty() {
            observer.noted(&format!("left out: {}", self.found.left_out));
        }
        for (path, message) in &self.found.faults {
            observer.skipped(&Error::photo(path, message));
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Parts the list in two: about one in `part` of the pictures, chosen by their names alone, is held out.
    pub fn split(self, part: u64) -> (Self, Self) {
        let (held_out, rest) = self.entries.into_iter().partition(|entry| is_held_out(&entry.name, part));
        (Self::of(rest, self.damaged.clone()), Self::of(held_out, self.damaged))
    }

    /// The pictures at these positions.
    pub fn select(&self, indices: &[usize]) -> Self {
        Self::of(indices.iter().map(|&index| self.entries[index].clone()).collect(), self.damaged.clone())
    }

    fn of(entries: Vec<Entry>, damaged: Damaged) -> Self {
        Self { entries, found: Found::default(), damaged }
    }

    /// Tells of the pictures that were read and are damaged, once each.
    pub(super) fn tell_damaged(&self, observer: &mut dyn Observer) {
        let damaged = std::mem::take(&mut *self.damaged.lock().unwrap_or_else(PoisonError::into_inner));
        for (path, damage) in &damaged {
            observer.damaged(path, damage);
        }
    }

    /// How many pictures there are, and a number that their names (and those of their folders) give: the same wherever
    /// they lie.
    pub(super) fn fingerprint(&self) -> String {
        let hash = self.entries.iter().fold(0u64, |hash, entry| hash.rotate_left(5) ^ name_hash(&entry.name));
        format!("{} pictures ({hash:016x})", self.len())
    }

    /// The file's path, or the archive's and the member's path within it.
    ///
    /// # Panics
    /// If there is no picture `index`.
    pub fn name(&self, index: usize) -> &Path {
        &self.entries[index].name
    }

    /// About `count` pictures from all over the list, with their paths.
    pub(super) fn spread(&self, count: usize) -> impl Iterator<Item = Result<(PathBuf, Photo)>> {
        let step = (self.len() / count.max(1)).max(1);
        (step / 2..self.len()).step_by(step).map(|index| Ok((self.name(index).to_owned(), self.open(index)?)))
    }

    /// Reads and decodes one.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) or [`ErrorKind::Photo`](crate::ErrorKind::Photo), naming the file.
    pub fn open(&self, index: usize) -> Result<Photo> {
        let photo = self.decode(index)?;
        if let Some(damage) = &photo.damage {
            let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
            damaged.insert(self.name(index).to_owned(), damage.clone());
        }
        Ok(photo)
    }

    fn decode(&self, index: usize) -> Result<Photo> {
        let entry = &self.entries[index];
        let Some((archive, offset, length)) = &entry.member else {
            return Ok(photo::open(&entry.name, &Limits::default())?);
        };
        let mut bytes = Vec::new();
        let mut file = File::open(archive).map_err(Error::io(archive))?;
        file.seek(SeekFrom::Start(*offset)).map_err(Error::io(archive))?;
        file.take(*length).read_to_end(&mut bytes).map_err(Error::io(archive))?;
        Ok(photo::decode(&entry.name, &bytes, &Limits::default())?)
    }

    fn list_folder(&mut self, folder: &Path) -> Result<()> {
        let mut walk = WalkDir::new(folder).follow_links(true).into_iter();
        while let Some(entry) = walk.next() {
            let entry = match entry {
                // A link to nowhere or round in circles, or a folder that is closed to us.
                Err(error) if error.depth() > 0 => {
                    let path = error.path().unwrap_or(folder).to_owned();
                    if is_picture(&path) || path.is_dir() {
                        let link = path.is_symlink() && !path.exists();
                        let message = if link { "a link that leads nowhere".to_owned() } else { error.to_string() };
                        self.found.faults.push((path, message));
                    }
                    continue;
                }
                entry => entry.map_err(|error| Error::io(folder)(error.into()))?,
            };
            let below = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            if entry.depth() > 0 && entry.file_type().is_dir() {
                if is_system(entry.file_name()) {
                    self.found.left_out.system(entry.file_name());
                    walk.skip_current_dir();
                } else {
                    self.found.folders.insert(below.to_owned());
                }
            } else if entry.file_type().is_file() && self.found.left_out.keeps(below) {
                self.entries.push(Entry { name: entry.into_path(), member: None });
            }
        }
        Ok(())
    }

    fn list_archive(&mut self, path: &Path) -> Result<()> {
        let (members, broken) = archive::members(path)?;
        for Member { name, is_folder, offset, length } in members {
            let below: PathBuf = name.components().filter(|part| matches!(part, Component::Normal(_))).collect();
            if is_folder && !below.iter().any(is_system) {
                self.found.folders.insert(below);
            } else if !is_folder && self.found.left_out.keeps(&below) {
                self.entries.push(Entry { name: path.join(name), member: Some((path.to_owned(), offset, length)) });
            }
        }
        if let Some(error) = broken {
            self.found.faults.push((path.to_owned(), format!("broken, read up to there: {error}")));
        }
        Ok(())
    }
}

/// Whether a picture of this name is one of about one in `part` that are held out.
pub(super) fn is_held_out(name: &Path, part: u64) -> bool {
    name_hash(name).is_multiple_of(part)
}

/// FNV-1a of the last two parts of a path: the same wherever the data lies.
fn name_hash(path: &Path) -> u64 {
    let mut parts: Vec<_> = path.iter().rev().take(2).collect();
    parts.reverse();
    let bytes = parts.iter().flat_map(|part| part.as_encoded_bytes().iter().chain(b"/"));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_depends_on_names_alone() {
        let entries = |root: &str| -> Vec<Entry> {
            (0..400).map(|i| Entry { name: format!("{root}/set/{i}.jpg").into(), member: None }).collect()
        };
        let (rest, held_out) = Pictures::of(entries("/a"), Damaged::default()).split(10);
        let (_, elsewhere) = Pictures::of(entries("/somewhere/else"), Damaged::default()).split(10);
        assert_eq!(rest.len() + held_out.len(), 400);
        assert!((20..60).contains(&held_out.len()), "{}", held_out.len());
        let names = |pictures: &Pictures| -> Vec<_> {
            pictures.entries.iter().map(|entry| entry.name.file_name().map(ToOwned::to_owned)).collect()
        };
        assert_eq!(names(&held_out), names(&elsewhere));
    }
}
