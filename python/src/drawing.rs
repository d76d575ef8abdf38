//! Maps over pictures, and the files that pictures are written to.

use std::ffi::OsStr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use cbam_core::files::write_whole;
use cbam_core::maps::{AttentionMap, MapRange, Scale};
use cbam_core::photo::Limits;
use cbam_core::pipeline::{Destination, Options, Target, at_width};
use cbam_core::render::{Overlay, PictureFormat, encode};
use cbam_core::{Error, Result};
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors::OrRaise;
use crate::pictures::{Given, array};
use crate::threads::apart;

/// How pictures are drawn and written.
pub(crate) struct Style(pub(crate) Options);

/// The same in the words of Python.
#[derive(FromPyObject)]
struct Words {
    colormap: String,
    alpha: f32,
    opacity: String,
    contour: Option<f32>,
    resample: String,
    refine: bool,
    scale: String,
    legend: bool,
    width: Option<u32>,
    jpeg_quality: u8,
}

impl<'a, 'py> FromPyObject<'a, 'py> for Style {
    type Error = PyErr;

    fn extract(words: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(words.extract::<Words>()?.options().or_raise()?))
    }
}

impl Words {
    fn options(self) -> Result<Options> {
        let overlay = Overlay {
            colormap: self.colormap.parse()?,
            alpha: self.alpha,
            opacity: self.opacity.parse()?,
            contour: self.contour,
            resample: self.resample.parse()?,
            refine: self.refine,
        };
        overlay.check()?;
        let scale = match self.scale.parse()? {
            Scale::Run => {
                return Err(Error::argument("scale", "there is no run here; fixed:LOW,HIGH makes pictures alike"));
            }
            scale => scale,
        };
        let width = |width| NonZeroU32::new(width).ok_or_else(|| Error::argument("width", "must be at least 1"));
        if !(1..=100).contains(&self.jpeg_quality) {
            return Err(Error::argument("jpeg_quality", format!("{} is not in 1..=100", self.jpeg_quality)));
        }
        let (legend, jpeg_quality, width) = (self.legend, self.jpeg_quality, self.width.map(width).transpose()?);
        Ok(Options { overlay, scale, legend, width, jpeg_quality, ..Options::default() })
    }
}

/// The format that a file's extension names.
pub(crate) fn destination(path: &Path) -> Result<Destination> {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let format = extension.parse().map_err(|_| {
        let formats: Vec<_> = PictureFormat::ALL.iter().map(|format| format!(".{format}")).collect();
        Error::argument(path.display(), format!("its extension says what is written: {}", formats.join(", ")))
    })?;
    Ok(Destination { target: Target::File(path.to_owned()), format })
}

/// Any map over any picture.
#[pyfunction]
pub(crate) fn overlay<'py>(
    py: Python<'py>,
    picture: Given<'py>,
    map: PyReadonlyArray2<'py, f32>,
    style: Style,
) -> PyResult<Bound<'py, PyAny>> {
    let Style(options) = style;
    if options.legend {
        return Err(Error::argument("legend", "says what a look is of, and an array says nothing of itself"))
            .or_raise();
    }
    let source = picture.source().or_raise()?;
    let map = AttentionMap::new(map.as_array().to_owned(), MapRange::Positive).or_raise()?;
    let drawn = apart(py, |_| {
        let photo = source.photo(&Limits::default())?;
        let scaled = at_width(&photo, &options)?;
        let limits = options.scale.limits(&map);
        options.overlay.paint(scaled.unwrap_or(photo).image, &map, limits)
    })?;
    array(py, drawn)
}

/// Writes pixels, whole or not at all, in the format that the file's extension names.
#[pyfunction]
pub(crate) fn write_picture(py: Python<'_>, path: PathBuf, picture: Given<'_>, quality: u8) -> PyResult<()> {
    let image = picture.source().or_raise()?.pixels().or_raise()?;
    apart(py, move |_| {
        let to = destination(&path)?;
        let bytes = encode(&image, to.format, quality);
        let bytes =
            bytes.map_err(|error| Error::photo(&path, format!("cannot be written as {}: {error}", to.format)))?;
        write_whole(&path, &bytes)
    })
}

/// Pixels as PNG.
#[pyfunction]
pub(crate) fn png<'py>(py: Python<'py>, picture: Given<'py>) -> PyResult<Bound<'py, PyBytes>> {
    let image = picture.source().or_raise()?.pixels().or_raise()?;
    let bytes = apart(py, move |_| encode(&image, PictureFormat::Png, 90).map_err(Error::internal))?;
    Ok(PyBytes::new(py, &bytes))
}

/// Writes bytes, whole or not at all.
#[pyfunction]
pub(crate) fn write_file(py: Python<'_>, path: PathBuf, bytes: PyBackedBytes) -> PyResult<()> {
    apart(py, |_| write_whole(&path, &bytes))
}
