//! Which pictures a truth speaks of.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path};

/// The path of a picture in its folder, with `/` between the parts and without detours; `None` if it leads out of it.
pub(super) fn inside(name: &str) -> Option<String> {
    // As Windows writes paths, where no file has such a name.
    let slashes = if name.contains('/') { name.to_owned() } else { name.replace('\\', "/") };
    let drive = slashes.as_bytes().get(1) == Some(&b':') && slashes.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut parts: Vec<&str> = Vec::new();
    for part in Path::new(&slashes).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => drop(parts.pop()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty() && (!drive || parts.len() == 1)).then(|| parts.join("/"))
}

/// The pictures that there are, by path and by stem.
pub(super) struct Pictures<'a> {
    paths: HashSet<&'a str>,
    /// By path without extension, and by stem; `None` for what several pictures share.
    without_extension: HashMap<String, Option<&'a str>>,
    stems: HashMap<String, Option<&'a str>>,
}

impl<'a> Pictures<'a> {
    pub(super) fn new(paths: &'a [String]) -> Self {
        let (mut without_extension, mut stems) = (HashMap::new(), HashMap::new());
        for path in paths {
            let note = |map: &mut HashMap<String, Option<&'a str>>, key: String| {
                map.entry(key).and_modify(|found| *found = None).or_insert(Some(path.as_str()));
            };
            let bare = Path::new(path).with_extension("");
            note(&mut without_extension, bare.to_string_lossy().into_owned());
            note(&mut stems, bare.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
        Self { paths: paths.iter().map(String::as_str).collect(), without_extension, stems }
    }

    /// The picture of a part of the truth that lies at `below` in its folder: the one called `name`, beside it or at the
    /// top; or else the one at that path with another extension; or else the only one with this stem. Why there is none.
    pub(super) fn find(&self, name: &str, below: &Path) -> std::result::Result<String, String> {
        let part = below.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
        let (folder, file) = part.rsplit_once('/').map_or(("", part.as_str()), |(folder, file)| (folder, file));
        let beside = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let named = [beside(name), name.to_owned(), part.clone()];
        if let Some(found) = named.into_iter().find(|path| self.paths.contains(path.as_str())) {
            return Ok(found);
        }
        let stem = Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        match self.without_extension.get(&beside(&stem)).or_else(|| self.stems.get(stem.as_str())) {
            Some(Some(path)) => Ok((*path).to_owned()),
            Some(None) => Err(format!("{part}: several pictures are called {stem}")),
            None => Err(format!("{part}: no picture is called {stem}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_folder() {
        for (name, expected) in [
            ("a/b.jpg", Some("a/b.jpg")),
            ("./a//./b.jpg", Some("a/b.jpg")),
            ("a/../b.jpg", Some("b.jpg")),
            ("a\\b.jpg", Some("a/b.jpg")),
            ("c:d.jpg", Some("c:d.jpg")),
            ("../b.jpg", None),
            ("a/../../b.jpg", None),
            ("..\\b.jpg", None),
            ("/etc/b.jpg", None),
            ("C:\\etc\\b.jpg", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(inside(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn pictures_are_found_where_they_lie_and_by_stems_that_only_one_has() {
        let paths = ["a/1.jpg", "b/1.jpg", "b/2.PNG", "3.jpg", "b/3.jpg"].map(str::to_owned);
        let pictures = Pictures::new(&paths);
        let find = |name: &str, below: &str| pictures.find(name, Path::new(below));
        assert_eq!(find("1.jpg", "a/1.xml").unwrap(), "a/1.jpg");
        assert_eq!(find("", "b/1.png").unwrap(), "b/1.jpg");
        assert_eq!(find("", "2.png").unwrap(), "b/2.PNG");
        assert_eq!(find("", "3.png").unwrap(), "3.jpg");
        assert_eq!(find("b/2.PNG", "x.xml").unwrap(), "b/2.PNG");
        assert!(find("", "c/1.xml").unwrap_err().contains("several pictures are called 1"));
        assert!(find("9.jpg", "9.xml").unwrap_err().contains("no picture is called 9"));
    }
}
