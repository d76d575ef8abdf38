//! Reading files of truth whole, within limits.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::wrong;
use crate::text::decode_text;
use crate::{Error, Result};

/// A file's text, of at most `most` bytes.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, is longer, or is no text that [`decode_text`] reads.
pub(super) fn text(path: &Path, most: u64) -> Result<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if bytes.len() as u64 > most {
        return Err(wrong(path, format!("more than {} MiB, too long for a truth", most >> 20)));
    }
    // The usual case is not copied: the file of a large set takes half a gigabyte.
    if !bytes.starts_with(b"\xef\xbb\xbf") && !bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok() {
        return String::from_utf8(bytes).map_err(|error| wrong(path, error.to_string()));
    }
    decode_text(&bytes).map_err(|message| wrong(path, message))
}
