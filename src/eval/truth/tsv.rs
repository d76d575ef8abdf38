//! A table of truth: tab-separated, one class and its boxes per picture.

use std::collections::HashSet;
use std::path::Path;
use std::str::FromStr;

use super::{BoundingBox, Object, TruthRow, wrong};
use crate::photo::ImageSize;
use crate::{Error, Result};

/// Reads a table of truth: tab-separated text whose first line names the columns `image`, `class`, `width`, `height`,
/// `small` (0 or 1) and `boxes` (`x0,y0,x1,y1`, with `;` between boxes). Their order is free, further columns are ignored.
///
/// # Errors
/// [`Error::Io`] naming the file and the line, if the file cannot be read, a column is missing, a value cannot be read,
/// a picture comes twice, or there is no row.
pub fn read_truth(path: impl AsRef<Path>) -> Result<Vec<TruthRow>> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    parse(&text).map_err(|message| wrong(path, message))
}

const COLUMNS: [&str; 6] = ["image", "class", "width", "height", "small", "boxes"];

fn parse(text: &str) -> Result<Vec<TruthRow>, String> {
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    let (_, header) = lines.next().ok_or("the file is empty")?;
    let header: Vec<&str> = header.trim_start_matches('\u{feff}').split('\t').map(str::trim).collect();
    let mut places = [0; COLUMNS.len()];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        let found = header.iter().position(|column| *column == name);
        *place = found.ok_or_else(|| format!("line 1: there is no column {name:?}"))?;
    }
    let mut rows = Vec::new();
    let mut seen = HashSet::new();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let row = row(&fields, &places).map_err(|message| format!("line {number}: {message}"))?;
        if !seen.insert(row.image.clone()) {
            return Err(format!("line {number}: {} comes a second time", row.image));
        }
        rows.push(row);
    }
    if rows.is_empty() { Err("there is no row below the header".to_owned()) } else { Ok(rows) }
}

fn row(fields: &[&str], places: &[usize; COLUMNS.len()]) -> Result<TruthRow, String> {
    let mut values = [""; COLUMNS.len()];
    for ((value, &place), name) in values.iter_mut().zip(places).zip(COLUMNS) {
        *value = *fields.get(place).filter(|v| !v.is_empty()).ok_or_else(|| format!("{name} is missing"))?;
    }
    let [image, class, width, height, small, boxes] = values;
    let size = ImageSize { width: number("width", width)?, height: number("height", height)? };
    if size.width == 0 || size.height == 0 {
        return Err(format!("a picture of {}×{} pixels has no pixel", size.width, size.height));
    }
    let small = match small {
        "0" => false,
        "1" => true,
        other => return Err(format!("small is {other:?}, neither 0 nor 1")),
    };
    let boxes = boxes.split(';').map(|text| bounding_box(text, size)).collect::<Result<_, _>>()?;
    let image = image.strip_prefix("./").unwrap_or(image).to_owned();
    Ok(TruthRow { image, class: Some(number("class", class)?), size, small, object: Object::Boxes(boxes) })
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("{name} is {text:?}, not a number that it can be"))
}

fn bounding_box(text: &str, size: ImageSize) -> Result<BoundingBox, String> {
    let numbers = text.split(',').map(|part| number("a box's corner", part)).collect::<Result<Vec<f64>, _>>()?;
    let [x0, y0, x1, y1] = numbers[..] else {
        return Err(format!("the box {text:?} is not x0,y0,x1,y1"));
    };
    let found = BoundingBox { x0, y0, x1, y1 };
    found.fault(size).map_or(Ok(found), |fault| Err(format!("the box {text:?} {fault}")))
}
