//! What a training was asked to do, to be compared with what a checkpoint was.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;

use crate::{Error, Result};

/// Every setting that the result depends on, by the name that the command line gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::train) struct Settings(BTreeMap<String, String>);

impl Settings {
    /// With one more.
    pub(in crate::train) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.0.insert(name.to_owned(), value.to_string());
        self
    }

    /// With one more, `none` if there is no value.
    pub(in crate::train) fn with_optional(self, name: &str, value: Option<impl Display>) -> Self {
        self.with(name, value.map_or_else(|| "none".to_owned(), |value| value.to_string()))
    }

    /// That a checkpoint was made with these settings.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) that names the first setting that differs, and both its values.
    pub(in crate::train) fn check(&self, saved: &Self, path: &Path) -> Result<()> {
        let names: BTreeSet<&String> = self.0.keys().chain(saved.0.keys()).collect();
        let value = |settings: &Self, name| settings.0.get(name).map_or("nothing", String::as_str).to_owned();
        for name in names {
            let (now, then) = (value(self, name), value(saved, name));
            if now != then {
                let message = format!(
                    "{now} now, but {then} in the checkpoint {}; go on with the same, or start anew",
                    path.display()
                );
                return Err(Error::argument(name, message));
            }
        }
        Ok(())
    }

    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.0)
    }

    pub(super) fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_that_differs_is_named() {
        let made = |steps: usize, limit: Option<usize>| {
            Settings::default().with("seed", 1).with("steps", steps).with_optional("limit", limit)
        };
        let path = Path::new("c.safetensors");
        made(3, None).check(&made(3, None), path).unwrap();
        let error = made(4, None).check(&made(3, None), path).unwrap_err().to_string();
        assert!(error.starts_with("steps: 4 now, but 3 in the checkpoint c.safetensors"), "{error}");
        let error = made(3, None).check(&made(3, Some(9)), path).unwrap_err().to_string();
        assert!(error.starts_with("limit: none now, but 9"), "{error}");
        let error = made(3, None).with("ema", 0.9).check(&made(3, None), path).unwrap_err().to_string();
        assert!(error.starts_with("ema: 0.9 now, but nothing"), "{error}");
        let again = Settings::from_json(&made(3, Some(2)).to_json().unwrap()).unwrap();
        assert_eq!(again, made(3, Some(2)));
    }
}
