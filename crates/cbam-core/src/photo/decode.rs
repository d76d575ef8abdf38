//! A file or bytes to an upright picture.

use std::borrow::Cow;
use std::cell::Cell;
use std::fs::{self, File};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat};

use super::colour::Pixels;
use super::orientation::turn;
use super::{ImageSize, Limits, exr, format, generic, jpeg, png, srgb, tiff};
use crate::{Error, Result};

/// An upright picture.
#[derive(Debug, Clone)]
pub struct Photo {
    /// The pixels in sRGB, turned upright; 8 or 16 bit, grey or colour, with alpha where the file has it.
    pub image: DynamicImage,
    /// The format that the picture was read from.
    pub format: Option<ImageFormat>,
    /// What of the picture is missing or broken, though it is there; `None` if it is whole.
    pub damage: Option<String>,
    /// What was assumed, or passed over.
    pub notes: Vec<String>,
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
        Self { image: srgb::encode(image), format: None, damage: None, notes: Vec::new() }
    }
}

/// A picture that is read, and not decoded yet: its format is known, and how much memory decoding will take.
#[derive(Debug)]
pub struct Encoded<'a> {
    name: &'a Path,
    bytes: Cow<'a, [u8]>,
    format: ImageFormat,
    declared: Declared,
}

/// What is smaller than this takes little memory, whatever its file holds, in pixels.
pub(super) const SMALL: u64 = 4_000_000;

/// What a picture's header declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) size: ImageSize,
    /// The bytes of the pixels.
    pub(super) pixels: u64,
    /// The bytes that decoding takes in all, at most.
    pub(super) needs: u64,
}

impl Declared {
    /// With room for a second picture beside the decoded one, if it is `again` made anew: turned on its side, in other
    /// colours by its profile, or on a white ground for its alpha.
    pub(super) fn held_twice(self, again: bool) -> Self {
        Self { needs: if again { self.needs.max(self.pixels.saturating_mul(2)) } else { self.needs }, ..self }
    }
}

/// What a decoder gives.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) pixels: Pixels,
    pub(super) profile: Option<Vec<u8>>,
    pub(super) orientation: Orientation,
    pub(super) damage: Option<String>,
    pub(super) notes: Vec<String>,
}

impl<'a> Encoded<'a> {
    /// Reads the picture at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Photo`] for a link that leads nowhere and as in
    /// [`new`](Self::new).
    pub fn open(path: &'a Path, limits: &Limits) -> Result<Self> {
        let file = File::open(path).map_err(|error| match fs::read_link(path) {
            Ok(target) if error.kind() == std::io::ErrorKind::NotFound => {
                Error::photo(path, format!("a link to {}, which does not exist", target.display()))
            }
            _ => Error::io(path)(error),
        })?;
        let length = file.metadata().map_err(Error::io(path))?.len();
        limits.check_file(path, length)?;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        // A pipe has no length: one byte over the limit is enough to see that it is too long.
        file.take(limits.max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io(path))?;
        Self::of(path, bytes.into(), limits)
    }

    /// A picture in memory. `name` appears in error messages; its extension only matters for TGA, which need not have a
    /// signature.
    ///
    /// # Errors
    /// [`Error::Photo`] if the bytes are empty, are no picture that is read here, or declare a size over the `limits`.
    pub fn new(name: &'a Path, bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        Self::of(name, bytes.into(), limits)
    }

    pub(crate) fn of(name: &'a Path, bytes: Cow<'a, [u8]>, limits: &Limits) -> Result<Self> {
        limits.check_file(name, bytes.len() as u64)?;
        let format = format::format_of(name, &bytes)?;
        let declared = guarded(format, || match format {
            ImageFormat::Jpeg => jpeg::declared(&bytes),
            ImageFormat::Png => png::declared(&bytes),
            ImageFormat::Tiff => tiff::declared(&bytes),
            ImageFormat::OpenExr => exr::declared(&bytes),
            other => generic::declared(other, &bytes),
        });
        let declared = declared.map_err(|message| Error::photo(name, message))?;
        limits.check(name, declared.size, declared.pixels)?;
        Ok(Self { name, bytes, format, declared })
    }

    /// The bytes that the picture takes while it is decoded, at most: its file, its pixels, and what the decoder works in.
    pub fn needs(&self) -> u64 {
        self.declared.needs.saturating_add(self.bytes.len() as u64)
    }

    /// Decodes the picture, converts it to sRGB by its profile, and turns it upright.
    ///
    /// A decoder that panics is an error like any other, except on WebAssembly, where a panic ends the instance.
    ///
    /// # Errors
    /// [`Error::Photo`] if the picture is truncated or broken, so that nothing can be shown of it, or of a kind that is not
    /// read.
    pub fn decode(self) -> Result<Photo> {
        let Self { name, bytes, format, .. } = self;
        let decoded = guarded(format, || {
            let picture = match format {
                ImageFormat::Jpeg => jpeg::decode(&bytes),
                ImageFormat::Png => png::decode(&bytes),
                ImageFormat::Tiff => tiff::decode(&bytes),
                other => generic::decode(other, &bytes),
            }?;
            drop(bytes);
            picture.finish(format)
        });
        decoded.map_err(|message| Error::photo(name, message))
    }
}

impl Picture {
    /// The picture in sRGB, upright.
    fn finish(self, format: ImageFormat) -> Result<Photo, String> {
        let Self { pixels, profile, orientation, damage, mut notes } = self;
        let image = pixels.into_srgb(profile.as_deref(), &mut notes);
        notes.extend(srgb::note(&image));
        let image = turn(srgb::encode(image), orientation);
        let image = image.map_err(|why| format!("{} {why}", generic::name_of(format)))?;
        Ok(Photo { image, format: Some(format), damage, notes })
    }
}

/// Reads and decodes the picture at `path`; see [`decode`].
///
/// # Errors
/// As [`Encoded::open`] and [`Encoded::decode`].
pub fn open(path: &Path, limits: &Limits) -> Result<Photo> {
    Encoded::open(path, limits)?.decode()
}

/// Decodes a picture: BMP, DDS, EXR, farbfeld, GIF, HDR, ICO, JPEG, PNG, PNM, QOI, TGA, TIFF or WebP.
///
/// The format is known by the content. Of an animation or of several pages the first is read. Colours are converted to
/// sRGB by the ICC profile in the file, if there is one; a profile that cannot be used is said in [`Photo::notes`]. EXIF or
/// XMP orientation is applied. Linear light (EXR, HDR, floating-point TIFF) becomes 16-bit sRGB. A JPEG that is damaged is
/// read as far as libjpeg can, and [`Photo::damage`] says what is wrong; on WebAssembly, without libjpeg, it is refused, and so
/// is one of an unusual kind. `name` appears in error messages.
///
/// # Errors
/// As [`Encoded::new`] and [`Encoded::decode`].
pub fn decode(name: &Path, bytes: &[u8], limits: &Limits) -> Result<Photo> {
    Encoded::new(name, bytes, limits)?.decode()
}

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside of a decoder. A panic there becomes an error that names the file, so a program's panic
/// hook need not print it.
pub fn is_decoding() -> bool {
    DECODING.get()
}

/// Turns a decoder's panic into an error.
fn guarded<T>(format: ImageFormat, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    DECODING.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    DECODING.set(false);
    done.unwrap_or_else(|_| Err(format!("broken {}: the decoder failed on it", generic::name_of(format))))
}
