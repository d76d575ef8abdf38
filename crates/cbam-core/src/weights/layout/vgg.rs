//! VGG's classifier: its own three layers, or others.

use super::fold::neighbours;
use super::head::{self, Head, Trunk};
use super::modules::{Leaf, Modules, Shape};
use super::way;
use crate::weights::refusal::Refusal;

/// The widths of the hidden layers in its own classifier.
pub(super) const OWN: [i64; 2] = [4096; 2];

/// Finds VGG's classifier; the usual one has the names that it has there.
pub(super) fn find(modules: &Modules, trunk: &Trunk<'_>) -> Result<Head, Refusal> {
    const OURS: &str = "classifier";
    if let Some((layers, classes)) = own(modules, trunk)? {
        for (layer, place) in layers.iter().zip([0, 3, 6]) {
            modules.linear(layer, &format!("backbone.{OURS}.{place}"), true)?;
        }
        let head = Head { classes, hidden: OWN.to_vec(), assumptions: Vec::new() };
        way::beside(modules, trunk, &head::grouped(modules, trunk), &head)?;
        return Ok(head);
    }
    let head = head::find(modules, trunk, OURS)?;
    if head.classes > 0 && head.hidden.is_empty() {
        return Err(alone(trunk).into());
    }
    for number in (0..=head.hidden.len()).filter(|_| head.classes > 0) {
        let to = if number == head.hidden.len() {
            "6".to_owned()
        } else if head.hidden == OWN {
            (3 * number).to_string()
        } else {
            format!("hidden{number}")
        };
        modules.rename(&format!("backbone.{OURS}.{number}"), &format!("backbone.{OURS}.{to}"));
    }
    Ok(head)
}

/// The layers of VGG's own classifier and its classes, if it has them and nothing else, with room for a ReLU behind each.
fn own(modules: &Modules, trunk: &Trunk<'_>) -> Result<Option<(Vec<Leaf>, i64)>, String> {
    let left = modules.leaves("");
    let layers: Vec<Leaf> = left.iter().filter(|leaf| head::outputs(leaf).is_some()).cloned().collect();
    let [width, _] = OWN;
    let classes = match &layers[..] {
        [first, second, last]
            if first.shape == Shape::Linear(width, trunk.features) && second.shape == Shape::Linear(width, width) =>
        {
            head::outputs(last).filter(|classes| last.shape == Shape::Linear(*classes, width))
        }
        _ => None,
    };
    let group = |leaf: &Leaf| head::group(&leaf.path, trunk.prefix);
    let together = layers.first().map(group).is_some_and(|of_first| {
        let inside = left.iter().filter(|leaf| group(leaf) == of_first);
        inside.map(|leaf| &leaf.path).eq(layers.iter().map(|leaf| &leaf.path))
    });
    let Some(classes) = classes.filter(|_| together && head::numbered(&layers)) else { return Ok(None) };
    let rooms = layers.windows(2).filter(|pair| !neighbours(&pair[0], &pair[1])).count();
    match rooms {
        0 => Err(alone(trunk)),
        2 => Ok(Some((layers, classes))),
        _ => Ok(None),
    }
}

fn alone(trunk: &Trunk<'_>) -> String {
    format!("a classifier of one layer behind VGG's {} features, which is not known here", trunk.features)
}
