//! Words into a GIF or an APNG, which ffmpeg writes without any.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::form::Container;

/// Writes a comment at the end of a file; into other containers ffmpeg writes it.
pub(super) fn add(path: &Path, container: Container, words: &str) -> io::Result<()> {
    match container {
        Container::Gif => before_end(path, &[0x3B], &gif(words)),
        Container::Apng => before_end(path, &chunk(*b"IEND", &[]), &chunk(*b"iTXt", &png(words))),
        Container::Mp4 | Container::Mov | Container::Matroska | Container::Webm => Ok(()),
    }
}

/// Puts bytes before those that end a file.
fn before_end(path: &Path, end: &[u8], bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let at = file.seek(SeekFrom::End(-(end.len() as i64)))?;
    let mut found = vec![0; end.len()];
    file.read_exact(&mut found)?;
    if found != end {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "ffmpeg wrote no end"));
    }
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&[bytes, end].concat())
}

/// A comment extension (version 89a, section 24).
fn gif(words: &str) -> Vec<u8> {
    let mut made = vec![0x21, 0xFE];
    for block in words.as_bytes().chunks(255) {
        made.push(block.len() as u8);
        made.extend(block);
    }
    made.push(0);
    made
}

/// An international text (PNG, section 11.3.3.4): its keyword, not compressed, in no language.
fn png(words: &str) -> Vec<u8> {
    [b"Comment\0\0\0\0\0", words.as_bytes()].concat()
}

fn chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&kind);
    sum.update(content);
    [&(content.len() as u32).to_be_bytes()[..], &kind, content, &sum.finalize().to_be_bytes()].concat()
}
