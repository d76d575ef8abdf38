//! From input arguments to pictures: folders are walked, everything else is taken as it is.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use cbam_core::Error;
use cbam_core::photo::{LeftOut, is_picture, is_system};
use cbam_core::text::printable_path;
use walkdir::WalkDir;

/// One input argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// `-`.
    Stdin,
    /// A picture or a folder: not looked at yet.
    Path(PathBuf),
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::Path(path) }
    }
}

/// A picture, or what is taken for one until it is opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Where it is; `-` for standard input.
    pub(crate) path: PathBuf,
    /// Where it lies below its folder argument; the file name alone if it was named itself.
    pub(crate) relative: PathBuf,
    /// Its folder argument, by its place among these; none if it was named itself.
    pub(crate) folder: Option<usize>,
}

/// What the input arguments hold.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) pictures: Vec<Picture>,
    /// Folders that cannot be read, or hold no picture.
    pub(crate) problems: Vec<Error>,
    /// The folder arguments, and what in them is left out.
    pub(crate) folders: Vec<(PathBuf, LeftOut)>,
}

/// Looks through the inputs, in their order; folders in the order of names. `outputs` are the output folders, which a
/// walk does not enter.
pub(crate) fn scan(inputs: &[Input], outputs: &[&Path]) -> Found {
    let outputs: HashSet<PathBuf> = outputs.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let mut found = Found::default();
    for input in inputs {
        match input {
            Input::Stdin => {
                found.pictures.push(Picture { path: "-".into(), relative: "stdin".into(), folder: None });
            }
            Input::Path(path) if path.is_dir() => walk(path, &outputs, &mut found),
            Input::Path(path) => {
                let relative = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
                found.pictures.push(Picture { path: path.clone(), relative, folder: None });
            }
        }
    }
    found
}

fn walk(folder: &Path, outputs: &HashSet<PathBuf>, found: &mut Found) {
    let before = (found.pictures.len(), found.problems.len());
    let mut left_out = LeftOut::default();
    let mut entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        let path = match entry {
            Ok(entry) if entry.file_type().is_file() => entry.into_path(),
            Ok(entry) if entry.depth() > 0 && entry.file_type().is_dir() => {
                let system = is_system(entry.file_name());
                if system {
                    left_out.system(entry.file_name());
                }
                if system || entry.path().canonicalize().is_ok_and(|path| outputs.contains(&path)) {
                    entries.skip_current_dir();
                }
                continue;
            }
            Ok(_) => continue, // the folder itself, a pipe, a device
            // A link to a folder around it: what it holds is found without it.
            Err(error) if error.loop_ancestor().is_some() => continue,
            Err(error) => match error.path().map(Path::to_owned) {
                // A link that leads nowhere: opening it will say so, if it would be a picture.
                Some(path) if path.is_symlink() && !path.exists() => path,
                path => {
                    let path = path.unwrap_or_else(|| folder.to_owned());
                    let error = error.into_io_error().unwrap_or_else(|| io::Error::other("cannot be read"));
                    found.problems.push(Error::Io { path, error });
                    continue;
                }
            },
        };
        let relative = path.strip_prefix(folder).unwrap_or(&path).to_owned();
        if is_overlay(&path) && is_picture(&path) {
            left_out.output();
        } else if left_out.keeps(&relative) {
            found.pictures.push(Picture { path, relative, folder: Some(found.folders.len()) });
        }
    }
    if (found.pictures.len(), found.problems.len()) == before {
        found.problems.push(Error::photo(folder, "no pictures in this folder"));
    }
    found.folders.push((folder.to_owned(), left_out));
}

/// Whether the name is that of an overlay (of one map, or of each of several) or a comparison written beside its picture.
fn is_overlay(path: &Path) -> bool {
    let Some(name) = path.file_name() else { return false };
    let name = name.to_string_lossy();
    name.contains("-overlay.") || name.contains("-compare.")
}

/// What the folders held that is left out, a line for each.
pub(crate) fn left_out(walked: &[(PathBuf, LeftOut)]) -> Vec<String> {
    let told = walked.iter().filter(|(_, left_out)| !left_out.is_empty());
    told.map(|(folder, left_out)| format!("{}: left out: {left_out}", printable_path(folder))).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;

    /// A folder with these files, which are empty.
    pub(crate) fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn relatives(found: &Found) -> Vec<&str> {
        found.pictures.iter().map(|picture| picture.relative.to_str().unwrap()).collect()
    }

    #[test]
    fn a_walk_takes_pictures_in_order_and_skips_outputs() {
        let folder = tree(&[
            "b.JPG",
            "a.png",
            "a-overlay.png",
            "a-compare.png",
            "a-overlay.patch-at-3-4.png",
            "notes.txt",
            "out/a.png",
            "sub/out/c.webp",
            "sub/d.tif",
            ".x",
        ]);
        let found = scan(&[Input::Path(folder.path().into())], &[&folder.path().join("out"), Path::new("/nowhere")]);
        assert_eq!(relatives(&found), ["a.png", "b.JPG", "sub/d.tif", "sub/out/c.webp"]);
        assert!(found.problems.is_empty());
        assert_eq!(found.folders.len(), 1);
        assert_eq!(found.folders[0].0, folder.path());
        assert_eq!(found.folders[0].1.to_string(), "1 other file (1 txt), 3 outputs of earlier runs");
    }

    #[test]
    fn named_files_are_taken_as_they_are() {
        let found = scan(&["x/a-overlay.png", "x/none.txt"].map(|path| Input::Path(path.into())), &[]);
        assert_eq!(relatives(&found), ["a-overlay.png", "none.txt"]);
        assert_eq!(found.pictures[0].path, Path::new("x/a-overlay.png"));
    }

    #[test]
    fn what_systems_put_there_is_no_picture_and_what_is_left_out_is_counted() {
        let files = [
            "a.png",
            "._a.png",
            "b.heic",
            "c.AVIF",
            "__MACOSX/a.png",
            "@eaDir/a.png",
            ".ipynb_checkpoints/a.png",
            "x/.thumbnails/a.png",
        ];
        let folder = tree(&files);
        let found = scan(&[Input::Path(folder.path().into())], &[]);
        assert_eq!(relatives(&found), ["a.png"]);
        let said = found.folders[0].1.to_string();
        assert!(
            said.starts_with("2 pictures of formats that are not read (1 avif, 1 heic), 5 hidden or of the system"),
            "{said}"
        );
        // The folder that a user names is walked whatever its name.
        let found = scan(&[Input::Path(folder.path().join("__MACOSX"))], &[]);
        assert_eq!(relatives(&found), ["a.png"]);
    }

    #[test]
    fn an_empty_folder_is_a_problem() {
        let folder = tree(&["notes.txt"]);
        let found = scan(&[Input::Path(folder.path().into())], &[]);
        assert_eq!(found.problems.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_loops_left_and_dangling_pictures_kept() {
        use std::os::unix::fs::symlink;
        let folder = tree(&["a.png", "sub/b.png"]);
        let elsewhere = tree(&["c.png"]);
        symlink(folder.path(), folder.path().join("sub/loop")).unwrap();
        symlink(elsewhere.path(), folder.path().join("elsewhere")).unwrap();
        symlink("/nowhere/x", folder.path().join("gone.jpg")).unwrap();
        symlink("/nowhere/x", folder.path().join("gone.txt")).unwrap();
        let found = scan(&[Input::Path(folder.path().into())], &[]);
        assert_eq!(relatives(&found), ["a.png", "elsewhere/c.png", "gone.jpg", "sub/b.png"]);
        assert!(found.problems.is_empty(), "{:?}", found.problems);
    }
}
