//! Where the pictures of a table of truth are read from.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use super::{RemarkKind, Remarks};
use crate::files::archive::{Member, members, no_archive};
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

    /// The paths of the pictures that there are, known by their extensions, with `/` between the parts: a folder's sorted,
    /// an archive's in its order, the last of each name. What is no Unicode in them stands as U+FFFD. What else lies there, and what cannot be entered, is counted in `remarks`.
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
            remarks.add(RemarkKind::Assumed, "folders of pictures in which other files lie, left out", left_out);
        }
        Ok(names)
    }

    /// Whether a folder has a file of this name; of an archive it is known only when it is read.
    pub fn may_hold(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => real_path(folder, name).exists(),
            Self::Tar(_) => true,
        }
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
                    let path = real_path(folder, name);
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
    let last = last_versions(archive)?;
    let file = File::open(archive).map_err(Error::io(archive))?;
    let mut tar = tar::Archive::new(BufReader::new(file));
    let (mut first, mut reason) = (true, format!("not in {}", archive.display()));
    for entry in tar.entries().map_err(Error::io(archive))? {
        if wanted.is_empty() {
            break;
        }
        let entry = match entry {
            Err(_) if first => return Err(no_archive(archive)),
            // What was read before counts, what comes after cannot be found.
            Err(error) => {
                reason = format!("{} is broken before it: {error}", archive.display());
                break;
            }
            Ok(entry) => entry,
        };
        first = false;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let own = name.strip_prefix("./").unwrap_or(&name);
        let is_last = last.get(own).is_none_or(|offset| *offset == entry.raw_file_position());
        if !entry.header().entry_type().is_file() || !is_last {
            continue;
        }
        if let Some(place) = wanted.remove(own) {
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

/// Where the bytes of each file of an archive begin; of several of one name those of the last. What is no plain file, such as a
/// pipe, can be read once only: of that nothing is known.
fn last_versions(archive: &Path) -> Result<HashMap<String, u64>> {
    if !archive.metadata().map_err(Error::io(archive))?.is_file() {
        return Ok(HashMap::new());
    }
    let (members, _) = members(archive)?;
    Ok(members.into_iter().map(|member| (own_name(&member), member.offset)).collect())
}

/// The name of a member, with `/` between its parts.
fn own_name(member: &Member) -> String {
    let name = member.name.to_string_lossy();
    name.strip_prefix("./").unwrap_or(&name).to_owned()
}

/// The path of the file that is called `name` in a folder. What is no Unicode in a file's name stands as U+FFFD in the names
/// that [`PictureSource::names`] gives.
fn real_path(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    if !name.contains(char::REPLACEMENT_CHARACTER) || path.exists() {
        return path;
    }
    Path::new(name).iter().fold(folder.to_owned(), |folder, part| {
        let own = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.file_name());
        let found = own.into_iter().find(|own| own.to_string_lossy() == part.to_string_lossy());
        folder.join(found.as_deref().unwrap_or(part))
    })
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
    let mut known = HashSet::new();
    names.retain(|name| {
        let new = known.insert(name.clone());
        if !new {
            let what = "files whose names differ in what is no Unicode alone, left out but for the first";
            remarks.add(RemarkKind::Lost, what, name);
        }
        new
    });
    Ok(names)
}

fn tar_names(archive: &Path, left_out: &mut LeftOut, remarks: &mut Remarks) -> Result<Vec<String>> {
    let (members, broken) = members(archive)?;
    let files = members.iter().filter(|member| !member.is_folder && left_out.keeps(&member.name));
    let names = files.map(own_name).collect();
    if let Some(error) = broken {
        remarks.add(RemarkKind::Lost, "archives that are broken, read up to there", error);
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
