//! Pascal VOC annotations: one XML file for each picture (Everingham et al. 2010). ImageNet's boxes have this form too.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use roxmltree::{Document, Node};

use super::names::{ClassNames, choose};
use super::{BoundingBox, Object, Pictures, TruthRow, wrong};
use crate::photo::ImageSize;
use crate::{Error, Result};

/// The pictures that have an object, in the order of the files.
pub(super) fn read(files: &[PathBuf], classes: &ClassNames, pictures: &Pictures<'_>) -> Result<Vec<TruthRow>> {
    let mut rows = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).map_err(Error::io(file))?;
        let document = Document::parse(&text).map_err(|error| wrong(file, error.to_string()))?;
        if let Some(row) = row(file, &document, classes, pictures).map_err(|message| wrong(file, message))? {
            rows.push(row);
        }
    }
    let nowhere =
        || wrong(files.first().map_or(Path::new(""), PathBuf::as_path), "neither it nor the others: no object");
    if rows.is_empty() { Err(nowhere()) } else { Ok(rows) }
}

fn row(
    file: &Path,
    document: &Document<'_>,
    classes: &ClassNames,
    pictures: &Pictures<'_>,
) -> Result<Option<TruthRow>, String> {
    let root = document.root_element();
    if root.tag_name().name() != "annotation" {
        return Err(format!("no VOC annotation: it begins with <{}>", root.tag_name().name()));
    }
    let size = child(root, "size")?;
    let size = ImageSize::new(number(size, "width")?, number(size, "height")?);
    let mut objects = Vec::new();
    for object in root.children().filter(|node| node.has_tag_name("object")) {
        let name = text(object, "name")?;
        let corners = child(object, "bndbox")?;
        let [x0, y0, x1, y1] = ["xmin", "ymin", "xmax", "ymax"].map(|corner| number::<f64>(corners, corner));
        // Pixels count from 1, and the high corner belongs to the box.
        let found = BoundingBox { x0: (x0? - 1.0).max(0.0), y0: (y0? - 1.0).max(0.0), x1: x1?, y1: y1? };
        if let Some(fault) = found.fault(size) {
            return Err(format!("the box of {name} {fault}"));
        }
        objects.push((name.to_owned(), found));
    }
    if objects.is_empty() {
        return Ok(None);
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let image = pictures.find(text(root, "filename").unwrap_or_default(), &stem)?;
    let (class, boxes) = choose(objects, classes);
    Ok(Some(TruthRow { image, class, size, small: false, object: Object::Boxes(boxes) }))
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Result<Node<'a, 'input>, String> {
    let found = node.children().find(|child| child.has_tag_name(name));
    found.ok_or_else(|| format!("<{}> has no <{name}>", node.tag_name().name()))
}

fn text<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str, String> {
    Ok(child(node, name)?.text().unwrap_or_default().trim())
}

fn number<T: FromStr>(node: Node<'_, '_>, name: &str) -> Result<T, String> {
    let text = text(node, name)?;
    text.parse().map_err(|_| format!("<{name}> is {text:?}, not a number that it can be"))
}
