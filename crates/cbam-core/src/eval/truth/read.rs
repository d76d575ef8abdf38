//! Reading files of truth whole, within limits.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::text::decode_text;
use crate::{Error, Result};

/// How spreadsheets and archives begin.
const PACKED: [&[u8]; 3] = [b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b"];

/// A file's text, of at most `most` bytes.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::Truth`] if it is longer, or is no text that [`decode_text`] reads.
pub(super) fn text(path: &Path, most: u64) -> Result<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if bytes.len() as u64 > most {
        return Err(Error::truth(path, format!("more than {} MiB, too long for a truth", most >> 20)));
    }
    if PACKED.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(Error::truth(path, "a spreadsheet or an archive, no text: export the table as CSV, or unpack it"));
    }
    // The usual case is not copied: the file of a large set takes half a gigabyte.
    if !bytes.starts_with(b"\xef\xbb\xbf") && !bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok() {
        return String::from_utf8(bytes).map_err(|error| Error::truth(path, error.to_string()));
    }
    decode_text(&bytes).map_err(|message| Error::truth(path, message))
}
