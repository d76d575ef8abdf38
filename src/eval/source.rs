//! Where the pictures of a table of truth are read from.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use super::{RemarkKind, Remarks};
use crate::photo::{LeftOut, is_picture, is_system};
use crate::{Error, Result};

/// A folder that holds the pictures at their paths, or a tar archive (not compressed) of such a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PictureSource {
    /// A folder.
    Folder(PathBuf),
    /// A tar archive.
    Tar(PathBuf),
}

impl PictureSource {
    /// The source at `path`: a folder, or else a tar archive.
    ///
    /// # Errors
    /// If there is nothing at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let about = path.metadata().map_err(Error::io(&path))?;
        Ok(if about.is_dir() { Self::Folder(path) } else { Self::Tar(path) })
    }

    /// The paths of the pictures that there are, told by their extensions, with `/` between the parts: a folder's sorted,
    /// an archive's in its order. What else lies there, and what cannot be entered, is counted in `remarks`.
    ///
    /// # Errors
    /// If the folder or the archive cannot be read.
    pub fn names(&self, remarks: &mut Remarks) -> Result<Vec<String>> {
        let mut left_out = LeftOut::default();
        let names = match self {
            Self::Folder(folder) => folder_names(folder, &mut left_out, remarks)?,
            Self::Tar(archive) => tar_names(archive, &mut left_out, remarks)?,
        };
        if !left_out.is_empty() {
            remarks.add(RemarkKind::Assumed, "files beside the pictures, left out", left_out);
        }
        Ok(names)
    }

    /// Reads every picture of `names` and gives its place in `names` and its bytes, or why it could not be read, to `take`.
    /// Each name is given once: a folder's in the order of `names`, an archive's as they come, those not found last.
    /// One picture is held at a time; none may be longer than `max_bytes`.
    ///
    /// # Errors
    /// If the archive cannot be read, or with the first error of `take`.
    pub fn visit(
        &self,
        names: &[&str],
        max_bytes: u64,
        mut take: impl FnMut(usize, Result<Vec<u8>>) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Folder(folder) => {
                for (place, name) in names.iter().enumerate() {
                    let path = folder.join(name);
                    let below = Path::new(name)
                        .components()
                        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
                    let bytes = if below {
                        File::open(&path).map_err(Error::io(&path)).and_then(|file| read(file, &path, max_bytes))
                    } else {
                        Err(Error::photo(name, format!("leads out of the folder {}", folder.display())))
                    };
                    take(place, bytes)?;
                }
                Ok(())
            }
            Self::Tar(archive) => visit_tar(archive, names, max_bytes, take),
        }
    }
}

fn visit_tar(
    archive: &Path,
    names: &[&str],
    max_bytes: u64,
    mut take: impl FnMut(usize, Result<Vec<u8>>) -> Result<()>,
) -> Result<()> {
    let mut wanted: HashMap<&str, usize> = names.iter().enumerate().map(|(place, &name)| (name, place)).collect();
    let file = File::open(archive).map_err(Error::io(archive))?;
    let mut tar = tar::Archive::new(BufReader::new(file));
    let (mut first, mut reason) = (true, format!("not in {}", archive.display()));
    for entry in tar.entries().map_err(Error::io(archive))? {
        if wanted.is_empty() {
            break;
        }
        let entry = match entry {
            Err(error) if first => return Err(Error::io(archive)(error)),
            // What was read before counts, what comes after cannot be found.
            Err(error) => {
                reason = format!("{} is broken before it: {error}", archive.display());
                break;
            }
            Ok(entry) => entry,
        };
        first = false;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !entry.header().entry_type().is_file() {
            continue;
        }
        if let Some(place) = wanted.remove(name.strip_prefix("./").unwrap_or(&name)) {
            take(place, read(entry, Path::new(&name), max_bytes))?;
        }
    }
    let mut places: Vec<usize> = wanted.into_values().collect();
    places.sort_unstable();
    for place in places {
        let reason = io::Error::new(io::ErrorKind::NotFound, reason.clone());
        take(place, Err(Error::io(names[place])(reason)))?;
    }
    Ok(())
}

fn folder_names(folder: &Path, left_out: &mut LeftOut, remarks: &mut Remarks) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut walk = walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            // A link to nowhere or round in circles, or a folder that is closed to us.
            Err(error) if error.depth() > 0 => {
                let path = error.path().unwrap_or(folder).to_owned();
                if is_picture(&path) || path.is_dir() {
                    remarks.add(
                        RemarkKind::Lost,
                        "folders and links that cannot be followed, left out",
                        path.display(),
                    );
                }
                continue;
            }
            entry => entry.map_err(|error| Error::io(folder)(error.into()))?,
        };
        if entry.depth() > 0 && entry.file_type().is_dir() && is_system(entry.file_name()) {
            left_out.system(entry.file_name());
            walk.skip_current_dir();
        } else if entry.file_type().is_file() {
            let below = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            if left_out.keeps(below) {
                names.push(below.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/"));
            }
        }
    }
    Ok(names)
}

fn tar_names(archive: &Path, left_out: &mut LeftOut, remarks: &mut Remarks) -> Result<Vec<String>> {
    let file = File::open(archive).map_err(Error::io(archive))?;
    let mut tar = tar::Archive::new(BufReader::new(file));
    let mut names = Vec::new();
    for (count, entry) in tar.entries_with_seek().map_err(Error::io(archive))?.enumerate() {
        let entry = match entry {
            Err(error) if count > 0 => {
                remarks.add(RemarkKind::Lost, "archives that are broken, read up to there", error);
                break;
            }
            entry => entry.map_err(Error::io(archive))?,
        };
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type().is_file() && left_out.keeps(Path::new(&name)) {
            names.push(name.strip_prefix("./").unwrap_or(&name).to_owned());
        }
    }
    Ok(names)
}

fn read(source: impl Read, path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if bytes.len() as u64 > max_bytes {
        return Err(Error::photo(path, format!("more than {max_bytes} bytes")));
    }
    Ok(bytes)
}
