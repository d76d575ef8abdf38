//! The pictures of a shard, whatever it is.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::vec;

use cbam_core::Result;
use cbam_core::photo::Limits;
use cbam_core::pipeline::Job;
use cbam_core::text::printable_path;

use super::{rows, tar};

/// Where pictures are in Parquet files, as far as that is said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Columns {
    pub(crate) image: Option<String>,
    pub(crate) key: Option<String>,
}

/// A picture's names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// In the shard, no other has it unless the shard gives it twice.
    pub(super) key: String,
    /// That of its file, if it has one.
    pub(super) path: Option<String>,
}

/// A shard's pictures, in its order.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) jobs: Vec<Job>,
    pub(super) items: vec::IntoIter<Item>,
    /// What a user should know of it.
    pub(super) notes: Vec<String>,
    /// Why it cannot be read as a whole, once that is seen. A picture that is broken does not break its shard.
    pub(super) broken: Broken,
}

/// Why a shard cannot be read as a whole: what is seen first.
pub(super) type Broken = Arc<OnceLock<String>>;

impl Shard {
    /// Finds the pictures of a shard; none of them is read yet.
    ///
    /// # Errors
    /// [`Error::Io`](cbam_core::Error::Io) if it cannot be read, or only in part; [`Error::Argument`](cbam_core::Error::Argument) for
    /// columns that it has not.
    pub(super) fn open(path: &Path, columns: &Columns, limits: &Limits) -> Result<Self> {
        let mut shard = if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tar")) {
            tar::open(path, limits)?
        } else {
            rows::open(path, columns, limits)?
        };
        let mut seen = HashSet::new();
        let twice = shard.items.as_slice().iter().filter(|item| !seen.insert(item.key.as_str())).count();
        if twice > 0 {
            let shard_of = printable_path(path).to_string();
            shard.notes.push(format!("{shard_of}: {twice} pictures have a key that another one has"));
        }
        Ok(shard)
    }
}
