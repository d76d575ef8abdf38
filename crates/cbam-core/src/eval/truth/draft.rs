//! From objects, as the formats give them, to the rows of a truth: one row a picture, what cannot be left out and counted.

use std::collections::HashMap;
use std::fmt::Display;

use super::{BoundingBox, Object, TruthRow};
use crate::eval::{RemarkKind, Remarks};
use crate::photo::ImageSize;

/// How far a box may reach beyond its picture, in pixels, before it is said: less is rounding.
const ROUNDING: f64 = 0.01;

/// One object of a picture.
pub(super) struct Thing {
    /// Its class, where it is one of the network's.
    pub(super) class: Option<usize>,
    /// None where the truth only says that the picture is of this class.
    pub(super) found: Option<BoundingBox>,
    /// Where the truth has it, for people.
    pub(super) place: String,
}

/// A picture and what is known about it.
struct Draft {
    image: String,
    size: Option<ImageSize>,
    small: bool,
    things: Vec<Thing>,
    /// Whether an object was left out, since it makes no sense.
    spoilt: bool,
}

/// Pictures and their objects, while the truth is read.
#[derive(Default)]
pub(super) struct Drafts {
    drafts: Vec<Draft>,
    places: HashMap<String, usize>,
}

/// A picture that comes a second time, with another size.
pub(super) struct OtherSize;

impl Drafts {
    /// The picture `image`, which is made if it is new.
    pub(super) fn picture(&mut self, image: &str, size: Option<ImageSize>, small: bool) -> Result<usize, OtherSize> {
        if let Some(&place) = self.places.get(image) {
            let draft = &mut self.drafts[place];
            match (draft.size, size) {
                (Some(a), Some(b)) if a != b => return Err(OtherSize),
                _ => draft.size = draft.size.or(size),
            }
            draft.small |= small;
            return Ok(place);
        }
        self.places.insert(image.to_owned(), self.drafts.len());
        self.drafts.push(Draft { image: image.to_owned(), size, small, things: Vec::new(), spoilt: false });
        Ok(self.drafts.len() - 1)
    }

    /// Whether there is such a picture.
    pub(super) fn knows(&self, image: &str) -> bool {
        self.places.contains_key(image)
    }

    /// Adds an object to the picture at `place`.
    pub(super) fn add(&mut self, place: usize, thing: Thing) {
        self.drafts[place].things.push(thing);
    }

    /// Notes that an object of the picture at `place` was left out, and said.
    pub(super) fn spoil(&mut self, place: usize) {
        self.drafts[place].spoilt = true;
    }

    /// The name of the picture at `place`.
    pub(super) fn name(&self, place: usize) -> &str {
        &self.drafts[place].image
    }

    /// The rows, in the order in which their pictures came first.
    pub(super) fn rows(self, remarks: &mut Remarks) -> Vec<TruthRow> {
        self.drafts.into_iter().filter_map(|draft| draft.row(remarks)).collect()
    }
}

impl Draft {
    fn row(self, remarks: &mut Remarks) -> Option<TruthRow> {
        let Self { image, size, small, things, spoilt } = self;
        if things.is_empty() && !spoilt {
            remarks.add(RemarkKind::Assumed, "pictures without an object in the truth, left out", &image);
            return None;
        }
        if !spoilt && things.iter().all(|thing| thing.found.is_none()) {
            let class = things.into_iter().find_map(|thing| thing.class);
            if class.is_none() {
                let what = "pictures of which neither a box nor a class of the network is known, left out";
                remarks.add(RemarkKind::Lost, what, &image);
                return None;
            }
            return Some(TruthRow { image, class, size, small, object: Object::Unknown });
        }
        let mut objects = Vec::new();
        for Thing { class, found, place } in things {
            let Some(found) = found else { continue };
            let checked = usable(&found, size, &format_args!("{place}, of {image}"), remarks);
            objects.extend(checked.map(|found| (class, found)));
        }
        if objects.is_empty() {
            remarks.add(RemarkKind::Lost, "pictures of which no box is left, left out", &image);
            return None;
        }
        let (class, boxes) = choose(objects);
        Some(TruthRow { image, class, size, small, object: Object::Boxes(boxes) })
    }
}

/// The box as it counts on a picture of `size`: cut at its edges; `None` if it covers nothing. Either is said. What depends on
/// an unknown size is left for later.
pub(super) fn usable(
    found: &BoundingBox,
    size: Option<ImageSize>,
    place: &dyn Display,
    remarks: &mut Remarks,
) -> Option<BoundingBox> {
    if !found.covers(size) {
        remarks.add(RemarkKind::Changed, "boxes that cover nothing of their picture, left out", place);
        return None;
    }
    let Some(size) = size else { return Some(*found) };
    let cut = found.cut(size);
    let beyond = [found.x0 - cut.x0, found.y0 - cut.y0, found.x1 - cut.x1, found.y1 - cut.y1];
    if beyond.iter().any(|beyond| beyond.abs() > ROUNDING) {
        remarks.add(RemarkKind::Changed, "boxes that reach beyond their picture, cut at its edge", place);
    }
    Some(cut)
}

/// The boxes that count for one picture, from `(class, box)` of all its objects.
///
/// If some are of classes of the network, the one of the greatest area is the picture's class and its boxes count;
/// otherwise there is no class and all boxes count.
fn choose(objects: Vec<(Option<usize>, BoundingBox)>) -> (Option<usize>, Vec<BoundingBox>) {
    let mut areas: Vec<(usize, f64)> = Vec::new();
    for (class, found) in &objects {
        let Some(class) = *class else { continue };
        match areas.iter_mut().find(|(of, _)| *of == class) {
            Some((_, area)) => *area += found.area(),
            None => areas.push((class, found.area())),
        }
    }
    let largest = areas.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best });
    let class = largest.map(|(class, _)| class);
    let counts = |of: Option<usize>| class.is_none() || of == class;
    (class, objects.into_iter().filter(|(of, _)| counts(*of)).map(|(_, found)| found).collect())
}
