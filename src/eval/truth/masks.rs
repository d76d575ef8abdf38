//! Masks: one picture for each picture, black where there is no object.

use std::path::{Path, PathBuf};

use image::DynamicImage;
use ndarray::Array2;

use super::{Object, Pictures, Region, TruthRow, refuse, wrong};
use crate::eval::components::component_boxes;
use crate::photo::{self, ImageSize, Limits};
use crate::{Error, Result};

/// One row for each mask, in the order of their paths. Only the headers are read.
pub(super) fn read(files: &[PathBuf], folder: &Path, pictures: &Pictures<'_>) -> Result<Vec<TruthRow>> {
    let mut rows: Vec<TruthRow> = Vec::with_capacity(files.len());
    for file in files {
        let (width, height) = image::image_dimensions(file).map_err(|error| wrong(file, error.to_string()))?;
        // A mask in a subfolder is for the picture in that subfolder, whatever that picture's extension.
        let below = file.strip_prefix(folder).unwrap_or(file);
        let name = below.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let image = pictures.find(&name, &stem).map_err(|message| wrong(file, message))?;
        if let Some(twin) = rows.iter().find(|row| row.image == image) {
            let Object::Mask(twin) = &twin.object else { continue };
            return Err(refuse(file, &format!("{} is a mask of {image} too", twin.display())));
        }
        let size = ImageSize::new(width, height);
        rows.push(TruthRow { image, class: None, size, small: false, object: Object::Mask(file.clone()) });
    }
    Ok(rows)
}

/// The pixels of a mask that are not black, and the box around each of their connected parts.
pub(super) fn region(path: &Path, size: ImageSize) -> Result<Region> {
    let mask = photo::open(path, &Limits::default())?;
    if mask.size() != size {
        return Err(Error::photo(path, format!("a mask of {} pixels, for a picture of {size}", mask.size())));
    }
    let inside = match &mask.image {
        DynamicImage::ImageLuma16(pixels) => pixels.pixels().map(|pixel| pixel[0] > 0).collect(),
        other => other.to_rgb16().pixels().map(|pixel| pixel.0 != [0; 3]).collect::<Vec<_>>(),
    };
    let shape = (size.height as usize, size.width as usize);
    let inside = Array2::from_shape_vec(shape, inside).map_err(|error| Error::photo(path, error))?;
    if !inside.iter().any(|inside| *inside) {
        return Err(Error::photo(path, "the mask is black: no pixel is an object's"));
    }
    let boxes = component_boxes(&inside);
    Ok(Region { inside, boxes })
}
