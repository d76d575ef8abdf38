//! A file or bytes to an upright picture.

use std::{
    fs::{self, File},
    io::{Cursor, Read},
    path::Path,
};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, metadata::Orientation};

use super::{ImageSize, Limits, jpeg, srgb};
use crate::{Error, Result};

/// An upright picture.
#[derive(Debug, Clone)]
pub struct Photo {
    /// The pixels, turned upright; 8 or 16 bit, grey or colour, with alpha where the file has it.
    pub image: DynamicImage,
    /// The format that the picture was read from.
    pub format: Option<ImageFormat>,
}

impl Photo {
    /// The size of the upright picture.
    pub fn size(&self) -> ImageSize {
        ImageSize::new(self.image.width(), self.image.height())
    }
}

impl From<DynamicImage> for Photo {
    /// A picture that was made in memory, and is upright already.
    fn from(image: DynamicImage) -> Self {
        Self { image: srgb::encode(image), format: None }
    }
}

/// Reads and decodes the picture at `path`; see [`decode`].
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Photo`] for a link that leads nowhere and as in [`decode`].
pub fn open(path: &Path, limits: &Limits) -> Result<Photo> {
    let file = File::open(path).map_err(|error| match fs::read_link(path) {
        Ok(target) if error.kind() == std::io::ErrorKind::NotFound => {
            Error::photo(path, format!("a link to {}, which does not exist", target.display()))
        }
        _ => Error::io(path)(error),
    })?;
    let mut bytes = Vec::new();
    limits.check_file(path, file.metadata().map_err(Error::io(path))?.len())?;
    // A pipe has no length: one byte over the limit is enough to see that it is too long.
    file.take(limits.max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io(path))?;
    decode(path, &bytes, limits)
}

/// Decodes a picture of any format that the `image` crate reads, and turns it upright.
///
/// The format is told by the content; the extension of `name` only matters for TGA, which has no signature. Of an
/// animation the first frame is read. EXIF orientation is applied. Floating-point pictures become 16-bit sRGB.
/// `name` appears in error messages.
///
/// # Errors
/// [`Error::Photo`] if the bytes are empty, are no picture, are truncated or broken, or are over the `limits`.
pub fn decode(name: &Path, bytes: &[u8], limits: &Limits) -> Result<Photo> {
    limits.check_file(name, bytes.len() as u64)?;
    let format = format_of(name, bytes)?;
    let broken = |error: ImageError| Error::photo(name, describe(format, error));

    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.for_decoder());
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    limits.check(name, ImageSize::new(width, height), decoder.total_bytes())?;
    if format == ImageFormat::Jpeg && !jpeg::is_whole(bytes) {
        return Err(Error::photo(name, "truncated JPEG: the end of the picture is missing"));
    }
    // Damaged metadata is no reason to refuse the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = srgb::encode(DynamicImage::from_decoder(decoder).map_err(broken)?);
    image.apply_orientation(orientation);
    Ok(Photo { image, format: Some(format) })
}

fn format_of(name: &Path, bytes: &[u8]) -> Result<ImageFormat> {
    if bytes.is_empty() {
        return Err(Error::photo(name, "the file is empty"));
    }
    match image::guess_format(bytes) {
        Ok(format) => Ok(format),
        Err(_) if ImageFormat::from_path(name).ok() == Some(ImageFormat::Tga) => Ok(ImageFormat::Tga),
        Err(_) => Err(Error::photo(name, "not a picture: its content is of no known image format")),
    }
}

fn describe(format: ImageFormat, error: ImageError) -> String {
    let name = format.extensions_str().first().copied().unwrap_or("picture").to_uppercase();
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            format!("truncated {name}: the end of the picture is missing")
        }
        ImageError::Limits(error) => format!("{name} over the limits: {error}"),
        error => format!("broken {name}: {error}"),
    }
}
