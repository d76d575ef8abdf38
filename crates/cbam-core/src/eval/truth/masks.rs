//! Masks: one picture for each picture, black where there is no object.
//!
//! A mask in colour or grey is object wherever it is not black. In an indexed one (PNG with a palette, as Pascal VOC's
//! `SegmentationClass` is) 255 is void, neither object nor ground, unless its palette is a ramp of greys and it has no
//! other index than 0 and 255.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use image::DynamicImage;
use ndarray::Array2;
use png::{BitDepth, ColorType, Transformations};

use super::{NO_PICTURE, Object, Pictures, Region, TruthRow};
use crate::eval::{RemarkKind, Remarks};
use crate::photo::{self, ImageSize, Limits};
use crate::{Error, Result};

/// The index that is void.
const VOID: u8 = 255;

/// One row for each mask, in the order of their paths. No mask is opened.
pub(super) fn read(files: &[PathBuf], folder: &Path, pictures: &Pictures<'_>, remarks: &mut Remarks) -> Vec<TruthRow> {
    let (mut rows, mut seen) = (Vec::with_capacity(files.len()), HashMap::new());
    for file in files {
        // A mask in a subfolder is for the picture in that subfolder, whatever that picture's extension.
        let below = file.strip_prefix(folder).unwrap_or(file);
        let image = match pictures.find("", below) {
            Ok(image) => image,
            Err(message) => {
                remarks.add(RemarkKind::Lost, NO_PICTURE, message);
                continue;
            }
        };
        if let Some(twin) = seen.insert(image.clone(), below) {
            let what = "masks of a picture that has one already, left out";
            remarks.add(RemarkKind::Lost, what, format_args!("{}, of {image} as {}", below.display(), twin.display()));
            seen.insert(image, twin);
            continue;
        }
        rows.push(TruthRow { image, class: None, size: None, small: false, object: Object::Mask(file.clone()) });
    }
    rows
}

/// The pixels of a mask that are an object's, those that are void, and the box around each connected part of the former.
pub(super) fn region(path: &Path, size: ImageSize, remarks: &mut Remarks) -> Result<Region> {
    let (mask, pixels) = match indices(path)? {
        Some(indexed) => indexed,
        None => colours(path, remarks)?,
    };
    if mask != size {
        return Err(Error::photo(path, format!("a mask of {mask} pixels, for a picture of {size}")));
    }
    let shape = (size.height as usize, size.width as usize);
    let pixels = Array2::from_shape_vec(shape, pixels).map_err(|error| Error::photo(path, error))?;
    let inside = pixels.mapv(|pixel| pixel == Pixel::Object);
    let void = pixels.iter().any(|pixel| *pixel == Pixel::Void).then(|| pixels.mapv(|pixel| pixel == Pixel::Void));
    if !inside.iter().any(|inside| *inside) {
        let message = match void {
            Some(_) => "no pixel of the mask is an object's: in an indexed PNG 255 is void; write another index",
            None => "the mask is black: no pixel is an object's",
        };
        return Err(Error::photo(path, message));
    }
    if void.is_some() {
        let name = path.file_name().unwrap_or(path.as_os_str()).display();
        remarks.add(RemarkKind::Assumed, "indexed masks whose 255 is taken for void, neither object nor ground", name);
    }
    Ok(Region::of_mask(inside, void))
}

/// What a pixel of a mask is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pixel {
    Ground,
    Object,
    Void,
}

/// The pixels of a mask in colour or grey.
fn colours(path: &Path, remarks: &mut Remarks) -> Result<(ImageSize, Vec<Pixel>)> {
    let of = |object: bool| if object { Pixel::Object } else { Pixel::Ground };
    let mask = photo::open(path, &Limits::default())?;
    if let DynamicImage::ImageLuma8(pixels) = &mask.image {
        // Labels, one of which could be void, as in masks of Pascal VOC that lost their palette.
        let any = |test: fn(u8) -> bool| pixels.pixels().any(|pixel| test(pixel[0]));
        if any(|value| value == VOID) && any(|value| value != VOID && value != 0) {
            let name = path.file_name().unwrap_or(path.as_os_str()).display();
            let what = "grey masks with 255 beside other values, all taken for object (in an indexed PNG 255 is void)";
            remarks.add(RemarkKind::Assumed, what, name);
        }
    }
    let pixels = match &mask.image {
        DynamicImage::ImageLuma16(pixels) => pixels.pixels().map(|pixel| of(pixel[0] > 0)).collect(),
        other => other.to_rgb16().pixels().map(|pixel| of(pixel.0 != [0; 3])).collect(),
    };
    Ok((mask.size(), pixels))
}

/// The pixels of an indexed mask; `None` if it is another picture.
fn indices(path: &Path) -> Result<Option<(ImageSize, Vec<Pixel>)>> {
    let limits = Limits::default();
    let file = File::open(path).map_err(Error::io(path))?;
    let mut bytes = Vec::new();
    file.take(limits.max_bytes).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(None);
    }
    let broken = |error: png::DecodingError| Error::photo(path, format!("broken PNG: {error}"));
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(broken)?;
    let info = reader.info();
    if info.color_type != ColorType::Indexed || info.bit_depth != BitDepth::Eight {
        return Ok(None);
    }
    let size = ImageSize::new(info.width, info.height);
    let palette = info.palette.clone().unwrap_or_default();
    if size.pixels() > limits.max_pixels {
        return Err(Error::photo(path, format!("{size} pixels: over the limit of {}", limits.max_pixels)));
    }
    let mut indices = vec![0; reader.output_buffer_size().unwrap_or_default()];
    reader.next_frame(&mut indices).map_err(broken)?;
    let kinds = kinds(&palette, indices.iter().any(|index| !matches!(*index, 0 | VOID)));
    Ok(Some((size, indices.into_iter().map(|index| kinds[usize::from(index)]).collect())))
}

/// What each index of a palette is; `labels` if there are others than 0 and 255.
fn kinds(palette: &[u8], labels: bool) -> Vec<Pixel> {
    let colour = |index: u8| palette.chunks_exact(3).nth(index.into());
    let grey = (0..=u8::MAX).all(|index| colour(index).is_none_or(|colour| colour == [index; 3]));
    let kind = |index: u8| match index {
        VOID if labels || !grey => Pixel::Void,
        0 if colour(0).is_none() => Pixel::Ground,
        _ if colour(index) == Some(&[0; 3]) => Pixel::Ground,
        _ => Pixel::Object,
    };
    (0..=u8::MAX).map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_index_is_void_unless_the_mask_is_black_and_white() {
        use Pixel::{Ground, Object, Void};
        let greys: Vec<u8> = (0..=255).flat_map(|index| [index; 3]).collect();
        let voc = [&[0, 0, 0, 128, 0, 0, 0, 128, 0][..], &vec![224; 253 * 3]].concat();
        for (palette, labels, expected) in [
            (&voc[..], true, [Ground, Object, Object, Void]),
            (&voc, false, [Ground, Object, Object, Void]),
            (&greys, true, [Ground, Object, Object, Void]),
            (&greys, false, [Ground, Object, Object, Object]),
            (&voc[..6], true, [Ground, Object, Object, Void]),
            (&[9, 9, 9, 0, 0, 0], true, [Object, Ground, Object, Void]),
        ] {
            let kinds = kinds(palette, labels);
            assert_eq!([0, 1, 2, 255].map(|index| kinds[index]), expected);
        }
    }
}
