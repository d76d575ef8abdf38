//! COCO instances: one JSON file for a set (Lin et al. 2014, <https://cocodataset.org/#format-data>).

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::names::{ClassNames, choose};
use super::{BoundingBox, Object, TruthRow, wrong};
use crate::photo::ImageSize;
use crate::{Error, Result};

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: i64,
    category_id: i64,
    /// Left, top, width, height.
    bbox: [f64; 4],
    #[serde(default)]
    iscrowd: u8,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

/// The pictures that have an object; crowds count for none, and a picture without objects is left out.
pub(super) fn read(path: &Path, classes: &ClassNames) -> Result<Vec<TruthRow>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let file: File =
        serde_json::from_str(&text).map_err(|error| wrong(path, format!("no COCO instances file: {error}")))?;
    let names: HashMap<i64, &str> = file.categories.iter().map(|c| (c.id, c.name.as_str())).collect();
    let places: HashMap<i64, usize> = file.images.iter().enumerate().map(|(place, image)| (image.id, place)).collect();
    let mut objects: Vec<Vec<(String, BoundingBox)>> = vec![Vec::new(); file.images.len()];
    for (number, annotation) in file.annotations.iter().enumerate().filter(|(_, a)| a.iscrowd == 0) {
        let Some(&place) = places.get(&annotation.image_id) else {
            return Err(wrong(path, format!("annotation {number}: there is no image {}", annotation.image_id)));
        };
        let [left, top, width, height] = annotation.bbox;
        let found = BoundingBox { x0: left, y0: top, x1: left + width, y1: top + height };
        let image = &file.images[place];
        if let Some(fault) = found.fault(ImageSize::new(image.width, image.height)) {
            return Err(wrong(path, format!("annotation {number}, of {}: the box {fault}", image.file_name)));
        }
        let name = names.get(&annotation.category_id).copied().unwrap_or_default();
        objects[place].push((name.to_owned(), found));
    }
    let with_objects = file.images.into_iter().zip(objects).filter(|(_, objects)| !objects.is_empty());
    let rows: Vec<TruthRow> = with_objects
        .map(|(image, objects)| {
            let (class, boxes) = choose(objects, classes);
            let size = ImageSize::new(image.width, image.height);
            let name = image.file_name.strip_prefix("./").unwrap_or(&image.file_name).to_owned();
            TruthRow { image: name, class, size, small: false, object: Object::Boxes(boxes) }
        })
        .collect();
    if rows.is_empty() { Err(wrong(path, "no picture has an object")) } else { Ok(rows) }
}
