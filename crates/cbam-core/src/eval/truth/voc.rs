//! Pascal VOC annotations: one XML file for each picture (Everingham et al. 2010). ImageNet's boxes have this form too.
//!
//! The XML is read as a stream, so neither its depth nor its attributes cost more than its length. A file or an object
//! that makes no sense costs itself alone.

use std::path::{Path, PathBuf};

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

use super::draft::{Drafts, Thing};
use super::names::ClassNames;
use super::{BoundingBox, NO_SIZE, Pictures, TruthRow, read, size};
use crate::eval::{RemarkKind, Remarks};

/// The longest file that is read.
const MOST: u64 = 16 << 20;
/// How far below its root a file says anything: `annotation/object/bndbox/xmin`.
const DEPTH: usize = 4;

/// The pictures that have an object, in the order of the files.
pub(super) fn read(
    files: &[PathBuf],
    folder: &Path,
    classes: &ClassNames,
    pictures: &Pictures<'_>,
    remarks: &mut Remarks,
) -> Vec<TruthRow> {
    let mut drafts = Drafts::default();
    for file in files {
        let below = file.strip_prefix(folder).unwrap_or(file);
        let read = read::text(file, MOST).map_err(|error| error.to_string());
        let read = read.and_then(|text| parse(&text).map_err(|message| format!("{}: {message}", below.display())));
        match read {
            Ok(annotation) => add(annotation, below, classes, pictures, &mut drafts, remarks),
            Err(message) => remarks.add(RemarkKind::Lost, "VOC files that cannot be read, left out", message),
        }
    }
    drafts.rows(remarks)
}

fn add(
    annotation: Annotation,
    below: &Path,
    classes: &ClassNames,
    pictures: &Pictures<'_>,
    drafts: &mut Drafts,
    remarks: &mut Remarks,
) {
    let image = match pictures.find(annotation.filename.as_deref().unwrap_or_default(), below) {
        Ok(image) => image,
        Err(message) => return remarks.add(RemarkKind::Lost, super::NO_PICTURE, message),
    };
    if drafts.knows(&image) {
        let what = "VOC files of a picture that has one already, left out";
        return remarks.add(RemarkKind::Lost, what, format_args!("{}, of {image}", below.display()));
    }
    let size = size(number(annotation.width.as_ref()), number(annotation.height.as_ref()));
    if size.is_none() && !annotation.objects.is_empty() {
        remarks.add(RemarkKind::Assumed, NO_SIZE, below.display());
    }
    let Ok(place) = drafts.picture(&image, size, false) else { return };
    for (count, object) in annotation.objects.into_iter().enumerate() {
        let name = object.name.unwrap_or_default();
        let of = format!("object {} ({name})", count + 1);
        let corners = object.corners.each_ref().map(|corner| number(corner.as_ref()));
        let [Some(x0), Some(y0), Some(x1), Some(y1)] = corners else {
            let what = "VOC objects whose bndbox has not four numbers, left out";
            remarks.add(RemarkKind::Changed, what, format_args!("{of} of {}", below.display()));
            drafts.spoil(place);
            continue;
        };
        let class = classes.ask(&name, false, remarks);
        // Pixels count from 1, and the high corner belongs to the box.
        let low = |corner: f64| (corner - 1.0).max(corner.min(0.0));
        let found = BoundingBox { x0: low(x0), y0: low(y0), x1, y1 };
        drafts.add(place, Thing { class, found: Some(found), place: of });
    }
}

fn number(text: Option<&String>) -> Option<f64> {
    text?.trim().parse().ok()
}

/// What a file says, as text.
#[derive(Default)]
struct Annotation {
    filename: Option<String>,
    width: Option<String>,
    height: Option<String>,
    objects: Vec<Noted>,
}

#[derive(Default)]
struct Noted {
    name: Option<String>,
    /// `xmin`, `ymin`, `xmax`, `ymax`.
    corners: [Option<String>; 4],
}

impl Annotation {
    /// Where the text of the element at this path goes; the first of its kind counts.
    fn slot(&mut self, path: &[String]) -> Option<&mut Option<String>> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path[..] {
            ["annotation", "filename"] => Some(&mut self.filename),
            ["annotation", "size", "width"] => Some(&mut self.width),
            ["annotation", "size", "height"] => Some(&mut self.height),
            ["annotation", "object", "name"] => Some(&mut self.objects.last_mut()?.name),
            ["annotation", "object", "bndbox", corner] => {
                let place = ["xmin", "ymin", "xmax", "ymax"].iter().position(|known| *known == corner)?;
                Some(&mut self.objects.last_mut()?.corners[place])
            }
            _ => None,
        }
    }
}

fn parse(text: &str) -> Result<Annotation, String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut annotation = Annotation::default();
    let (mut path, mut depth, mut said): (Vec<String>, usize, String) = (Vec::new(), 0, String::new());
    loop {
        let event = reader.read_event().map_err(|error| {
            let before = text.bytes().take(reader.error_position() as usize);
            let line = before.filter(|byte| *byte == b'\n').count() + 1;
            format!("broken XML in line {line}: {error}")
        })?;
        match event {
            Event::Start(tag) => {
                let name = tag.local_name();
                if depth == 0 && name.as_ref() != "annotation" {
                    return Err(format!("no VOC annotation: it begins with <{}>", name.as_ref()));
                }
                if depth < DEPTH {
                    path.push(name.as_ref().to_owned());
                    said.clear();
                    if path == ["annotation", "object"] {
                        annotation.objects.push(Noted::default());
                    }
                }
                depth += 1;
            }
            Event::End(_) => {
                depth -= 1;
                if depth < DEPTH {
                    if let Some(slot) = annotation.slot(&path) {
                        slot.get_or_insert_with(|| said.trim().to_owned());
                    }
                    path.pop();
                    said.clear();
                }
                if depth == 0 {
                    return Ok(annotation);
                }
            }
            Event::Text(part) if depth <= DEPTH => said.push_str(&part),
            Event::CData(part) if depth <= DEPTH => said.push_str(&part),
            Event::GeneralRef(part) if depth <= DEPTH => said.push_str(&resolved(&part)?),
            Event::Eof if depth > 0 => return Err("truncated XML: its end is missing".to_owned()),
            Event::Eof => return Err("no VOC annotation: no XML element".to_owned()),
            _ => {}
        }
    }
}

/// The characters that a reference such as `&amp;` or `&#228;` stands for.
fn resolved(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(character) = reference.resolve_char_ref().map_err(|error| format!("broken XML: {error}"))? {
        return Ok(character.to_string());
    }
    let known = resolve_predefined_entity(reference).map(ToOwned::to_owned);
    known.ok_or_else(|| format!("the XML entity &{}; is not known", reference.as_ref() as &str))
}
