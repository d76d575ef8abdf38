//! Files: written whole or not at all, text in the encodings that editors write, tar archives of pictures, records for a
//! second pass.

pub mod archive;
mod spool;
mod temporary;
mod whole;

use std::io;
use std::path::Path;

use crate::text::decode_text;
use crate::{Error, Result};

pub use spool::Spool;
pub use temporary::remove_unfinished;
pub use whole::{WholeFile, check_folder, check_writable, write_whole, written_file};

/// A text file's text, as [`decode_text`] reads it.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, or holds another encoding; that names the first byte at fault.
pub fn read_text(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    decode_text(&bytes).map_err(|message| Error::io(path)(io::Error::new(io::ErrorKind::InvalidData, message)))
}
