//! Tar archives of pictures: what is in them, as far as they can be read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A folder or file in an archive.
#[derive(Debug, Clone)]
pub struct Member {
    /// As it stands in the archive.
    pub name: PathBuf,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Where its bytes begin in the archive.
    pub offset: u64,
    /// How many there are.
    pub length: u64,
}

/// The folders and files of an archive in its order, and why it cannot be read to its end, if it cannot. Of several files of
/// one name the last counts, as it does when they are unpacked.
///
/// # Errors
/// [`Error::Io`] if nothing of it can be read; that says what the file is instead.
pub fn members(path: &Path) -> Result<(Vec<Member>, Option<io::Error>)> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    let (mut members, mut broken) = (Vec::new(), None);
    for member in archive.entries_with_seek().map_err(Error::io(path))? {
        let read = member.and_then(|member| {
            let kind = member.header().entry_type();
            let found = Member {
                name: member.path()?.into_owned(),
                is_folder: kind.is_dir(),
                offset: member.raw_file_position(),
                length: member.size(),
            };
            Ok((kind.is_dir() || kind.is_file()).then_some(found))
        });
        match read {
            Ok(member) => members.extend(member),
            Err(_) if members.is_empty() => return Err(no_archive(path)),
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    let mut last: HashMap<&Path, u64> = HashMap::new();
    for member in &members {
        last.insert(plain(&member.name), member.offset);
    }
    let counts: Vec<bool> = members.iter().map(|member| last[plain(&member.name)] == member.offset).collect();
    let mut counts = counts.into_iter();
    members.retain(|_| counts.next().unwrap_or(true));
    Ok((members, broken))
}

/// A name without `./` before it.
fn plain(name: &Path) -> &Path {
    name.strip_prefix(".").unwrap_or(name)
}

/// The error about a file that was taken for an archive: it says what the file is, and what to do.
pub fn no_archive(path: &Path) -> Error {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    let packed: [&[u8]; 6] = [b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf"];
    let hint = match read {
        Ok(_) if packed.iter().any(|magic| start.starts_with(magic)) => ": unpack it, and name the folder",
        Ok(_) if image::guess_format(&start).is_ok() => ", but a picture: name its folder",
        _ => "",
    };
    let message = format!("no folder and no tar archive{hint}");
    Error::io(path)(io::Error::new(io::ErrorKind::InvalidData, message))
}
