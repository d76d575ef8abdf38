//! A table of truth: a line for each picture, or for each of its boxes, separated by tabs, commas or semicolons.

use std::path::Path;

use super::draft::{Drafts, Thing};
use super::names::ClassNames;
use super::{BoundingBox, LEADS_OUT, NO_SIZE, TruthRow, inside, read, size};
use crate::eval::{RemarkKind, Remarks};
use crate::{Error, Result};

/// The longest file that is read.
const MOST: u64 = 1 << 30;
/// What may stand between the fields, the first that the header has counts.
const SEPARATORS: [char; 3] = ['\t', ';', ','];

/// The columns that are known, each by its names.
const IMAGE: &[&str] = &["image", "file", "filename", "file_name", "path"];
const CLASS: &[&str] = &["class", "label"];
const WIDTH: &[&str] = &["width"];
const HEIGHT: &[&str] = &["height"];
const SMALL: &[&str] = &["small"];
const BOXES: &[&str] = &["boxes", "box"];
const CORNERS: [[&str; 4]; 3] = [["x1", "y1", "x2", "y2"], ["x0", "y0", "x1", "y1"], ["xmin", "ymin", "xmax", "ymax"]];

/// What is said of a line.
const LINES: &str = "lines of the table that make no sense, left out";
const BOX: &str = "boxes of the table that are not four numbers, left out";

/// The pictures, in the order in which they come first.
pub(super) fn read(path: &Path, classes: &ClassNames, remarks: &mut Remarks) -> Result<Vec<TruthRow>> {
    let text = read::text(path, MOST)?;
    let (columns, lines) = Columns::find(&text).map_err(|message| Error::truth(path, message))?;
    let mut drafts = Drafts::default();
    for line in lines {
        if let Err(message) = add(&line, &columns, classes, &mut drafts, remarks) {
            remarks.add(RemarkKind::Lost, LINES, format_args!("line {}: {message}", line.number));
        }
    }
    Ok(drafts.rows(remarks))
}

/// A line of the table, or several that are one record.
#[derive(Default)]
struct Line {
    number: u64,
    fields: Vec<String>,
    /// Whether it opens a quote that is not closed where a field ends, and so was read alone.
    open: bool,
}

/// The lines that are not empty. A field in quotes may go over several lines; a line with an open quote costs itself alone.
struct Lines<'t> {
    /// What is not read yet, and the number of its first line.
    rest: &'t str,
    number: u64,
    separator: char,
}

/// What ends a line.
const ENDS: [char; 2] = ['\r', '\n'];
/// The most fields over several lines that one record may have; with more, a quote was not closed. So no line is read more often
/// either.
const MOST_LONG: usize = 100;

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            let text = self.rest.trim_start_matches(ENDS);
            let number = self.number + newlines(&self.rest[..self.rest.len() - text.len()]);
            if text.is_empty() {
                return None;
            }
            let read = record(text, self.separator);
            let open = read.is_none();
            let (fields, length) = read.unwrap_or_else(|| {
                let line = text.split(ENDS).next().unwrap_or(text);
                (line.split(self.separator).map(|field| field.trim().to_owned()).collect(), line.len())
            });
            self.rest = &text[length..];
            self.number = number + newlines(&text[..length]);
            if fields.iter().any(|field| !field.is_empty()) {
                return Some(Line { number, fields, open });
            }
        }
    }
}

/// The fields of the record that `text` begins with, and its length; `None` if a quote in it is not closed, or, over several
/// lines, not where a field ends.
fn record(text: &str, separator: char) -> Option<(Vec<String>, usize)> {
    let (mut fields, mut long) = (Vec::new(), 0);
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let (part, behind) = quoted.split_once('"')?;
                field += part;
                rest = behind;
                let Some(more) = behind.strip_prefix('"') else { break };
                field.push('"'); // a quote in quotes is written twice
                quoted = more;
            }
            if field.contains(ENDS) {
                long += 1;
                let behind = rest.trim_start_matches(' ');
                let closed = behind.is_empty() || behind.starts_with([separator, ENDS[0], ENDS[1]]);
                if long > MOST_LONG || !closed {
                    return None;
                }
            }
        }
        let end = rest.find([separator, ENDS[0], ENDS[1]]).unwrap_or(rest.len());
        field += &rest[..end];
        fields.push(field.trim().to_owned());
        rest = &rest[end..];
        match rest.strip_prefix(separator) {
            Some(more) => rest = more,
            None => return Some((fields, text.len() - rest.len())),
        }
    }
}

fn newlines(text: &str) -> u64 {
    memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64
}

/// Which column is which.
#[derive(Debug, Default)]
struct Columns {
    count: usize,
    image: usize,
    class: Option<usize>,
    width: Option<usize>,
    height: Option<usize>,
    small: Option<usize>,
    boxes: Option<usize>,
    corners: Option<[usize; 4]>,
}

impl Columns {
    /// The columns, and the lines below them; what is missing, all at once.
    fn find(text: &str) -> Result<(Self, Lines<'_>), String> {
        if text.trim().is_empty() {
            return Err("the file is empty".to_owned());
        }
        // Excel's first line, which names the separator and is no line of the table.
        let said = text.strip_prefix("sep=").and_then(|rest| rest.split(ENDS).next()).filter(|said| said.len() == 1);
        let start = said.map_or(0, |said| "sep=".len() + said.len());
        let read = |separator| {
            let mut lines = Lines { rest: &text[start..], number: 1, separator };
            let header = lines.next().unwrap_or_default();
            let names: Vec<String> = header.fields.iter().map(|name| name.to_lowercase()).collect();
            let known = [IMAGE, CLASS, WIDTH, HEIGHT, SMALL, BOXES].concat();
            let known = known.iter().chain(CORNERS.as_flattened());
            let count = known.filter(|name| names.iter().any(|own| own == *name)).count();
            (count, names, lines)
        };
        // Of equal ones the one that parts the line most.
        let separators = said.map_or_else(|| SEPARATORS.to_vec(), |said| said.chars().collect());
        let headers = separators.into_iter().map(read);
        let best =
            headers.reduce(|best, next| if (next.0, next.1.len()) > (best.0, best.1.len()) { next } else { best });
        let (_, names, lines) = best.ok_or("the file is empty")?;
        Ok((Self::named(&names)?, lines))
    }

    fn named(names: &[String]) -> Result<Self, String> {
        let place = |name: &str| names.iter().position(|own| own == name);
        let any = |known: &[&str]| known.iter().find_map(|name| place(name));
        let corners = CORNERS.iter().find_map(|corners| {
            let places: Option<Vec<usize>> = corners.iter().map(|name| place(name)).collect();
            places?.try_into().ok()
        });
        let (class, boxes) = (any(CLASS), any(BOXES));
        let mut missing = Vec::new();
        if any(IMAGE).is_none() {
            missing.push("image".to_owned());
        }
        if boxes.is_none() && corners.is_none() {
            let some = |corners: &&[&str; 4]| corners.iter().filter(|name| place(name).is_some()).count();
            // Of equal ones the first.
            match CORNERS.iter().rev().max_by_key(some).filter(|corners| some(corners) > 1) {
                Some(corners) => {
                    missing.extend(corners.iter().filter(|name| place(name).is_none()).map(ToString::to_string));
                }
                None if class.is_none() => missing.push("boxes (or x1, y1, x2 and y2)".to_owned()),
                None => {}
            }
        }
        if !missing.is_empty() {
            let (missing, own) = (missing.join(", "), names.join(", "));
            return Err(format!(
                "line 1: missing columns: {missing}; it has {own}. The first line names the columns: image, boxes \
                 (x1,y1,x2,y2 with ; between boxes) or x1, y1, x2, y2, and if you like class, width, height, small"
            ));
        }
        Ok(Self {
            count: names.len(),
            image: any(IMAGE).unwrap_or_default(),
            class,
            width: any(WIDTH),
            height: any(HEIGHT),
            small: any(SMALL),
            boxes,
            corners: corners.filter(|_| boxes.is_none()),
        })
    }

    /// The places of those that are read.
    fn read(&self) -> impl Iterator<Item = usize> {
        let single = [Some(self.image), self.class, self.width, self.height, self.small, self.boxes];
        single.into_iter().flatten().chain(self.corners.into_iter().flatten())
    }
}

/// Adds what a line says; why it cannot.
fn add(
    line: &Line,
    columns: &Columns,
    classes: &ClassNames,
    drafts: &mut Drafts,
    remarks: &mut Remarks,
) -> Result<(), String> {
    let Line { number: line, fields, open } = line;
    let field = |place: usize| fields.get(place).map_or("", String::as_str);
    if *open {
        return Err("a field goes over several lines: is a quote not closed?".to_owned());
    }
    let long = fields.iter().any(|field| field.contains(ENDS));
    if long && (fields.len() < columns.count || columns.read().any(|place| field(place).contains(ENDS))) {
        return Err("a field goes over several lines, all left out: is a quote not closed?".to_owned());
    }
    if fields.iter().skip(columns.count).any(|field| !field.is_empty()) {
        let (fields, columns) = (fields.len(), columns.count);
        return Err(format!("{fields} fields for {columns} columns; put a field that holds the separator in quotes"));
    }
    let given = |place: Option<usize>| place.map(field).filter(|text| !text.is_empty());
    let name = given(Some(columns.image)).ok_or("image is missing")?;
    let Some(image) = inside(name) else {
        remarks.add(RemarkKind::Lost, LEADS_OUT, name);
        return Ok(());
    };
    let small = match given(columns.small).unwrap_or("0").to_lowercase().as_str() {
        "0" | "false" | "no" => false,
        "1" | "true" | "yes" => true,
        other => return Err(format!("small is {other:?}, neither 0 nor 1")),
    };
    let (width, height) = (given(columns.width), given(columns.height));
    let sides = [width, height].map(|side| side?.parse().ok());
    let size = size(sides[0], sides[1]);
    if size.is_none() && (width.is_some() || height.is_some()) {
        remarks.add(RemarkKind::Assumed, NO_SIZE, format_args!("line {line}, {image}"));
    }
    let known = drafts.knows(&image);
    let place = drafts.picture(&image, size, small).map_err(|_| format!("{image} had another size before"))?;
    if known && columns.boxes.is_some() {
        let what = "lines of a picture that the table has already, their boxes counted together";
        remarks.add(RemarkKind::Changed, what, format_args!("line {line}, {image}"));
    }
    let class = given(columns.class).and_then(|text| classes.ask(text, true, remarks));
    let place_name = format!("line {line}");
    let boxes = boxes(fields, columns);
    if boxes.is_empty() {
        if columns.boxes.is_some() || columns.corners.is_some() {
            let what = "lines of the table without a box, which count for the class alone";
            remarks.add(RemarkKind::Changed, what, format_args!("{place_name}, {image}"));
        }
        drafts.add(place, Thing { class, found: None, place: place_name });
        return Ok(());
    }
    for found in boxes {
        match found {
            Ok(found) => drafts.add(place, Thing { class, found: Some(found), place: place_name.clone() }),
            Err(text) => {
                drafts.spoil(place);
                remarks.add(RemarkKind::Changed, BOX, format_args!("{place_name}: {text:?}"));
            }
        }
    }
    Ok(())
}

/// The boxes of a line, or the texts that are none.
fn boxes(fields: &[String], columns: &Columns) -> Vec<Result<BoundingBox, String>> {
    let field = |place: usize| fields.get(place).map_or("", String::as_str);
    let read = |texts: &[&str], whole: &str| {
        let numbers: Option<Vec<f64>> = texts.iter().map(|text| text.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[x0, y0, x1, y1]) => Ok(BoundingBox { x0, y0, x1, y1 }),
            _ => Err(whole.to_owned()),
        }
    };
    if let Some(corners) = columns.corners {
        let texts = corners.map(field);
        if texts.iter().all(|text| text.is_empty()) {
            return Vec::new();
        }
        return vec![read(&texts, &texts.join(","))];
    }
    let texts = columns.boxes.map_or("", field).split([';', '|']).map(str::trim).filter(|text| !text.is_empty());
    let apart = |text: &str| -> Vec<String> {
        text.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let of = |text: &str| {
        let parts = apart(text);
        read(&parts.iter().map(String::as_str).collect::<Vec<_>>(), text)
    };
    texts.map(of).collect()
}
