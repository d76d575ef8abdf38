//! Values of options that have names: parsed as the library reads them, and known to completion scripts.

use std::ffi::OsStr;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::{PossibleValue, TypedValueParser};

/// Parses a `T`, and offers these names for completion; others may be right too.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    names: Vec<String>,
    of: PhantomData<fn() -> T>,
}

/// A parser for values of which these are the names; see [`Listed`].
pub(crate) fn listed<T>(names: impl IntoIterator<Item = impl Display>) -> Listed<T> {
    Listed { names: names.into_iter().map(|name| name.to_string()).collect(), of: PhantomData }
}

impl<T> Clone for Listed<T> {
    fn clone(&self) -> Self {
        Self { names: self.names.clone(), of: PhantomData }
    }
}

impl<T> TypedValueParser for Listed<T>
where
    T: FromStr<Err: Display> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(&self, cmd: &clap::Command, arg: Option<&clap::Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let parse = |text: &str| text.parse().map_err(|error: T::Err| error.to_string());
        TypedValueParser::parse_ref(&parse, cmd, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.names.iter().cloned().map(PossibleValue::new)))
    }
}
