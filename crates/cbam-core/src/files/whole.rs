//! Files that are written whole or not at all.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::temporary::Temporary;
use crate::{Error, Result};

/// How many links lead on from one another at most, as in Linux.
const LINKS: usize = 40;

/// A file being written: into a temporary file in the same folder, which takes the name on [`commit`](Self::commit).
/// Dropped before that, it leaves everything as it was.
///
/// The folder is made if need be. A link is followed, if it leads nowhere too: the file that it names is made, if there is a
/// folder for it. A file that is replaced hands on its permissions, and must be writable itself. A name that is no regular
/// file (a pipe, a device) is written straight.
///
/// Temporary files of this crate that killed processes of this machine left in the folder are removed.
#[derive(Debug)]
pub struct WholeFile {
    /// The name as it was asked for.
    path: PathBuf,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    /// With the name that the file takes, links followed.
    Temporary(BufWriter<Temporary>, PathBuf),
    Straight(BufWriter<File>),
}

impl WholeFile {
    /// Begins to write the file `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder or the file cannot be made, or a file of that name not be written.
    pub fn create(path: &Path) -> Result<Self> {
        let (target, old) = match destination(path).map_err(Error::io(path))? {
            Destination::Special => {
                let file = File::options().write(true).truncate(true).open(path).map_err(Error::io(path))?;
                return Ok(Self { path: path.to_owned(), sink: Sink::Straight(BufWriter::new(file)) });
            }
            Destination::New(target) => (target, None),
            Destination::Old(target, old) => {
                // It would be replaced even if it is protected: the folder alone decides that.
                File::options().write(true).open(&target).map_err(Error::io(path))?;
                (target, Some(old))
            }
        };
        let folder = folder(&target);
        make(folder)?;
        let file = temporary(folder, path, old.as_ref())?;
        Ok(Self { path: path.to_owned(), sink: Sink::Temporary(BufWriter::new(file), target) })
    }

    /// Where it lies until it takes its name: for another program to write there, and for nobody else to read.
    pub fn place(&self) -> &Path {
        match &self.sink {
            Sink::Temporary(file, _) => file.get_ref().path(),
            Sink::Straight(_) => &self.path,
        }
    }

    /// Writes out what is buffered, and waits until it is on the disk: a power cut after [`commit`](Self::commit) cannot
    /// leave the name with nothing behind it then.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn sync(&mut self) -> Result<()> {
        let synced = match &mut self.sink {
            Sink::Straight(file) => file.flush(),
            Sink::Temporary(file, _) => file.flush().and_then(|()| file.get_ref().sync()),
        };
        synced.map_err(Error::io(&self.path))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`Error::Io`] if the last bytes cannot be written, or the file cannot be renamed.
    pub fn commit(self) -> Result<()> {
        let committed = match self.sink {
            Sink::Straight(mut file) => file.flush(),
            Sink::Temporary(file, target) => {
                file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.persist(&target))
            }
        };
        committed.map_err(Error::io(&self.path))
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Temporary(file, _) => file.write(bytes),
            Sink::Straight(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Temporary(file, _) => file.flush(),
            Sink::Straight(file) => file.flush(),
        }
    }
}

/// Writes `bytes` as the file `path`, whole or not at all; see [`WholeFile`].
///
/// # Errors
/// [`Error::Io`] if a folder or file cannot be made or written; the file is then as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = WholeFile::create(path)?;
    file.write_all(bytes).map_err(Error::io(path))?;
    file.commit()
}

/// Makes sure, before long work, that a file `path` can be written; nothing of it is, and no folder is made.
///
/// # Errors
/// As [`WholeFile::create`]. Pipes and devices are not tried.
pub fn check_writable(path: &Path) -> Result<()> {
    match destination(path).map_err(Error::io(path))? {
        Destination::Special => Ok(()),
        Destination::New(target) => try_folder(folder(&target), path),
        Destination::Old(target, _) => {
            File::options().write(true).open(&target).map_err(Error::io(path))?;
            try_folder(folder(&target), path)
        }
    }
}

/// Makes sure, before long work, that files can be made in `folder`; itself is not made.
///
/// # Errors
/// [`Error::Io`] if not.
pub fn check_folder(folder: &Path) -> Result<()> {
    try_folder(folder, folder)
}

/// Makes a temporary file in the folder, or in the one that it would be made in; `path` is what it is for.
fn try_folder(folder: &Path, path: &Path) -> Result<()> {
    let named = |ancestor: &&Path| !ancestor.as_os_str().is_empty();
    let existing = folder.ancestors().filter(named).find(|ancestor| ancestor.symlink_metadata().is_ok());
    let existing = existing.unwrap_or(if folder.is_absolute() { Path::new("/") } else { Path::new(".") });
    if !existing.is_dir() {
        return Err(in_the_way(existing));
    }
    temporary(existing, path, None).map(drop)
}

/// A temporary file in `folder` for `path`.
fn temporary(folder: &Path, path: &Path, like: Option<&Metadata>) -> Result<Temporary> {
    Temporary::create(folder, like).map_err(|error| {
        let message = format!("no file can be made in {}: {error}", folder.display());
        Error::io(path)(io::Error::new(error.kind(), message))
    })
}

/// The file that writing to `path` makes or replaces, with links followed; `None` if that is no regular file.
///
/// # Errors
/// [`Error::Io`] if `path` is a folder, or cannot be a file's name.
pub fn written_file(path: &Path) -> Result<Option<PathBuf>> {
    Ok(match destination(path).map_err(Error::io(path))? {
        Destination::Special => None,
        Destination::New(target) | Destination::Old(target, _) => Some(target),
    })
}

/// What a name stands for.
enum Destination {
    /// A pipe, a device, or a file that another process has opened for this one.
    Special,
    /// No file yet.
    New(PathBuf),
    /// A file.
    Old(PathBuf, Metadata),
}

fn destination(path: &Path) -> io::Result<Destination> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(metadata) if metadata.is_file() => {
            let target = follow(path)?;
            Ok(if is_opened(&target) { Destination::Special } else { Destination::Old(target, metadata) })
        }
        Ok(_) => Ok(Destination::Special),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                return Err(ErrorKind::IsADirectory.into());
            }
            let target = follow(path)?;
            if target != path && !folder(&target).is_dir() {
                let message = format!("a link to {}, and there is no such folder", target.display());
                return Err(io::Error::new(ErrorKind::NotFound, message));
            }
            Ok(Destination::New(target))
        }
        Err(error) => Err(error),
    }
}

/// Where the links of a file's name lead, whether or not anything is there. A name below `/proc` that stands for an opened
/// file is left as it is.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        if is_opened(&path) {
            return Ok(path);
        }
        match fs::read_link(&path) {
            Ok(to) => path = path.parent().unwrap_or(Path::new("")).join(to),
            // The first is what is no link.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("links that lead to one another"))
}

/// Whether a name stands for a file that is open already, such as `/dev/stdout`: that is not replaced, but written.
fn is_opened(path: &Path) -> bool {
    let of_process = |folder: &Path| folder.starts_with("/proc") && folder.ends_with("fd");
    path.is_symlink() && folder(path).canonicalize().is_ok_and(|folder| of_process(&folder))
}

/// The folder that a file lies in.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder, and those that it lies in.
fn make(folder: &Path) -> Result<()> {
    let Err(error) = fs::create_dir_all(folder) else { return Ok(()) };
    let other = folder.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok() && !ancestor.is_dir());
    Err(other.map_or_else(|| Error::io(folder)(error), in_the_way))
}

/// The error about something that stands where a folder should.
fn in_the_way(other: &Path) -> Error {
    Error::io(other)(if other.is_symlink() {
        io::Error::other("a link to a folder that does not exist")
    } else {
        ErrorKind::NotADirectory.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_unfinished_write_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        fs::write(&path, b"old").unwrap();
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn folders_are_made_and_the_file_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/a.bin");
        for content in [b"one", b"two"] {
            write_whole(&path, content).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        assert_eq!(names(path.parent().unwrap()), ["a.bin"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_has_a_new_files_mode_and_a_link_stays_a_link() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let (plain, real, link) = (folder.path().join("plain"), folder.path().join("real"), folder.path().join("link"));
        fs::write(&plain, b"").unwrap();
        fs::write(&real, b"").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode(), fs::metadata(&plain).unwrap().mode());
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_straight() {
        write_whole(Path::new("/dev/null"), b"x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_folder_in_the_way_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_whole(folder.path(), b"").unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
}
