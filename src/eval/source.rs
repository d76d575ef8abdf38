//! Where the pictures of a table of truth are read from.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

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
    /// an archive's in its order.
    ///
    /// # Errors
    /// If the folder or the archive cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let is_picture = |path: &Path| image::ImageFormat::from_path(path).is_ok();
        let plain = |name: &str| name.strip_prefix("./").unwrap_or(name).to_owned();
        let mut names = Vec::new();
        match self {
            Self::Folder(folder) => {
                for entry in walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name() {
                    let entry = match entry {
                        // A link to nowhere, or round in circles, below the folder.
                        Err(error) if error.depth() > 0 => continue,
                        entry => entry.map_err(|error| Error::io(folder)(error.into()))?,
                    };
                    if entry.file_type().is_file() && is_picture(entry.path()) {
                        let below = entry.path().strip_prefix(folder).unwrap_or(entry.path());
                        names.push(below.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/"));
                    }
                }
            }
            Self::Tar(archive) => {
                let file = File::open(archive).map_err(Error::io(archive))?;
                let mut tar = tar::Archive::new(BufReader::new(file));
                for entry in tar.entries_with_seek().map_err(Error::io(archive))? {
                    let entry = entry.map_err(Error::io(archive))?;
                    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                    if entry.header().entry_type().is_file() && is_picture(Path::new(&name)) {
                        names.push(plain(&name));
                    }
                }
            }
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
                    let file = File::open(&path).map_err(Error::io(&path));
                    take(place, file.and_then(|file| read(file, &path, max_bytes)))?;
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
    for entry in tar.entries().map_err(Error::io(archive))? {
        if wanted.is_empty() {
            break;
        }
        let entry = entry.map_err(Error::io(archive))?;
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
        let reason = io::Error::new(io::ErrorKind::NotFound, format!("not in {}", archive.display()));
        take(place, Err(Error::io(names[place])(reason)))?;
    }
    Ok(())
}

fn read(source: impl Read, path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if bytes.len() as u64 > max_bytes {
        return Err(Error::photo(path, format!("more than {max_bytes} bytes")));
    }
    Ok(bytes)
}
