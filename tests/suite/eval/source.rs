//! Pictures of a folder and of an archive.

use std::path::{Path, PathBuf};

use cbam::eval::{PictureSource, Remarks};
use cbam::{ErrorKind, Result};

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
    let take = |place, bytes: Result<Vec<u8>, ErrorKind>| {
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
    assert_eq!((&a[..], &b[..]), (&b"twice"[..], &b"bb"[..]), "of two of one name the last counts, as tar has it");
    assert!(long.contains("long.jpg: more than 5 bytes"), "{long}");
    assert!(gone.contains("gone.jpg: not in ") && gone.contains("pictures.tar"), "{gone}");
}

#[test]
fn nothing_and_no_archive_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(PictureSource::at(folder.path().join("gone")), Err(ErrorKind::Io { .. })));
    let path = folder.path().join("not.tar");
    std::fs::write(&path, [7_u8; 2000]).unwrap();
    let error = PictureSource::at(&path).unwrap().visit(&["a.jpg"], 9, |_, _| Ok(())).unwrap_err().to_string();
    assert!(error.contains("not.tar: no folder and no tar archive"), "{error}");
    let names = |path: &Path| PictureSource::at(path).unwrap().names(&mut Remarks::default()).unwrap_err().to_string();
    for (start, hint) in [
        (&b"PK\x03\x04zip"[..], ": unpack it, and name the folder"),
        (b"\x1f\x8b\x08gz", ": unpack it"),
        (b"\xff\xd8\xff\xe0jpg", ", but a picture: name its folder"),
    ] {
        std::fs::write(&path, start).unwrap();
        assert!(names(&path).contains(&format!("not.tar: no folder and no tar archive{hint}")), "{}", names(&path));
    }
}

#[test]
fn of_several_members_of_one_name_the_last_is_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pictures.tar");
    archive(&path, &[("a.jpg", b"old"), ("b.jpg", b"b"), ("a.jpg", b"new")]);
    let names = PictureSource::at(&path).unwrap().names(&mut Remarks::default()).unwrap();
    assert_eq!(names, ["b.jpg", "a.jpg"]);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(visited(path, &names, 9), [(0, Ok(b"b".to_vec())), (1, Ok(b"new".to_vec()))]);
}

#[cfg(unix)]
#[test]
fn names_that_are_no_unicode_are_read() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join(OsStr::from_bytes(b"\xe9t\xe9"));
    std::fs::create_dir(&below).unwrap();
    std::fs::write(below.join(OsStr::from_bytes(b"caf\xe9.jpg")), b"yes").unwrap();
    let source = PictureSource::at(folder.path()).unwrap();
    let names = source.names(&mut Remarks::default()).unwrap();
    assert_eq!(names, ["\u{fffd}t\u{fffd}/caf\u{fffd}.jpg"]);
    assert!(source.may_hold(&names[0]) && !source.may_hold("caf\u{fffd}.jpg"));
    assert_eq!(visited(folder.path().to_owned(), &[&names[0]], 9), [(0, Ok(b"yes".to_vec()))]);
    std::fs::write(below.join(OsStr::from_bytes(b"caf\xe8.jpg")), b"no").unwrap();
    let mut remarks = Remarks::default();
    assert_eq!(source.names(&mut remarks).unwrap().len(), 1);
    assert_eq!(remarks.lost(), 1, "{remarks}");
}
