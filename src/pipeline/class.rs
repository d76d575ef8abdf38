//! The class that is asked for, by its number or its name.

use std::cmp::Reverse;
use std::convert::Infallible;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use crate::{Error, Result};

/// How many classes an error names.
const NAMED: usize = 8;

/// The class that is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClassChoice {
    /// By its number, from 0.
    Number(usize),
    /// By its name, in any case, or by a part of it that no other class has.
    Name(String),
}

impl Display for ClassChoice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => write!(f, "{name:?}"),
        }
    }
}

impl FromStr for ClassChoice {
    type Err = Infallible;

    /// A whole number is a number, everything else a name.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let text = text.trim();
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Number))
    }
}

impl ClassChoice {
    /// The number of the class, of a network of so many `classes` whose names are `labels` (none if they are unknown).
    ///
    /// A class whose whole name it is goes first (in that very case, then in any), then one of whose words it is, then
    /// one of whose name it is a part.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is no such class (with the names that come nearest), or more than one (with their
    /// numbers).
    pub fn resolve(&self, classes: usize, labels: &[String]) -> Result<usize> {
        let wrong = |message: String| Error::argument(format!("class {self}"), message);
        let last = classes.saturating_sub(1);
        let (given, wanted) = match self {
            Self::Number(number) if *number < classes => return Ok(*number),
            Self::Number(_) => return Err(wrong(format!("the network's classes have the numbers 0 to {last}"))),
            Self::Name(name) => (name, name.to_lowercase()),
        };
        if labels.is_empty() {
            return Err(wrong(format!("this network's classes have no names; give a number, 0 to {last}")));
        }
        let names: Vec<String> = labels.iter().map(|label| label.to_lowercase()).collect();
        let matching = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
            names.iter().enumerate().filter(|(_, name)| fits(name)).map(|(class, _)| class).collect()
        };
        let words = |text: &str| -> Vec<String> {
            let parts = text.split(|c: char| !c.is_alphanumeric());
            parts.filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let wanted_words = words(&wanted);
        let as_words = |name: &str| words(name).windows(wanted_words.len().max(1)).any(|part| part == wanted_words);
        let list = |found: &[usize]| {
            let named = found.iter().take(NAMED).map(|&class| format!("{} ({class})", labels[class]));
            let more = if found.len() > NAMED { ", …" } else { "" };
            named.collect::<Vec<_>>().join(", ") + more
        };
        let same = (0..labels.len()).filter(|&class| labels[class] == *given).collect();
        let whole = matching(&|name| name == wanted);
        let tiers = [same, whole, matching(&as_words), matching(&|name| !wanted.is_empty() && name.contains(&wanted))];
        match tiers.into_iter().find(|found| !found.is_empty()).as_deref() {
            Some(&[class]) => Ok(class),
            Some(found) => {
                Err(wrong(format!("{} classes have that name or part: {}; give a number", found.len(), list(found))))
            }
            None => {
                let mut nearest: Vec<usize> = (0..names.len()).collect();
                nearest.sort_by_key(|&class| Reverse((strsim::jaro_winkler(&names[class], &wanted) * 1e6) as u64));
                nearest.truncate(4);
                Err(wrong(format!("there is none; the nearest names are {}", list(&nearest))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::imagenet_classes;

    fn resolve(text: &str) -> Result<usize> {
        let labels: Vec<String> = imagenet_classes().iter().map(ToString::to_string).collect();
        let Ok(choice) = text.parse::<ClassChoice>();
        choice.resolve(labels.len(), &labels)
    }

    #[test]
    fn numbers_and_names_find_their_class() {
        for (text, class) in [
            ("281", 281),
            (" 0 ", 0),
            ("tiger cat", 282),
            ("TIGER CAT", 282),
            ("espresso", 967), // and not the espresso maker
            ("espresso maker", 550),
            ("crane", 517),    // and not the crane bird
            ("Cardigan", 264), // a dog
            ("cardigan", 474), // and not the dog
            ("Egyptian", 285),
            ("siames", 284), // a part of a word
        ] {
            assert_eq!(resolve(text).unwrap(), class, "{text}");
        }
    }

    #[test]
    fn what_is_not_one_class_names_those_that_come_near() {
        for (text, parts) in [
            ("1000", &["class 1000", "0 to 999"][..]),
            ("-1", &["none"]),
            ("CARDIGAN", &["2 classes", "Cardigan (264)", "cardigan (474)"]),
            ("retriever", &["golden retriever (207)", "number"]),
            ("tigercat", &["tiger cat (282)", "none"]),
            ("xylofone", &["nearest"]),
            ("", &["none"]),
        ] {
            let error = resolve(text).unwrap_err();
            assert!(matches!(error, Error::Argument { .. }));
            let message = error.to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
        }
        let unnamed = ClassChoice::Name("cat".into()).resolve(7, &[]).unwrap_err().to_string();
        assert!(unnamed.contains("0 to 6"), "{unnamed}");
    }
}
