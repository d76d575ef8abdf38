//! Pictures whose outputs would have one name: told apart by their folders, or refused with what would help.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use cbam_core::text::printable_path;

use crate::common::scan::{Input, Picture};
use crate::run::args::usage;

/// Refuses inputs that are no paths but look like something else.
pub(crate) fn check_inputs(inputs: &[Input]) -> Result<(), clap::Error> {
    let paths = inputs.iter().filter_map(|input| if let Input::Path(path) = input { Some(path) } else { None });
    for path in paths.filter(|path| !path.exists()) {
        let text = path.to_string_lossy();
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        if scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            let message = "is an address, and nothing is fetched here; send it through a pipe: curl -sL";
            return Err(usage(format!("{text} {message} {text} | cbam-run - --overlay out.png")));
        }
        if text.contains(['*', '?']) || (text.contains('[') && text.contains(']')) {
            let message = "no file has this name, and the shell found none that fits it as a pattern";
            return Err(usage(format!("{text}: {message}; name the folder instead")));
        }
    }
    Ok(())
}

/// Gives the pictures of each folder argument a folder of its own in the outputs, if two pictures would otherwise have
/// outputs of one name. Returns whether it did.
///
/// # Errors
/// A usage error if that does not part them, with what would.
pub(crate) fn part(pictures: &mut [Picture], folders: &[PathBuf], beside: bool) -> Result<bool, clap::Error> {
    let place = |picture: &Picture| if beside { picture.path.clone() } else { picture.relative.clone() };
    let Some((first, second)) = clash(pictures, place) else { return Ok(false) };
    let (of_first, of_second) = (pictures[first].folder, pictures[second].folder);
    if beside || of_first.is_none() || of_second.is_none() || same_file(pictures, first, second) {
        return Err(refusal(pictures, first, second));
    }
    for picture in pictures.iter_mut() {
        if let Some(folder) = picture.folder.and_then(|folder| folders.get(folder)) {
            picture.relative = name(folder).join(&picture.relative);
        }
    }
    match clash(pictures, |picture| picture.relative.clone()) {
        Some((first, second)) => Err(refusal(pictures, first, second)),
        None => Ok(true),
    }
}

/// The first two pictures of one place.
fn clash(pictures: &[Picture], place: impl Fn(&Picture) -> PathBuf) -> Option<(usize, usize)> {
    let mut seen = HashMap::with_capacity(pictures.len());
    pictures.iter().enumerate().find_map(|(index, picture)| Some((seen.insert(place(picture), index)?, index)))
}

fn same_file(pictures: &[Picture], first: usize, second: usize) -> bool {
    let real = |index: usize| pictures[index].path.canonicalize().ok();
    pictures[first].path == pictures[second].path || (real(first).is_some() && real(first) == real(second))
}

fn refusal(pictures: &[Picture], first: usize, second: usize) -> clap::Error {
    let (a, b) = (&pictures[first].path, &pictures[second].path);
    if same_file(pictures, first, second) {
        return usage(format!("{} is given twice", printable_path(b)));
    }
    usage(format!(
        "the outputs of {} and of {} would have one name; give the folder above them, {}, and the outputs keep its tree",
        printable_path(a),
        printable_path(b),
        printable_path(&above(a, b))
    ))
}

/// The folder that holds both.
fn above(a: &Path, b: &Path) -> PathBuf {
    let folders = |path: &Path| path.parent().map(Path::to_owned).unwrap_or_default();
    let (a, b) = (folders(a), folders(b));
    let shared: PathBuf =
        a.components().zip(b.components()).take_while(|(a, b)| a == b).map(|(part, _)| part).collect();
    if shared.as_os_str().is_empty() { ".".into() } else { shared }
}

/// A folder's own name, also where it is given as `.` or `..`.
fn name(folder: &Path) -> PathBuf {
    let own = |path: &Path| match path.components().next_back() {
        Some(Component::Normal(name)) => Some(PathBuf::from(name)),
        _ => None,
    };
    let real = || folder.canonicalize().ok().and_then(|folder| own(&folder));
    own(folder).or_else(real).unwrap_or_else(|| PathBuf::from(OsStr::new("root")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(folder: Option<usize>, path: &str, relative: &str) -> Picture {
        Picture { path: path.into(), relative: relative.into(), folder }
    }

    #[test]
    fn folders_part_pictures_of_one_name() {
        let folders = ["t/cat".into(), "t/dog".into()];
        let two = || vec![picture(Some(0), "t/cat/1.png", "1.png"), picture(Some(1), "t/dog/1.png", "1.png")];
        let mut pictures = two();
        pictures.push(picture(None, "more.png", "more.png"));
        assert!(part(&mut pictures, &folders, false).unwrap());
        let relatives: Vec<_> = pictures.iter().map(|picture| picture.relative.to_str().unwrap()).collect();
        assert_eq!(relatives, ["cat/1.png", "dog/1.png", "more.png"]);
        assert!(!part(&mut two(), &folders, true).unwrap(), "beside their pictures they do not clash");
        assert!(!part(&mut two()[..1], &folders, false).unwrap());

        let refused = |mut pictures: Vec<Picture>, folders: &[PathBuf]| {
            part(&mut pictures, folders, false).unwrap_err().to_string()
        };
        let named = vec![picture(None, "t/cat/1.png", "1.png"), picture(None, "t/dog/1.png", "1.png")];
        assert!(refused(named, &[]).contains("give the folder above them, t, "));
        let twice = vec![picture(None, "a/1.png", "1.png"), picture(None, "a/1.png", "1.png")];
        assert!(refused(twice, &[]).contains("a/1.png is given twice"));
        let alike = ["a/cat".into(), "b/cat".into()];
        let message =
            refused(vec![picture(Some(0), "a/cat/1.png", "1.png"), picture(Some(1), "b/cat/1.png", "1.png")], &alike);
        assert!(message.contains("above them, ., "), "{message}");
    }

    #[test]
    fn addresses_and_patterns_are_no_paths() {
        let refused = |text: &str| check_inputs(&[Input::Path(text.into())]).unwrap_err().to_string();
        for address in ["https://example.org/a.jpg", "s3://bucket/a.jpg", "file:///a.jpg"] {
            assert!(refused(address).contains("curl"), "{address}");
        }
        for pattern in ["photos/*.jpg", "a?.png", "[ab].png"] {
            assert!(refused(pattern).contains("shell"), "{pattern}");
        }
        for path in ["absent.jpg", "a:b.jpg", "://x", "-"] {
            check_inputs(&[Input::Path(path.into())]).unwrap();
        }
    }
}
