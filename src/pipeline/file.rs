//! Files that are written whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A file being written: into a temporary file in the same folder, which takes the name on [`commit`](Self::commit).
/// Dropped before that, it leaves everything as it was.
///
/// The folder is made if need be. A link is followed; a name that is no regular file (a pipe, a device) is written
/// straight.
#[derive(Debug)]
pub struct WholeFile {
    /// The name as it was asked for.
    path: PathBuf,
    /// The name with links followed.
    target: PathBuf,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Temporary(BufWriter<tempfile::NamedTempFile>),
    Straight(BufWriter<File>),
}

impl WholeFile {
    /// Begins to write the file `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder or the file cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let sink = match fs::metadata(&target) {
            Ok(metadata) if metadata.is_dir() => return Err(Error::io(path)(io::ErrorKind::IsADirectory.into())),
            Ok(metadata) if !metadata.is_file() => {
                Sink::Straight(BufWriter::new(File::options().write(true).open(&target).map_err(Error::io(path))?))
            }
            _ => {
                let folder = match target.parent() {
                    Some(folder) if !folder.as_os_str().is_empty() => folder,
                    _ => Path::new("."),
                };
                fs::create_dir_all(folder).map_err(Error::io(folder))?;
                Sink::Temporary(BufWriter::new(temporary(folder).map_err(Error::io(path))?))
            }
        };
        Ok(Self { path: path.to_owned(), target, sink })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`Error::Io`] if the last bytes cannot be written, or the file cannot be renamed.
    pub fn commit(self) -> Result<()> {
        match self.sink {
            Sink::Straight(mut file) => file.flush().map_err(Error::io(&self.path)),
            Sink::Temporary(file) => {
                let file = file.into_inner().map_err(|failed| Error::io(&self.path)(failed.into_error()))?;
                file.persist(&self.target).map_err(|failed| Error::io(&self.path)(failed.error))?;
                Ok(())
            }
        }
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Temporary(file) => file.write(bytes),
            Sink::Straight(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Temporary(file) => file.flush(),
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

/// A temporary file with the permissions that any new file gets.
fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".cbam-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666)); // the system takes the umask off
    }
    builder.tempfile_in(folder)
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
