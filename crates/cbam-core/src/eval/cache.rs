//! Scores that were measured before, by what they were measured on.
//!
//! A cache is one text file that only grows: a line for each score, with a checksum, a key and the score as JSON. A line
//! is written at once, so a process that is killed loses at most the line it was writing; a line that is broken is told
//! of, left out, and measured anew. The key is a hash of everything that the score depends on.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The name of the file in its folder.
const FILE: &str = "scores.cache";
/// The hexadecimal digits of a line's checksum.
const CHECKSUM: usize = 16;

/// Scores by their keys, in a file or in memory alone.
#[derive(Debug, Default)]
pub struct ScoreCache {
    scores: HashMap<String, String>,
    file: Option<(PathBuf, File)>,
    broken: usize,
}

impl ScoreCache {
    /// A cache that is forgotten with the process.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// The cache in `folder`, which is made if need be.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder or the file cannot be made, read or written.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let path = Self::file(folder);
        let mut options = File::options();
        let mut file = options.create(true).append(true).read(true).open(&path).map_err(Error::io(&path))?;
        let bytes = fs::read(&path).map_err(Error::io(&path))?;
        if bytes.last().is_some_and(|last| *last != b'\n') {
            file.write_all(b"\n").map_err(Error::io(&path))?; // ends the line that a killed process began
        }
        let (mut scores, mut broken) = (HashMap::new(), 0);
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match read_line(line) {
                Some((key, score)) => {
                    scores.insert(key.to_owned(), score.to_owned());
                }
                None => broken += 1,
            }
        }
        Ok(Self { scores, file: Some((path, file)), broken })
    }

    /// The file of the cache in `folder`.
    pub fn file(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// How many lines could not be trusted, and were left out.
    pub fn broken(&self) -> usize {
        self.broken
    }

    /// How many scores there are.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// The hash of everything that a score depends on. Where one part ends and the next begins counts.
    pub fn key(parts: &[&[u8]]) -> String {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hex(&hash.finalize())
    }

    /// The score under `key`, if there is one of this type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_str(self.scores.get(key)?).ok()
    }

    /// Keeps a score.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written (a full disk); what was kept before stays, and from then on all is kept in memory
    /// alone.
    pub fn put(&mut self, key: &str, score: &impl Serialize) -> Result<()> {
        let failed = |error: std::io::Error| {
            Error::io(self.file.as_ref().map_or(Path::new("score cache"), |(path, _)| path))(error)
        };
        let json = serde_json::to_string(score).map_err(|error| failed(error.into()))?;
        let line = format!("{key} {json}");
        self.scores.insert(key.to_owned(), json);
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let whole = format!("{} {line}\n", checksum(line.as_bytes()));
        let written = file.write_all(whole.as_bytes()).map_err(Error::io(path));
        if written.is_err() {
            self.file = None;
        }
        written
    }
}

/// The key and the score of a line whose checksum is right.
fn read_line(line: &[u8]) -> Option<(&str, &str)> {
    let (sum, rest) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    (sum == checksum(rest.as_bytes())).then(|| rest.split_once(' '))?
}

fn checksum(bytes: &[u8]) -> String {
    let mut sum = hex(&Sha256::digest(bytes));
    sum.truncate(CHECKSUM);
    sum
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes all
        text
    })
}
