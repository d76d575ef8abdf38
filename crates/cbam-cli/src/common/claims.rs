//! Which files a program reads and writes: all are claimed before any work, so that none is written over another.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use cbam_core::files::written_file;
use cbam_core::photo::is_picture;
use cbam_core::text::printable_path;
use walkdir::WalkDir;

/// The files of a program, by what they really are: links, hard links too, and other spellings of a path do not hide one.
#[derive(Debug, Default)]
pub struct Claims {
    files: HashMap<Identity, Claim>,
    /// Folders whose files are read, and what they are.
    folders: Vec<(PathBuf, String)>,
    /// What is in them; looked for only if there is an old file to be written over.
    found: OnceCell<HashMap<Identity, Claim>>,
    parents: RefCell<HashMap<PathBuf, PathBuf>>,
}

/// A file that is read or written.
#[derive(Debug, Clone)]
struct Claim {
    /// What it is, or is written for: "the picture", "--json".
    what: String,
    path: PathBuf,
    written: bool,
}

/// What a file is, whatever its name.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Identity {
    /// A file that exists: its device, and its number there.
    #[cfg(unix)]
    Node(u64, u64),
    /// One that does not yet, or has no number: its real path.
    Path(PathBuf),
}

impl Claims {
    /// A file that is read, or a folder, of which the pictures and the descriptions of pictures are; `-` is standard input,
    /// which may be redirected from a file.
    pub fn read(&mut self, what: &str, path: &Path) {
        let claim = Claim { what: what.to_owned(), path: path.to_owned(), written: false };
        let path = if path.as_os_str() == "-" { Path::new("/dev/stdin") } else { path };
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.folders.push((path.to_owned(), what.to_owned())),
            Ok(metadata) if metadata.is_file() => {
                self.files.entry(existing(path, &metadata)).or_insert(claim);
            }
            Ok(_) => {} // of a pipe or a device, any number may be had
            Err(_) => {
                self.files.entry(self.absent(path)).or_insert(claim);
            }
        }
    }

    /// A file that is written for `what`; `-` is standard output, which may be redirected to a file.
    ///
    /// # Errors
    /// What is wrong, if it is read, or written for something else.
    pub fn write(&mut self, what: &str, path: &Path) -> Result<(), String> {
        let place = if path.as_os_str() == "-" { Path::new("/dev/stdout") } else { path };
        let old = fs::metadata(place).ok();
        let identity = match &old {
            Some(metadata) if metadata.is_file() => existing(place, metadata),
            Some(_) => return Ok(()), // a device may be written any number of times; a folder is no file's name at all
            None => self.absent(&written_file(place).ok().flatten().unwrap_or_else(|| place.to_owned())),
        };
        let inside = || old.as_ref().and_then(|_| self.found().get(&identity));
        if let Some(claim) = self.files.get(&identity).or_else(inside) {
            return Err(claim.refusal(what, path));
        }
        self.files.insert(identity, Claim { what: what.to_owned(), path: path.to_owned(), written: true });
        Ok(())
    }

    /// Every file below the folders that are read.
    fn found(&self) -> &HashMap<Identity, Claim> {
        self.found.get_or_init(|| {
            let files = self.folders.iter().flat_map(|(folder, what)| {
                let entries = WalkDir::new(folder).follow_links(true).into_iter().flatten();
                entries.filter_map(move |entry| {
                    let metadata = entry.metadata().ok().filter(|of| of.is_file() && is_read(entry.path()))?;
                    let identity = existing(entry.path(), &metadata);
                    Some((identity, Claim { what: what.clone(), path: entry.into_path(), written: false }))
                })
            });
            files.collect()
        })
    }

    /// One path for every name of a file that does not exist.
    fn absent(&self, path: &Path) -> Identity {
        let parent = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return Identity::Path(path.to_owned()),
        };
        let mut parents = self.parents.borrow_mut();
        let real = parents.entry(parent.to_owned()).or_insert_with(|| real_folder(parent));
        Identity::Path(real.join(path.file_name().unwrap_or(OsStr::new(".."))))
    }
}

impl Claim {
    /// Why nothing may be written to `path`.
    fn refusal(&self, by: &str, path: &Path) -> String {
        let (path, other) = (printable_path(path), printable_path(&self.path));
        if !self.written {
            format!("{path} would be written over {} {other}", self.what)
        } else if self.what == by {
            format!("{path} would be written twice for {by}")
        } else {
            format!("{path} would be written for {} and for {by}", self.what)
        }
    }
}

/// What a file that exists is.
#[cfg(unix)]
fn existing(_: &Path, metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    Identity::Node(metadata.dev(), metadata.ino())
}

/// What a file that exists is.
#[cfg(not(unix))]
fn existing(path: &Path, _: &Metadata) -> Identity {
    Identity::Path(path.canonicalize().unwrap_or_else(|_| path.to_owned()))
}

/// Whether a file in a folder that is read is one of those that are meant.
fn is_read(path: &Path) -> bool {
    is_picture(path) || path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml"))
}

/// A folder's real path, with the part that does not exist yet as it is written.
fn real_folder(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let existing = absolute.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    match existing {
        Some((ancestor, real)) => match absolute.strip_prefix(ancestor) {
            Ok(rest) => real.join(rest),
            Err(_) => absolute.clone(),
        },
        None => absolute.clone(),
    }
}
