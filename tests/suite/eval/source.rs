//! Pictures of a folder and of an archive.

use std::path::{Path, PathBuf};

use cbam::eval::PictureSource;
use cbam::{Error, Result};

/// An archive whose members come in this order.
pub(crate) fn archive(path: &Path, members: &[(&str, &[u8])]) {
    let mut tar = tar::Builder::new(std::fs::File::create(path).unwrap());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.finish().unwrap();
}

/// What `visit` gives, in its order: the place, and the bytes or the error.
fn visited(path: PathBuf, names: &[&str], max_bytes: u64) -> Vec<(usize, Result<Vec<u8>, String>)> {
    let mut found = Vec::new();
    let take = |place, bytes: Result<Vec<u8>>| {
        found.push((place, bytes.map_err(|error| error.to_string())));
        Ok(())
    };
    PictureSource::at(path).unwrap().visit(names, max_bytes, take).unwrap();
    found
}

#[test]
fn a_folder_gives_every_name_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    std::fs::write(folder.path().join("a/1.jpg"), b"one").unwrap();
    std::fs::write(folder.path().join("2.jpg"), b"two!").unwrap();
    let found = visited(folder.path().to_owned(), &["2.jpg", "gone.jpg", "a/1.jpg"], 3);
    let [(0, Err(long)), (1, Err(gone)), (2, Ok(bytes))] = &found[..] else { panic!("{found:?}") };
    assert!(long.contains("2.jpg: more than 3 bytes"), "{long}");
    assert!(gone.contains("gone.jpg: "), "{gone}");
    assert_eq!(bytes, b"one");
}

#[test]
fn an_archive_is_read_in_its_own_order_and_what_is_missing_comes_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pictures.tar");
    archive(
        &path,
        &[("b.jpg", b"bb"), ("other.jpg", b"-"), ("a.jpg", b"a"), ("a.jpg", b"twice"), ("long.jpg", b"longer")],
    );
    let found = visited(path, &["a.jpg", "gone.jpg", "long.jpg", "b.jpg"], 5);
    let [(3, Ok(b)), (0, Ok(a)), (2, Err(long)), (1, Err(gone))] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&a[..], &b[..]), (&b"a"[..], &b"bb"[..]));
    assert!(long.contains("long.jpg: more than 5 bytes"), "{long}");
    assert!(gone.contains("gone.jpg: not in ") && gone.contains("pictures.tar"), "{gone}");
}

#[test]
fn nothing_and_no_archive_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(PictureSource::at(folder.path().join("gone")), Err(Error::Io { .. })));
    let path = folder.path().join("not.tar");
    std::fs::write(&path, [7_u8; 2000]).unwrap();
    let error = PictureSource::at(&path).unwrap().visit(&["a.jpg"], 9, |_, _| Ok(())).unwrap_err().to_string();
    assert!(error.contains("not.tar"), "{error}");
}
