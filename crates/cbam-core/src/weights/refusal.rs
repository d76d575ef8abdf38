//! Why a file is not taken.

use std::path::Path;

use crate::{Error, Remedy};

/// Why a file is not taken, before it is known what the file is called.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) remedy: Option<Remedy>,
}

impl Refusal {
    /// With what helps.
    pub(super) fn helped(message: impl Into<String>, remedy: Remedy) -> Self {
        Self { message: message.into(), remedy: Some(remedy) }
    }

    /// An option of this name, which has no effect on the file; why.
    pub(super) fn idle(option: &'static str, why: impl Into<String>) -> Self {
        Self::helped(why, Remedy::Without(vec![option]))
    }

    /// The error about a file of this name.
    pub(super) fn about(self, name: &Path) -> Error {
        Error::Weights { path: name.to_owned(), message: self.message, remedy: self.remedy }
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self { message, remedy: None }
    }
}

impl From<&str> for Refusal {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}
