//! The pictures of a tar archive, as `WebDataset` names them: a sample's key is its path up to the first dot of the base name.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use cbam_core::files::archive::no_archive;
use cbam_core::photo::{LeftOut, Limits};
use cbam_core::pipeline::{Elsewhere, Job, Source};
use cbam_core::text::printable_path;
use cbam_core::{Error, Result};
use tar::EntryType;

use super::shard::{Broken, Item, Shard};

/// Archives are made of blocks of so many bytes; one of zeros marks the end.
const BLOCK: u64 = 512;
/// A link that leads to a link may lead on so often.
const LINKS: usize = 8;
/// How many kinds of files a note names.
const NAMED: usize = 3;

/// What an archive has under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// A file: where its bytes begin, and how many there are.
    File(u64, u64),
    /// A file without the zeros in it.
    Sparse,
    /// What another name has.
    Link(String),
}

/// The pictures of an archive. Files with several extensions, such as `0001.mask.png`, are other things of a sample than its picture.
pub(super) fn open(path: &Path, limits: &Limits) -> Result<Shard> {
    let file = Arc::new(File::open(path).map_err(Error::io(path))?);
    let (members, last, others) = members(path, &file)?;
    let (mut left_out, mut several) = (LeftOut::default(), BTreeMap::<&str, usize>::new());
    let (mut jobs, mut items, broken) = (Vec::new(), Vec::new(), Broken::default());
    for (number, name) in members.iter().enumerate().map(|(number, (name, _))| (number, name)) {
        let (key, extension) = sample(name);
        if last[name.as_str()] != number || !left_out.keeps(Path::new(name)) {
            continue; // of several files of one name the last counts, as it does when they are unpacked
        }
        if extension.contains('.') {
            *several.entry(extension).or_default() += 1;
            continue;
        }
        items.push(Item { key: key.to_owned(), path: Some(name.clone()) });
        let what = followed(number, &members, &last).map(|number| members[number].1.clone());
        let (file, broken, archive, at, most) =
            (file.clone(), broken.clone(), path.to_owned(), name.clone(), limits.max_bytes);
        let read = move || match what {
            Some(What::File(_, length)) if length > most => {
                Err(Error::photo(&at, format!("{length} bytes are over the limit")))
            }
            Some(What::File(offset, length)) => {
                let mut bytes = vec![0; length as usize];
                read_at(&file, &mut bytes, offset).map_err(|error| {
                    let _ = broken.set(format!("{at} cannot be read: {error}"));
                    Error::io(&archive)(error)
                })?;
                Ok(bytes)
            }
            Some(What::Sparse) => Err(Error::photo(&at, "is stored without its zeros, as --sparse does")),
            Some(What::Link(_)) | None => Err(Error::photo(&at, "a link to what is not in the archive")),
        };
        jobs.push(Job { keep: true, ..Job::new(Source::Elsewhere(Elsewhere::new(name.clone(), read))) });
    }
    let mut notes = Vec::new();
    let mut note = |what: String| notes.push(format!("{}: left out: {what}", printable_path(path)));
    if !left_out.is_empty() {
        note(left_out.to_string());
    }
    if !several.is_empty() {
        let count: usize = several.values().sum();
        let kinds: Vec<_> = several.iter().take(NAMED).map(|(of, count)| format!("{count} .{of}")).collect();
        let more = if several.len() > NAMED { ", …" } else { "" };
        note(format!("{count} other things of a sample than its picture ({}{more})", kinds.join(", ")));
    }
    if others > 0 {
        note(format!("{others} that are no files"));
    }
    Ok(Shard { jobs, items: items.into_iter(), notes, broken })
}

/// What an archive has, by names without `./` before them, and the number of the last of each name; and how many devices and pipes.
type Members = (Vec<(String, What)>, HashMap<String, usize>, usize);

fn members(path: &Path, file: &File) -> Result<Members> {
    let refused = |kind, why: String| Error::io(path)(io::Error::new(kind, format!("{why}; no part is made of it")));
    let (mut members, mut others, mut end) = (Vec::new(), 0, 0);
    let mut archive = tar::Archive::new(BufReader::new(file));
    for entry in archive.entries_with_seek().map_err(Error::io(path))? {
        let read = entry.and_then(|entry| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let name = text(&entry.path_bytes());
            let (begin, kind) = (entry.raw_file_position(), entry.header().entry_type());
            let stored = if kind.is_gnu_sparse() { entry.header().entry_size()? } else { entry.size() };
            end = begin.saturating_add(stored).checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
            let target = entry.link_name_bytes().map(|bytes| text(&bytes)).unwrap_or_default();
            let what = match kind {
                EntryType::Regular | EntryType::Continuous => Some(What::File(begin, stored)),
                EntryType::GNUSparse => Some(What::Sparse),
                EntryType::Link => Some(What::Link(plain(&target))),
                EntryType::Symlink => {
                    let folder = name.rfind('/').map_or("", |slash| &name[..=slash]);
                    Some(What::Link(plain(&format!("{folder}{target}"))))
                }
                EntryType::Directory => None,
                _ => {
                    others += 1;
                    None
                }
            };
            Ok(what.map(|what| (plain(&name), what)))
        });
        match read {
            Ok(member) => members.extend(member),
            Err(_) if members.is_empty() => return Err(no_archive(path)),
            Err(error) => return Err(refused(error.kind(), format!("broken after {} files: {error}", members.len()))),
        }
    }
    let length = file.metadata().map_err(Error::io(path))?.len();
    let last = members.iter().map(|(name, _)| name.as_str()).next_back().unwrap_or_default();
    if length == 0 {
        return Err(refused(io::ErrorKind::UnexpectedEof, "is empty".to_owned()));
    }
    if end > length {
        return Err(refused(io::ErrorKind::UnexpectedEof, format!("broken: it ends within {last}")));
    }
    if length - end < BLOCK {
        let why = "has no mark at its end, so it may have been cut off".to_owned();
        return Err(refused(io::ErrorKind::UnexpectedEof, why));
    }
    if !zeros(file, end..length).map_err(Error::io(path))? {
        let why = "goes on behind its end: of archives that were joined the first alone would be read".to_owned();
        return Err(refused(io::ErrorKind::InvalidData, why));
    }
    let last = members.iter().enumerate().map(|(number, (name, _))| (name.clone(), number)).collect();
    Ok((members, last, others))
}

/// Whether there is nothing but zeros.
fn zeros(file: &File, mut range: std::ops::Range<u64>) -> io::Result<bool> {
    let mut bytes = vec![0; 1 << 16];
    while range.start < range.end {
        let part = bytes.len().min((range.end - range.start) as usize);
        read_at(file, &mut bytes[..part], range.start)?;
        if bytes[..part].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        range.start += part as u64;
    }
    Ok(true)
}

/// The number of the file to which a member leads; `None` if that is not there.
fn followed(mut number: usize, members: &[(String, What)], last: &HashMap<String, usize>) -> Option<usize> {
    for _ in 0..LINKS {
        match &members[number].1 {
            What::Link(target) => number = *last.get(target)?,
            What::File(..) | What::Sparse => return Some(number),
        }
    }
    None
}

/// A path without what changes nothing in it: `./`, `//`, `a/../`.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|part| *part != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The key of a sample and the extension of one of its files.
fn sample(name: &str) -> (&str, &str) {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[base..].find('.') {
        Some(dot) => (&name[..base + dot], &name[base + dot + 1..]),
        None => (name, ""),
    }
}

/// Reads at a place in a file that several threads read.
#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Reads at a place in a file that several threads read.
#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, bytes, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[read..];
        offset += read as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_at_the_first_dot_of_the_base_name() {
        for (name, expected) in [
            ("0001.jpg", ("0001", "jpg")),
            ("a.b/c/0001.seg.png", ("a.b/c/0001", "seg.png")),
            ("a/0001", ("a/0001", "")),
            ("a/.hidden.png", ("a/", "hidden.png")),
        ] {
            assert_eq!(sample(name), expected);
        }
    }

    #[test]
    fn paths_are_plain() {
        for (path, expected) in
            [("./a//b/./c", "a/b/c"), ("a/b/../c", "a/c"), ("../a", "../a"), ("a/../../b", "../b"), ("", "")]
        {
            assert_eq!(plain(path), expected);
        }
    }
}
