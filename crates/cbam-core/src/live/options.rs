//! What a script says about a head or a look, as JSON. A name that is not known is an error, not passed over.

use std::str::FromStr;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::classes::ClassChoice;
use crate::maps::{Detail, MapName};
use crate::{Error, Result};

/// What the head of a page says beside the network.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadOptions {
    /// The program that makes the page, with its version.
    pub program: String,
    /// When, as RFC 3339 has it; there is no clock here.
    pub date: String,
    /// The words of a command line that opens this network.
    pub command: Vec<String>,
    /// The maps that are shown, the first one first. Default: the network's first.
    pub maps: Vec<String>,
    /// The class that maps are of. Default: each picture's likeliest.
    pub class: Option<Class>,
}

/// How a photo is looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LookOptions {
    /// The short side of what the network sees, in pixels. Default: the network's own.
    pub short_side: Option<u32>,
    /// The maps that are shown, the first one first; more of them come along. Default: the network's first.
    pub maps: Vec<String>,
    /// The class that maps are of. Default: the likeliest.
    pub class: Option<Class>,
    /// How much is kept.
    pub detail: Kept,
}

/// A class, by its number or its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Class {
    /// By its number, from 0.
    Number(usize),
    /// By its name, a part of it, or its number as text.
    Name(String),
}

/// How much of a look a page is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// All: head by head, all classes, features.
    #[default]
    Whole,
    /// What a picture among many has: some 150 kB, with a small picture for the list.
    Means,
}

impl Class {
    /// As the library asks for it.
    pub fn choice(&self) -> ClassChoice {
        match self {
            Self::Number(number) => ClassChoice::Number(*number),
            Self::Name(name) => name.parse().unwrap_or_else(|never: std::convert::Infallible| match never {}),
        }
    }
}

impl From<Kept> for Detail {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Whole => Self::Whole,
            Kept::Means => Self::Means,
        }
    }
}

/// Options from JSON; an empty text is none.
///
/// # Errors
/// [`Error::Argument`] if they are no JSON of that shape.
pub fn read<T: DeserializeOwned + Default>(text: &str) -> Result<T> {
    if text.trim().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(text).map_err(|error| Error::argument("options", error))
}

/// Maps by their names.
pub(super) fn map_names(names: &[String]) -> Result<Vec<MapName>> {
    names.iter().map(|name| MapName::from_str(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_defaults_and_no_other_names() {
        let options: LookOptions = read("").unwrap();
        assert_eq!((options.short_side, options.detail, options.class), (None, Kept::Whole, None));
        let options: LookOptions = read(r#"{"short_side": 320, "class": 281, "detail": "means"}"#).unwrap();
        assert_eq!((options.short_side, options.detail), (Some(320), Kept::Means));
        assert_eq!(options.class.unwrap().choice(), ClassChoice::Number(281));
        let options: LookOptions = read(r#"{"class": "tabby", "short_side": null}"#).unwrap();
        assert_eq!(options.class.unwrap().choice(), ClassChoice::Name("tabby".to_owned()));
        for wrong in [r#"{"size": 3}"#, r#"{"detail": "all"}"#, r#"{"short_side": -1}"#, "[", r#"{"class": []}"#] {
            assert!(read::<LookOptions>(wrong).unwrap_err().to_string().starts_with("options: "), "{wrong}");
        }
    }
}
