//! What Python holds as a picture.

use std::path::{Path, PathBuf};

use cbam_core::photo::{Limits, Photo, decode, open};
use cbam_core::{Error, Result};
use image::{DynamicImage, ImageBuffer, Pixel};
use ndarray::ArrayView3;
use numpy::{Element, PyReadonlyArray3};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

/// A picture as it is given: pixels are `[H, W, C]`, of 1 to 4 channels.
#[derive(FromPyObject)]
enum Value<'py> {
    Pixels(PyReadonlyArray3<'py, u8>),
    Deep(PyReadonlyArray3<'py, u16>),
    Bytes(PyBackedBytes),
    File(PathBuf),
}

/// A picture and what it is called.
#[derive(FromPyObject)]
pub(crate) struct Given<'py>(String, Value<'py>);

/// The same, without anything of Python's: pixels are copied.
pub(crate) enum Source {
    Pixels(String, DynamicImage),
    Bytes(String, PyBackedBytes),
    File(PathBuf),
}

impl Given<'_> {
    pub(crate) fn source(self) -> Result<Source> {
        let Self(name, value) = self;
        Ok(match value {
            Value::Pixels(pixels) => Source::Pixels(name, eight(pixels.as_array())?),
            Value::Deep(pixels) => Source::Pixels(name, sixteen(pixels.as_array())?),
            Value::Bytes(bytes) => Source::Bytes(name, bytes),
            Value::File(path) => Source::File(path),
        })
    }
}

impl Source {
    /// Whether it has a file, by which a command line could name it.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// What it is called.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Pixels(name, _) | Self::Bytes(name, _) => name.clone(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Pixels that are given as such.
    pub(crate) fn pixels(self) -> Result<DynamicImage> {
        match self {
            Self::Pixels(_, image) => Ok(image),
            other => Err(Error::argument(other.name(), "is no array of pixels")),
        }
    }

    /// The picture itself.
    pub(crate) fn photo(self, limits: &Limits) -> Result<Photo> {
        match self {
            Self::Pixels(_, image) => Ok(image.into()),
            Self::Bytes(name, bytes) => decode(Path::new(&name), &bytes, limits),
            Self::File(path) => open(&path, limits),
        }
    }
}

fn eight(pixels: ArrayView3<'_, u8>) -> Result<DynamicImage> {
    Ok(match pixels.dim().2 {
        1 => DynamicImage::ImageLuma8(buffer(pixels)?),
        2 => DynamicImage::ImageLumaA8(buffer(pixels)?),
        3 => DynamicImage::ImageRgb8(buffer(pixels)?),
        4 => DynamicImage::ImageRgba8(buffer(pixels)?),
        _ => return Err(wrong(pixels.shape())),
    })
}

fn sixteen(pixels: ArrayView3<'_, u16>) -> Result<DynamicImage> {
    Ok(match pixels.dim().2 {
        1 => DynamicImage::ImageLuma16(buffer(pixels)?),
        2 => DynamicImage::ImageLumaA16(buffer(pixels)?),
        3 => DynamicImage::ImageRgb16(buffer(pixels)?),
        4 => DynamicImage::ImageRgba16(buffer(pixels)?),
        _ => return Err(wrong(pixels.shape())),
    })
}

/// Pixels in their order, as the image crate holds them.
fn buffer<P: Pixel<Subpixel: Clone>>(pixels: ArrayView3<'_, P::Subpixel>) -> Result<ImageBuffer<P, Vec<P::Subpixel>>> {
    let (height, width, _) = pixels.dim();
    let sides =
        u32::try_from(width).ok().zip(u32::try_from(height).ok()).filter(|(width, height)| *width > 0 && *height > 0);
    let samples = match pixels.as_slice() {
        Some(samples) => samples.to_vec(),
        None => pixels.iter().copied().collect(),
    };
    sides.and_then(|(width, height)| ImageBuffer::from_raw(width, height, samples)).ok_or_else(|| wrong(pixels.shape()))
}

fn wrong(shape: &[usize]) -> Error {
    Error::Input {
        layer: "picture",
        expected: "pixels [H, W, C] of 1 to 4 channels".to_owned(),
        got: format!("{shape:?}"),
    }
}

/// A drawn picture as an array: of 8 or 16 bits, `[H, W, 3]`, with an alpha channel `[H, W, 4]`.
pub(crate) fn array(py: Python<'_>, image: DynamicImage) -> PyResult<Bound<'_, PyAny>> {
    match image {
        DynamicImage::ImageRgba8(image) => samples(py, image),
        DynamicImage::ImageLumaA8(_) => samples(py, image.into_rgba8()),
        DynamicImage::ImageRgb16(image) => samples(py, image),
        DynamicImage::ImageLuma16(_) => samples(py, image.into_rgb16()),
        DynamicImage::ImageRgba16(image) => samples(py, image),
        DynamicImage::ImageLumaA16(_) => samples(py, image.into_rgba16()),
        other => samples(py, other.into_rgb8()),
    }
}

fn samples<P: Pixel<Subpixel: Element>>(
    py: Python<'_>,
    image: ImageBuffer<P, Vec<P::Subpixel>>,
) -> PyResult<Bound<'_, PyAny>> {
    let sides = [image.height() as usize, image.width() as usize, usize::from(P::CHANNEL_COUNT)];
    let flat = numpy::PyArray1::from_vec(py, image.into_raw());
    Ok(numpy::PyArrayMethods::reshape(&flat, sides)?.into_any())
}
