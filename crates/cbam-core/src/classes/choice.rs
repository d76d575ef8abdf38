//! The class that is asked for, by its number or its name.

use std::cmp::Reverse;
use std::convert::Infallible;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use super::{imagenet_classes, imagenet_wordnet_ids};
use crate::{Error, Result};

/// How many classes an error names.
const NAMED: usize = 8;

/// The class that is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClassChoice {
    /// By its number, from 0.
    Number(usize),
    /// By its name, in any case, or by a part of it that no other class has; or, of ImageNet's classes, by its WordNet id,
    /// such as `n02123045`.
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
    /// The number of the class, of a network of `classes` classes whose names are `labels` (empty if they are unknown).
    ///
    /// A class whose whole name it is goes first (in that very case, then in any), then one of whose words it is, then
    /// one of whose name it is a part.
    ///
    /// # Errors
    /// [`Error::Argument`] if the network has no classes, there is no such class (with the names that come nearest), or more than one (with their
    /// numbers).
    pub fn resolve(&self, classes: usize, labels: &[String]) -> Result<usize> {
        let wrong = |message: String| Error::argument(format!("class {self}"), message);
        if classes == 0 {
            return Err(wrong("this network says nothing of classes".to_owned()));
        }
        let last = classes - 1;
        let (given, wanted) = match self {
            Self::Number(number) if *number < classes => return Ok(*number),
            Self::Number(_) => return Err(wrong(format!("the network's classes have the numbers 0 to {last}"))),
            Self::Name(name) if name.is_empty() => {
                return Err(wrong(format!("is empty; give a number, 0 to {last}, or a name")));
            }
            Self::Name(name) => (name, name.to_lowercase()),
        };
        if is_wordnet_id(&wanted) && !labels.iter().any(|label| label.eq_ignore_ascii_case(&wanted)) {
            if !labels.iter().eq(imagenet_classes()) {
                return Err(wrong("a WordNet id, and this network's classes are not ImageNet's".to_owned()));
            }
            let found = imagenet_wordnet_ids().position(|id| id == wanted);
            return found.ok_or_else(|| wrong("no WordNet id of ImageNet's 1000 classes".to_owned()));
        }
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
                nearest
                    .sort_by_cached_key(|&class| Reverse((strsim::jaro_winkler(&names[class], &wanted) * 1e6) as u64));
                nearest.truncate(4);
                Err(wrong(format!("there is none; the nearest names are {}", list(&nearest))))
            }
        }
    }
}

/// Whether a name is written as ImageNet's ids are: `n` and eight digits.
fn is_wordnet_id(name: &str) -> bool {
    name.strip_prefix('n').is_some_and(|digits| digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("n02123045", 281),
            ("N01440764", 0),
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
            ("", &["empty", "0 to 999"]),
            ("n00000000", &["no WordNet id"]),
        ] {
            let error = resolve(text).unwrap_err();
            assert!(matches!(error, Error::Argument { .. }));
            let message = error.to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
        }
        let unnamed = ClassChoice::Name("cat".into()).resolve(7, &[]).unwrap_err().to_string();
        assert!(unnamed.contains("0 to 6"), "{unnamed}");
        let labels = ["cat".to_owned(), "dog".to_owned()];
        let foreign = ClassChoice::Name("n02123045".into()).resolve(2, &labels).unwrap_err().to_string();
        assert!(foreign.contains("WordNet id"), "{foreign}");
        let none = ClassChoice::Number(0).resolve(0, &[]).unwrap_err().to_string();
        assert!(none.contains("nothing of classes"), "{none}");
    }
}
