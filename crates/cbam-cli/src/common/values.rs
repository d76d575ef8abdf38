//! Values of options that have names: parsed as the library reads them, and known to completion scripts.

use std::ffi::OsStr;
use std::fmt::Display;
use std::str::FromStr;

use cbam_core::maps::Method;
use clap::builder::{PossibleValue, TypedValueParser};

/// Parses a `T`, and offers names for completion; others may be right too.
#[derive(Debug)]
pub struct Listed<T> {
    names: Vec<String>,
    parse: fn(&str) -> Result<T, String>,
}

/// A parser for values of which these are the names; see [`Listed`].
pub fn listed<T: FromStr<Err: Display>>(names: impl IntoIterator<Item = impl Display>) -> Listed<T> {
    listed_by(names, |text| text.parse().map_err(|error: T::Err| error.to_string()))
}

/// The same with a parser of its own.
pub fn listed_by<T>(names: impl IntoIterator<Item = impl Display>, parse: fn(&str) -> Result<T, String>) -> Listed<T> {
    Listed { names: names.into_iter().map(|name| name.to_string()).collect(), parse }
}

impl<T> Clone for Listed<T> {
    fn clone(&self) -> Self {
        Self { names: self.names.clone(), parse: self.parse }
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Listed<T> {
    type Value = T;

    fn parse_ref(&self, cmd: &clap::Command, arg: Option<&clap::Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let parse = self.parse;
        TypedValueParser::parse_ref(&move |text: &str| parse(text), cmd, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.names.iter().cloned().map(PossibleValue::new)))
    }
}

/// A parser by the type's own.
///
/// # Errors
/// What that says.
pub fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// The names of maps that can be completed: those that need no more, and the beginnings of the others.
pub fn map_names() -> Vec<String> {
    let others = ["fused", "object", "spatial", "patch", "cls", "coordinate", "channel:", "rollout", "output:"]
        .map(str::to_owned);
    others.into_iter().chain(Method::ALL.map(|method| method.to_string())).collect()
}
