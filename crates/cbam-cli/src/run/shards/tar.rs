//! The pictures of a tar archive, as WebDataset names them: a sample's key is its path up to the first dot of the base name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use cbam_core::files::archive::members;
use cbam_core::photo::{LeftOut, Limits};
use cbam_core::pipeline::{Elsewhere, Job, Source};
use cbam_core::text::printable_path;
use cbam_core::{Error, Result};

use super::shard::{Broken, Item, Shard};

/// Archives are made of blocks of so many bytes; one of zeros marks the end.
const BLOCK: u64 = 512;

/// The pictures of an archive. Files with several extensions, such as `0001.mask.png`, are other things of a sample than its picture.
pub(super) fn open(path: &Path) -> Result<Shard> {
    let (members, broken) = members(path)?;
    let refused = |kind, why: String| Error::io(path)(io::Error::new(kind, format!("{why}; no part is made of it")));
    if let Some(error) = broken {
        let read = members.iter().filter(|member| !member.is_folder).count();
        return Err(refused(error.kind(), format!("broken after {read} files: {error}")));
    }
    let file = Arc::new(File::open(path).map_err(Error::io(path))?);
    let length = file.metadata().map_err(Error::io(path))?.len();
    let mut notes = Vec::new();
    if let Some(last) = members.last() {
        let end = last.offset.saturating_add(last.length);
        if end > length {
            let name = printable_path(&last.name).to_string();
            return Err(refused(io::ErrorKind::UnexpectedEof, format!("broken: it ends within {name}")));
        }
        if end.next_multiple_of(BLOCK) + BLOCK > length {
            notes.push(format!("{}: has no mark at its end, so it may have been cut off there", printable_path(path)));
        }
    }
    let (mut left_out, mut others) = (LeftOut::default(), BTreeMap::<String, usize>::new());
    let (mut jobs, mut items, broken) = (Vec::new(), Vec::new(), Broken::default());
    for member in members.into_iter().filter(|member| !member.is_folder) {
        let name = member.name.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        let (key, extension) = sample(&name);
        if !left_out.keeps(Path::new(&name)) {
            continue;
        }
        if extension.contains('.') {
            *others.entry(extension.to_owned()).or_default() += 1;
        } else {
            items.push(Item { key: key.to_owned(), path: Some(name.clone()) });
            let (file, broken) = (file.clone(), broken.clone());
            let (archive, at) = (path.to_owned(), name.clone());
            let read = move || {
                if member.length > Limits::default().max_bytes {
                    return Err(Error::photo(&at, format!("{} bytes are over the limit", member.length)));
                }
                let mut bytes = vec![0; member.length as usize];
                read_at(&file, &mut bytes, member.offset).map_err(|error| {
                    let _ = broken.set(format!("{at} cannot be read: {error}"));
                    Error::io(&archive)(error)
                })?;
                Ok(bytes)
            };
            jobs.push(Job { keep: true, ..Job::new(Source::Elsewhere(Elsewhere::new(name, read))) });
        }
    }
    if !left_out.is_empty() {
        notes.push(format!("{}: left out: {left_out}", printable_path(path)));
    }
    if !others.is_empty() {
        let kinds: Vec<_> = others.iter().map(|(extension, count)| format!("{count} .{extension}")).collect();
        let kinds = kinds.join(", ");
        notes
            .push(format!("{}: left out, as other things of a sample than its picture: {kinds}", printable_path(path)));
    }
    Ok(Shard { jobs, items: items.into_iter(), notes, broken })
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
}
