//! What the first pass learnt, kept in a file between the two passes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

use crate::{Error, Result};

/// Records in an unnamed temporary file; only where each one lies is kept in memory.
#[derive(Debug)]
pub(super) struct Spool<T> {
    file: File,
    end: u64,
    /// Start and length of each record.
    places: Vec<Option<(u64, u32)>>,
    records: PhantomData<T>,
}

impl<T: Serialize + for<'de> Deserialize<'de>> Spool<T> {
    /// A spool for `count` records.
    pub(super) fn new(count: usize) -> Result<Self> {
        let file = tempfile::tempfile().map_err(Error::io(std::env::temp_dir()))?;
        Ok(Self { file, end: 0, places: vec![None; count], records: PhantomData })
    }

    /// Keeps record `index`.
    pub(super) fn put(&mut self, index: usize, record: &T) -> Result<()> {
        let bytes = postcard::to_stdvec(record).map_err(|error| spool_error(std::io::Error::other(error)))?;
        self.file.seek(SeekFrom::Start(self.end)).map_err(spool_error)?;
        self.file.write_all(&bytes).map_err(spool_error)?;
        self.places[index] = Some((self.end, bytes.len() as u32));
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Reads record `index` back; `None` if it was never put.
    pub(super) fn get(&mut self, index: usize) -> Result<Option<T>> {
        let Some((start, length)) = self.places[index] else { return Ok(None) };
        let mut bytes = vec![0; length as usize];
        self.file.seek(SeekFrom::Start(start)).map_err(spool_error)?;
        self.file.read_exact(&mut bytes).map_err(spool_error)?;
        postcard::from_bytes(&bytes).map(Some).map_err(|error| spool_error(std::io::Error::other(error)))
    }
}

/// The file has no name: the folder that holds it is what can be full or out of reach.
fn spool_error(error: std::io::Error) -> Error {
    Error::io(Path::new(&std::env::temp_dir()))(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_any_order() {
        let mut spool = Spool::<(String, Vec<f32>)>::new(4).unwrap();
        let record = |index: usize| (format!("picture {index}"), vec![index as f32 / 3.0; index * 100]);
        for index in [3, 0, 1] {
            spool.put(index, &record(index)).unwrap();
        }
        for index in [1, 3, 0] {
            assert_eq!(spool.get(index).unwrap(), Some(record(index)));
        }
        assert_eq!(spool.get(2).unwrap(), None);
    }
}
