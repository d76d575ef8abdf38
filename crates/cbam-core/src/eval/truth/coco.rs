//! COCO instances: one JSON file for a set (Lin et al. 2014, <https://cocodataset.org/#format-data>).
//!
//! An image, an annotation or a category that makes no sense costs itself alone.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::draft::{Drafts, Thing};
use super::names::ClassNames;
use super::record::{Fields, Record};
use super::{BoundingBox, LEADS_OUT, NO_SIZE, TruthRow, inside, read, size};
use crate::eval::{RemarkKind, Remarks};
use crate::{Error, Result};

/// The longest file that is read; the largest sets have about 1 GiB.
const MOST: u64 = 4 << 30;

struct ImageFields;
struct AnnotationFields;
struct CategoryFields;

impl Fields<4> for ImageFields {
    const NAMES: [&'static str; 4] = ["id", "file_name", "width", "height"];
}

impl Fields<5> for AnnotationFields {
    const NAMES: [&'static str; 5] = ["id", "image_id", "category_id", "bbox", "iscrowd"];
}

impl Fields<2> for CategoryFields {
    const NAMES: [&'static str; 2] = ["id", "name"];
}

type Image = Record<ImageFields, 4>;
type Annotation = Record<AnnotationFields, 5>;
type Category = Record<CategoryFields, 2>;

/// The lists of a file, each entry as its text: what cannot be read of one does not cost the others.
#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    images: Vec<&'a RawValue>,
    #[serde(borrow)]
    annotations: Vec<&'a RawValue>,
    #[serde(borrow)]
    categories: Option<&'a RawValue>,
}

/// The pictures that have an object; crowds count for none.
pub(super) fn read(path: &Path, classes: &ClassNames, remarks: &mut Remarks) -> Result<Vec<TruthRow>> {
    let text = read::text(path, MOST)?;
    if text.trim_start().starts_with('[') {
        let message = "a list, as results are; the truth is an instances file: images, annotations, categories";
        return Err(Error::truth(path, format!("no COCO instances file: {message}")));
    }
    let text = without_nan(&text);
    let file: File<'_> =
        serde_json::from_str(&text).map_err(|error| Error::truth(path, format!("no COCO instances file: {error}")))?;
    let names = categories(file.categories, remarks);
    let mut reading = Reading { classes, names, drafts: Drafts::default(), images: HashMap::new() };
    for (number, image) in file.images.into_iter().enumerate() {
        reading.image(number, &Image::read(image), remarks);
    }
    for (number, annotation) in file.annotations.into_iter().enumerate() {
        reading.annotation(number, &Annotation::read(annotation), remarks);
    }
    Ok(reading.drafts.rows(remarks))
}

/// The names of the categories by their ids.
fn categories(list: Option<&RawValue>, remarks: &mut Remarks) -> HashMap<String, String> {
    let Some(list) = list else { return HashMap::new() };
    let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(list.get()) else {
        remarks.add(RemarkKind::Changed, "lists of categories that are none, left out", "categories");
        return HashMap::new();
    };
    let mut names = HashMap::new();
    for (number, category) in list.into_iter().enumerate() {
        let [own, name] = Category::read(category).fields;
        if let (Some(own), Some(name)) = (own.id(), name.id()) {
            names.insert(own, name);
        } else {
            let what = "categories without an id or a name that can be read, left out";
            remarks.add(RemarkKind::Changed, what, format_args!("category number {number}"));
        }
    }
    names
}

/// What was read so far.
struct Reading<'a> {
    classes: &'a ClassNames,
    /// The names of the categories by their ids.
    names: HashMap<String, String>,
    drafts: Drafts,
    /// The images by their ids; `None` stands for one that is left out.
    images: HashMap<String, Option<usize>>,
}

impl Reading<'_> {
    fn image(&mut self, number: usize, image: &Image, remarks: &mut Remarks) {
        let [own, name, width, height] = &image.fields;
        let (Some(own), Some(name)) = (own.id(), name.text()) else {
            let what = "images without an id or a file_name that can be read, left out";
            return remarks.add(RemarkKind::Lost, what, format_args!("image number {number}"));
        };
        let Some(name) = inside(name) else {
            remarks.add(RemarkKind::Lost, LEADS_OUT, name);
            self.images.insert(own, None);
            return;
        };
        let size = size(width.number(), height.number());
        if size.is_none() {
            remarks.add(RemarkKind::Assumed, NO_SIZE, &name);
        }
        let place = self.drafts.picture(&name, size, false).ok();
        if place.is_none() {
            let what = "pictures that are there twice in different sizes, the second left out";
            remarks.add(RemarkKind::Lost, what, &name);
        }
        if let Some(first) = self.images.get_mut(&own) {
            if *first != place {
                // Whose annotations are whose, nobody knows.
                *first = None;
                let what = "images whose id another image has, both left out";
                remarks.add(RemarkKind::Lost, what, format_args!("{name} (id {own})"));
            }
        } else {
            self.images.insert(own, place);
        }
    }

    fn annotation(&mut self, number: usize, annotation: &Annotation, remarks: &mut Remarks) {
        let [own, image, category, bbox, iscrowd] = &annotation.fields;
        let place = own.id().map_or_else(|| format!("annotation number {number}"), |id| format!("annotation {id}"));
        if iscrowd.number().is_some_and(|crowd| crowd != 0.0) {
            return remarks.add(RemarkKind::Assumed, "crowds (iscrowd), which count for nothing", place);
        }
        let known = match image.id().map(|id| self.images.get(&id).copied().ok_or(id)) {
            Some(Ok(Some(known))) => known,
            // The image itself was left out, and that was said.
            Some(Ok(None)) => return,
            Some(Err(id)) => {
                let what = "annotations of an image that the file does not have, left out";
                return remarks.add(RemarkKind::Lost, what, format_args!("{place}, of image {id}"));
            }
            None => {
                return remarks.add(
                    RemarkKind::Lost,
                    "annotations without an image_id that can be read, left out",
                    place,
                );
            }
        };
        let of = format!("{place}, of {}", self.drafts.name(known));
        let Some([left, top, width, height]) = bbox.four() else {
            self.drafts.spoil(known);
            return remarks.add(RemarkKind::Changed, "annotations whose bbox is not four numbers, left out", of);
        };
        let name = category.id().and_then(|id| self.names.get(&id));
        if name.is_none() {
            let what = "annotations of a category that the file does not have, taken for an unknown class";
            remarks.add(RemarkKind::Changed, what, of);
        }
        let class = name.and_then(|name| self.classes.ask(name, false, remarks));
        let found = BoundingBox { x0: left, y0: top, x1: left + width, y1: top + height };
        self.drafts.add(known, Thing { class, found: Some(found), place });
    }
}

/// The text with null for the bare words NaN, Infinity and -Infinity, which Python writes and JSON does not have.
fn without_nan(text: &str) -> Cow<'_, str> {
    const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    if !WORDS.iter().any(|word| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find(['"', 'N', 'I', '-']) {
        out.push_str(&rest[..place]);
        rest = &rest[place..];
        let taken = if rest.starts_with('"') {
            string_length(rest)
        } else if let Some(word) = WORDS.iter().find(|word| rest.starts_with(**word)) {
            out.push_str("null");
            rest = &rest[word.len()..];
            continue;
        } else {
            1
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The bytes of the JSON string that `text` begins with, its quotes included; all of it if it does not end.
fn string_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut place = 1;
    while place < bytes.len() {
        match bytes[place] {
            b'"' => return place + 1,
            b'\\' => place += 2,
            _ => place += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_words_become_null_and_names_stay() {
        for (text, expected) in [
            ("[NaN, -Infinity,Infinity, -1, 2]", "[null, null,null, -1, 2]"),
            (r#"{"NaN \" Infinity": NaN, "ä": "-Infinity\\"}"#, r#"{"NaN \" Infinity": null, "ä": "-Infinity\\"}"#),
            (r#"{"a": "NaN"#, r#"{"a": "NaN"#),
            (r#"{"a": "NaN\"#, r#"{"a": "NaN\"#),
        ] {
            assert_eq!(without_nan(text), expected);
        }
    }
}
