//! What a first pass learnt, kept in a file until the second.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Records in an unnamed temporary file; only where each one lies is kept in memory.
///
/// ```
/// use cbam_core::files::Spool;
///
/// let mut spool = Spool::new()?;
/// spool.put(3, &"the fourth".to_owned())?;
/// assert_eq!(spool.get(3)?.as_deref(), Some("the fourth"));
/// assert_eq!(spool.get(0)?, None);
/// # Ok::<(), cbam_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Spool<T> {
    file: File,
    end: u64,
    /// Start and length of each record.
    places: Vec<Option<(u64, u32)>>,
    records: PhantomData<T>,
}

impl<T: Serialize + for<'de> Deserialize<'de>> Spool<T> {
    /// A spool without records.
    ///
    /// # Errors
    /// [`Error::Io`] if there can be no temporary file.
    pub fn new() -> Result<Self> {
        let file = tempfile::tempfile().map_err(Error::io(std::env::temp_dir()))?;
        Ok(Self { file, end: 0, places: Vec::new(), records: PhantomData })
    }

    /// Keeps record `index`, in the stead of the one that was kept as that.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn put(&mut self, index: usize, record: &T) -> Result<()> {
        let bytes = postcard::to_stdvec(record).map_err(|error| spool_error(std::io::Error::other(error)))?;
        self.file.seek(SeekFrom::Start(self.end)).map_err(spool_error)?;
        self.file.write_all(&bytes).map_err(spool_error)?;
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        self.places[index] = Some((self.end, bytes.len() as u32));
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Reads record `index` back; `None` if it was never put.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read.
    pub fn get(&mut self, index: usize) -> Result<Option<T>> {
        let Some((start, length)) = self.places.get(index).copied().flatten() else { return Ok(None) };
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
        let mut spool = Spool::<(String, Vec<f32>)>::new().unwrap();
        let record = |index: usize| (format!("picture {index}"), vec![index as f32 / 3.0; index * 100]);
        for index in [3, 0, 1] {
            spool.put(index, &record(index)).unwrap();
        }
        for index in [1, 3, 0] {
            assert_eq!(spool.get(index).unwrap(), Some(record(index)));
        }
        assert_eq!((spool.get(2).unwrap(), spool.get(9).unwrap()), (None, None));
        spool.put(0, &record(2)).unwrap();
        assert_eq!(spool.get(0).unwrap(), Some(record(2)));
    }
}
