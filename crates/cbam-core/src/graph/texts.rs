//! Texts that many nodes of a graph share.

use std::collections::HashMap;
use std::sync::Arc;

/// Each text once.
#[derive(Debug, Default)]
pub(super) struct Texts(HashMap<String, Arc<str>>);

impl Texts {
    pub(super) fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(shared) = self.0.get(text) {
            return shared.clone();
        }
        let shared: Arc<str> = text.into();
        self.0.insert(text.to_owned(), shared.clone());
        shared
    }
}
