//! Which options the command line gave, so that one that changes nothing is an error and not ignored.

use std::collections::BTreeSet;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

/// The options and arguments that stood on the command line, by the names of their fields.
///
/// It must be the first, flattened, field of a parser: those after it take their values away.
#[derive(Debug, Clone, Default)]
pub struct Given(pub BTreeSet<String>);

/// Options, whether they change anything in this run, and what they are for.
pub type Effect<'a> = (&'a [&'a str], bool, &'a str);

impl Given {
    /// Refuses the first option that was given and changes nothing, as a usage error of the program `C`.
    ///
    /// # Errors
    /// That usage error.
    pub fn check<C: CommandFactory>(&self, effects: &[Effect<'_>]) -> Result<(), clap::Error> {
        let idle = effects.iter().filter(|(_, used, _)| !used);
        let mut idle = idle.flat_map(|(options, _, purpose)| options.iter().map(move |option| (option, purpose)));
        match idle.find(|(option, _)| self.0.contains(**option)) {
            Some((option, purpose)) => {
                let message = format!("--{} has no effect here: {purpose}", option.replace('_', "-"));
                Err(C::command().error(ErrorKind::ArgumentConflict, message))
            }
            None => Ok(()),
        }
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = matches.ids().map(clap::Id::as_str);
        let given = given.filter(|id| matches.value_source(id) == Some(ValueSource::CommandLine));
        Ok(Self(given.map(str::to_owned).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
