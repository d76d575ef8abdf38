//! The names of classes: of a file, and of the 1000 classes of ImageNet, with their WordNet ids.

use std::path::Path;
use std::sync::LazyLock;

use crate::files::read_text;
use crate::{Error, Result};

// From torchvision (`torchvision/models/_meta.py`, BSD 3-Clause), one a line.
static CLASSES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("../../assets/imagenet_classes.txt").lines().collect());

/// The names of the 1000 classes of ImageNet (ILSVRC 2012), in the order of their sorted WordNet ids, which is the
/// order of every classifier's logits here.
pub fn imagenet_classes() -> &'static [&'static str] {
    &CLASSES
}

/// The names of a network's classes that says nothing of them: ImageNet's if there are as many, or none.
pub fn usual_labels(classes: usize) -> Vec<String> {
    let labels = if classes == CLASSES.len() { imagenet_classes() } else { &[] };
    labels.iter().map(ToString::to_string).collect()
}

/// The names of a network's classes from a text file, one a line, in the order of its logits.
///
/// # Errors
/// [`Error::Io`] if it cannot be read as text ([`read_text`]), [`Error::Weights`] if it is empty or a line is.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<String>> {
    let path = path.as_ref();
    let text = read_text(path)?;
    let labels: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    match labels.iter().position(String::is_empty) {
        Some(line) => Err(Error::weights(path, format!("line {} is empty; write one class a line", line + 1))),
        None if labels.is_empty() => Err(Error::weights(path, "no classes; write one a line")),
        None => Ok(labels),
    }
}

/// The two answers of a network that gives out one number: that it is not there, and that it is.
pub fn both_answers(one: &str) -> Vec<String> {
    vec![format!("not {one}"), one.to_owned()]
}

/// The WordNet ids of the 1000 classes of ImageNet (ILSVRC 2012), such as `n01440764`, sorted.
pub fn imagenet_wordnet_ids() -> impl ExactSizeIterator<Item = &'static str> {
    static IDS: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| include_str!("../../assets/imagenet_wordnet_ids.txt").lines().collect());
    IDS.iter().copied()
}
