//! The names and WordNet ids of the 1000 ImageNet classes.

use std::sync::LazyLock;

// From torchvision (`torchvision/models/_meta.py`, BSD 3-Clause), one a line.
static CLASSES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("../../assets/imagenet_classes.txt").lines().collect());

/// The names of the 1000 classes of ImageNet (ILSVRC 2012), in the order of their sorted WordNet ids, which is the
/// order of every classifier's logits here.
pub fn imagenet_classes() -> &'static [&'static str] {
    &CLASSES
}

/// The WordNet ids of the 1000 classes of ImageNet (ILSVRC 2012), such as `n01440764`, sorted.
pub fn imagenet_wordnet_ids() -> impl ExactSizeIterator<Item = &'static str> {
    static IDS: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| include_str!("../../assets/imagenet_wordnet_ids.txt").lines().collect());
    IDS.iter().copied()
}
