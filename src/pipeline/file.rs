//! Files that are written whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::{Error, Result};

/// Writes a file whole: into a temporary file in the same folder, which then takes the name. The folder is made if need
/// be. A link is followed; a name that is no regular file (a pipe, a device) is written straight.
///
/// # Errors
/// [`Error::Io`] if a folder or file cannot be made or written, and whatever `fill` returns; the file is then as it was.
pub fn write_whole(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(_) => path.to_owned(),
    };
    if fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        let mut file = BufWriter::new(File::options().write(true).open(&target).map_err(Error::io(path))?);
        fill(&mut file)?;
        return file.flush().map_err(Error::io(path));
    }
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let mut file = BufWriter::new(temporary(folder).map_err(Error::io(path))?);
    fill(&mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error).map_err(Error::io(path))?;
    file.persist(&target).map_err(|failed| Error::io(path)(failed.error))?;
    Ok(())
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
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        fs::write(&path, b"old").unwrap();
        let failed = write_whole(&path, |file| {
            file.write_all(b"half").map_err(Error::io("a.bin"))?;
            Err(Error::argument("test", "stop"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn folders_are_made_and_the_file_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/a.bin");
        for content in [b"one", b"two"] {
            write_whole(&path, |file| file.write_all(content).map_err(Error::io("a.bin"))).unwrap();
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
        write_whole(&link, |file| file.write_all(b"new").map_err(Error::io("link"))).unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode(), fs::metadata(&plain).unwrap().mode());
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_straight() {
        write_whole(Path::new("/dev/null"), |file| file.write_all(b"x").map_err(Error::io("null"))).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_folder_in_the_way_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_whole(folder.path(), |_| Ok(())).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
}
