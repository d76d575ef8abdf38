//! Which class of the network a word of the truth means.

use std::collections::HashMap;

use crate::weights::{imagenet_classes, imagenet_wordnet_ids};

/// The classes of a network, by every word that stands for one of them.
#[derive(Debug, Clone, Default)]
pub struct ClassNames {
    places: HashMap<String, usize>,
}

impl ClassNames {
    /// Classes by their names, in the network's order. The names are compared without regard to case, and `_` counts as
    /// a space; a name that two classes share stands for none.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut places = HashMap::new();
        let mut shared = Vec::new();
        for (place, name) in names.into_iter().enumerate() {
            if places.insert(plain(name), place).is_some() {
                shared.push(plain(name));
            }
        }
        for name in &shared {
            places.remove(name);
        }
        Self { places }
    }

    /// The 1000 classes of ImageNet, by name and by WordNet id (`n01440764`).
    pub fn imagenet() -> Self {
        let mut names = Self::new(imagenet_classes().iter().copied());
        names.places.extend(imagenet_wordnet_ids().enumerate().map(|(place, id)| (id.to_owned(), place)));
        names
    }

    /// The class that `name` stands for.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.places.get(&plain(name)).copied()
    }
}

fn plain(name: &str) -> String {
    name.trim().replace('_', " ").to_lowercase()
}

/// The boxes that count for one picture, from `(name, box)` of all its objects.
///
/// If some names are classes of the network, that of the greatest area is the picture's class and its boxes count;
/// otherwise there is no class and all boxes count.
pub(super) fn choose(
    objects: Vec<(String, super::BoundingBox)>,
    classes: &ClassNames,
) -> (Option<usize>, Vec<super::BoundingBox>) {
    let mut areas: Vec<(usize, f64)> = Vec::new();
    for (name, found) in &objects {
        let Some(class) = classes.find(name) else { continue };
        match areas.iter_mut().find(|(of, _)| *of == class) {
            Some((_, area)) => *area += found.area(),
            None => areas.push((class, found.area())),
        }
    }
    let largest = areas.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best });
    let class = largest.map(|(class, _)| class);
    let counts = |name: &str| class.is_none() || classes.find(name) == class;
    (class, objects.into_iter().filter(|(name, _)| counts(name)).map(|(_, found)| found).collect())
}
