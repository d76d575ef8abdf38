//! Which class of the network a word of the truth means.

use std::collections::HashMap;

use crate::classes::{imagenet_classes, imagenet_wordnet_ids};
use crate::eval::{RemarkKind, Remarks};

/// The classes of a network, by every word that stands for one of them.
#[derive(Debug, Clone, Default)]
pub struct ClassNames {
    places: HashMap<String, usize>,
    count: usize,
}

impl ClassNames {
    /// Classes by their names, in the network's order. The names are compared without regard to case, and `_` counts as
    /// a space; a name that two classes share stands for none. The names of ImageNet are known by their WordNet ids too
    /// (`n01440764`).
    pub fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        let names: Vec<T> = names.into_iter().collect();
        let mut places = HashMap::new();
        let mut shared = Vec::new();
        for (place, name) in names.iter().enumerate() {
            if places.insert(plain(name.as_ref()), place).is_some() {
                shared.push(plain(name.as_ref()));
            }
        }
        for name in &shared {
            places.remove(name);
        }
        let imagenet = imagenet_classes();
        if names.len() == imagenet.len() && names.iter().zip(imagenet).all(|(own, known)| own.as_ref() == *known) {
            places.extend(imagenet_wordnet_ids().enumerate().map(|(place, id)| (id.to_owned(), place)));
        }
        Self { places, count: names.len() }
    }

    /// So many classes that have no names, only numbers from 0 on.
    pub fn unnamed(count: usize) -> Self {
        Self { places: HashMap::new(), count }
    }

    /// The 1000 classes of ImageNet, by name and by WordNet id (`n01440764`).
    pub fn imagenet() -> Self {
        Self::new(imagenet_classes())
    }

    /// The class that `name` stands for.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.places.get(&plain(name)).copied()
    }

    /// The class that `text` stands for, by its name or by its number from 0 on.
    pub fn find_or_number(&self, text: &str) -> Option<usize> {
        self.find(text).or_else(|| text.trim().parse().ok().filter(|class| *class < self.count))
    }

    /// As [`Self::find`], or also [by number](Self::find_or_number); a name that stands for none is counted.
    pub(super) fn ask(&self, name: &str, numbers: bool, remarks: &mut Remarks) -> Option<usize> {
        let class = if numbers { self.find_or_number(name) } else { self.find(name) };
        if class.is_none() {
            let known = format!("objects of classes that are none of the network's {}", self.count);
            remarks.add(RemarkKind::Assumed, &known, name);
        }
        class
    }
}

fn plain(name: &str) -> String {
    name.trim().replace('_', " ").to_lowercase()
}
