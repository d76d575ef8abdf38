//! Which files of a folder are pictures: one rule for running, measuring and training.
//!
//! ```
//! use cbam_core::photo::LeftOut;
//!
//! let mut left_out = LeftOut::default();
//! let files = ["a.jpg", "._a.jpg", "b.heic", "notes.txt", "__MACOSX/c.jpg"];
//! let pictures: Vec<_> = files.into_iter().filter(|file| left_out.keeps(file.as_ref())).collect();
//! assert_eq!(pictures, ["a.jpg"]);
//! assert_eq!(
//!     left_out.to_string(),
//!     "1 picture of a format that is not read (1 heic), 1 other file (1 txt), 2 hidden or of the system (._a.jpg, __MACOSX)"
//! );
//! ```

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter};
use std::path::{Component, Path};

use image::ImageFormat;

use crate::text::printable;

/// Folders and files that systems put among a user's own, beside those whose names begin with a dot: of macOS's archives,
/// Windows, Linux's file systems, and storage servers of Synology and QNAP.
const SYSTEM: [&str; 11] = [
    "__MACOSX",
    "@eaDir",
    "#recycle",
    "#snapshot",
    "@Recycle",
    "@Recently-Snapshot",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    "Network Trash Folder",
    "Temporary Items",
];

/// Extensions of pictures that are not read here. One that is missing is counted with the other files.
const UNREAD: [&str; 45] = [
    "3fr", "ai", "arw", "avif", "avifs", "cr2", "cr3", "cur", "dcm", "dng", "eps", "fits", "heic", "heics", "heif",
    "heifs", "hif", "icns", "j2c", "j2k", "jls", "jp2", "jpc", "jpf", "jpx", "jxl", "jxr", "nef", "nii", "orf", "pcx",
    "pdf", "pef", "pfm", "psb", "psd", "raf", "raw", "rw2", "sgi", "srw", "svg", "svgz", "x3f", "xcf",
];

/// Extensions of pictures that are read, beside those that the `image` crate says it reads.
const ALSO_READ: [&str; 11] = ["btf", "dds", "dib", "icb", "jfi", "jif", "jpe", "mpo", "tf8", "vda", "vst"];

/// How many names and kinds a message has.
const NAMED: usize = 3;

/// Whether a file's extension is that of a picture that can be read.
pub fn is_picture(path: &Path) -> bool {
    let Some(extension) = path.extension() else { return false };
    ImageFormat::from_extension(extension).is_some_and(|format| format.reading_enabled())
        || ALSO_READ.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Whether a file or a folder of this name is the system's own, or hidden, and so neither a picture nor a class:
/// `._a.jpg` (`AppleDouble`), `.ipynb_checkpoints`, `.thumbnails`, `.Trash-1000`, `__MACOSX`, `@eaDir` and their kind.
///
/// Ask it about names below a folder, not about the folder that a user names.
pub fn is_system(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    bytes.starts_with(b".") || SYSTEM.iter().any(|known| bytes.eq_ignore_ascii_case(known.as_bytes()))
}

/// What was found in a folder and left out, by the reason: counted, to be reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Pictures of formats that are not read, by extension.
    unread: BTreeMap<String, usize>,
    /// Files that are no pictures, by extension.
    others: BTreeMap<String, usize>,
    /// Hidden pictures, and hidden folders, or the system's.
    system: usize,
    /// The first of their names.
    names: Vec<String>,
    /// Files that this program wrote earlier.
    outputs: usize,
}

impl LeftOut {
    /// Whether the file at this path below its folder is a picture to read. If not, it is counted, unless it is
    /// hidden and no picture anyway, such as `.DS_Store`.
    pub fn keeps(&mut self, below: &Path) -> bool {
        let names =
            || below.components().filter_map(|part| if let Component::Normal(name) = part { Some(name) } else { None });
        let extension = below.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let extension = extension.unwrap_or_default();
        let unread = UNREAD.contains(&extension.as_str());
        match names().find(|name| is_system(name)) {
            Some(name) if is_picture(below) || unread => self.system(name),
            Some(_) => {}
            None if is_picture(below) => return true,
            None if unread => *self.unread.entry(extension).or_default() += 1,
            None => *self.others.entry(extension).or_default() += 1,
        }
        false
    }

    /// Counts a folder that is not entered, since it [is the system's](is_system).
    pub fn system(&mut self, name: &OsStr) {
        self.system += 1;
        let name = name.to_string_lossy();
        if self.names.len() <= NAMED && !self.names.iter().any(|known| *known == name) {
            self.names.push(name.into_owned());
        }
    }

    /// Counts a file that this program wrote earlier.
    pub fn output(&mut self) {
        self.outputs += 1;
    }

    /// Whether nothing was left out that should be reported.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What was left out and why, on one line, printable.
impl Display for LeftOut {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let total = |kinds: &BTreeMap<String, usize>| kinds.values().sum::<usize>();
        let (unread, others) = (total(&self.unread), total(&self.others));
        let mut parts = Vec::new();
        if unread > 0 {
            let what = if unread == 1 { "picture of a format that is" } else { "pictures of formats that are" };
            parts.push(format!("{unread} {what} not read ({})", kinds(&self.unread, usize::MAX)));
        }
        if others > 0 {
            let what = if others == 1 { "other file" } else { "other files" };
            parts.push(format!("{others} {what} ({})", kinds(&self.others, NAMED)));
        }
        if self.system > 0 {
            let mut names = self.names.iter().take(NAMED).map(|name| printable(name)).collect::<Vec<_>>().join(", ");
            if self.names.len() > NAMED {
                names += ", …";
            }
            parts.push(format!("{} hidden or of the system ({names})", self.system));
        }
        if self.outputs > 0 {
            let what = if self.outputs == 1 { "output of an earlier run" } else { "outputs of earlier runs" };
            parts.push(format!("{} {what}", self.outputs));
        }
        f.write_str(&parts.join(", "))
    }
}

/// `10 txt, 2 json, 1 without extension`: the most frequent first, at most that many.
fn kinds(counts: &BTreeMap<String, usize>, most: usize) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let more = if counts.len() > most { ", …" } else { "" };
    let named = counts.iter().take(most).map(|(extension, count)| match extension.as_str() {
        "" => format!("{count} without extension"),
        extension => format!("{count} {}", printable(extension)),
    });
    named.collect::<Vec<_>>().join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systems_put_into_folders_is_no_picture_and_no_class() {
        for name in [
            "._a.png",
            ".ipynb_checkpoints",
            ".thumbnails",
            ".Trash-1000",
            ".Trashes",
            ".AppleDouble",
            ".git",
            "__MACOSX",
            "__macosx",
            "@eaDir",
            "$RECYCLE.BIN",
            "#recycle",
            "lost+found",
        ] {
            assert!(is_system(name.as_ref()), "{name}");
        }
        for name in ["a.png", "_a.png", "cat", "MACOSX", "lost", "a.b", "@home", "#1"] {
            assert!(!is_system(name.as_ref()), "{name}");
        }
    }

    #[test]
    fn what_is_left_out_is_counted_by_its_reason() {
        let mut left_out = LeftOut::default();
        assert!(
            ["a.JPG", "a.jpe", "a.MPO", "a.dib", "a.vst", "a.dds"].iter().all(|name| left_out.keeps(name.as_ref()))
        );
        assert!(left_out.keeps("deep/er/b.webp".as_ref()));
        assert!(!left_out.keeps(".DS_Store".as_ref()) && !left_out.keeps("x/.hidden/notes.txt".as_ref()));
        assert!(left_out.is_empty());
        for file in [
            "a.HEIC",
            "b.heic",
            "c.avif",
            "d.txt",
            "e.txt",
            "f.json",
            "g",
            "h.xml",
            "i.csv",
            "._j.png",
            "k/__MACOSX/l.png",
            "@eaDir/m.jpg",
            ".thumbnails/n.png",
            "\u{1b}[31m/o.\u{202e}gpj",
            ".\u{1b}/p.heic",
        ] {
            assert!(!left_out.keeps(file.as_ref()), "{file}");
        }
        left_out.system("__MACOSX".as_ref());
        left_out.output();
        assert_eq!(
            left_out.to_string(),
            "3 pictures of formats that are not read (2 heic, 1 avif), 7 other files (2 txt, 1 without extension, 1 csv, …), \
             6 hidden or of the system (._j.png, __MACOSX, @eaDir, …), 1 output of an earlier run"
        );
    }
}
