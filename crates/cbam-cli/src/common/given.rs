//! Which options the command line gave, so that one that changes nothing is an error and not ignored.

use std::collections::BTreeMap;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use crate::common::usage;

/// The options and arguments that stood on the command line, by the names of their fields, with their words.
///
/// It must be the first, flattened, field of a parser: those after it take their values away.
#[derive(Debug, Clone, Default)]
pub struct Given(BTreeMap<String, Vec<String>>);

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
        match idle.find(|(option, _)| self.holds(option)) {
            Some((option, purpose)) => {
                let message = format!("--{} has no effect here: {purpose}", option.replace('_', "-"));
                Err(usage::<C>(message))
            }
            None => Ok(()),
        }
    }
}

impl Given {
    /// Whether an option stood on the command line.
    pub fn holds(&self, option: &str) -> bool {
        self.0.contains_key(option)
    }

    /// The words of the options of the program `C` that stood on the command line and that are `wanted`, in the order of its help.
    pub fn words<C: CommandFactory>(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
        let command = C::command();
        let options = command.get_arguments().filter(|argument| wanted(argument.get_id().as_str()));
        let given = options.filter_map(|argument| Some((argument, self.0.get(argument.get_id().as_str())?)));
        let words = given.filter_map(|(argument, values)| {
            let name = format!("--{}", argument.get_long()?);
            let value = argument.get_action().takes_values().then(|| values.join(","));
            Some([Some(name), value].into_iter().flatten())
        });
        words.flatten().collect()
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = matches.ids().map(clap::Id::as_str);
        let given = given.filter(|id| matches.value_source(id) == Some(ValueSource::CommandLine));
        let words = |id: &str| {
            let raw = matches.try_get_raw(id).ok().flatten();
            raw.into_iter().flatten().map(|word| word.to_string_lossy().into_owned()).collect()
        };
        Ok(Self(given.map(|id| (id.to_owned(), words(id))).collect()))
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
