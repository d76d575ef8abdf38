//! GIF, WebP and APNG as films. They are decoded here: not every ffmpeg reads all three, and it forgets what is transparent.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use cbam_core::photo::ImageSize;
use cbam_core::{Error, Result};
use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{AnimationDecoder, ImageDecoder, ImageFormat, ImageReader, ImageResult, RgbImage, RgbaImage};

/// What is shown no longer than this, in nanoseconds, browsers show as long as [`USUAL`].
const SHORT: u64 = 10_000_000;
const USUAL: u64 = 100_000_000;

/// Whether a file's name is that of a picture that may be a film.
pub(crate) fn may_move(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    matches!(extension.as_deref(), Some("gif" | "webp" | "apng"))
}

/// The frames of a picture that moves.
pub(super) struct Animation {
    pub(super) size: ImageSize,
    frames: image::Frames<'static>,
    /// When the next frame is shown, in nanoseconds.
    time: u64,
    /// Why there are no more frames, if that is not the end.
    broken: Option<String>,
}

impl Animation {
    /// Begins to read; `None` for what is no picture that moves.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(Error::io(path))?;
        let format = reader.format();
        let opened = frames(format, reader.into_inner()).map_err(|error| Error::photo(path, error))?;
        Ok(opened.map(|(size, frames)| Self { size, frames, time: 0, broken: None }))
    }

    /// The next frame, and when it is shown.
    pub(super) fn next(&mut self) -> Option<(u64, RgbImage)> {
        let frame = match self.frames.next()? {
            Ok(frame) => frame,
            Err(error) => {
                self.broken = Some(error.to_string());
                return None;
            }
        };
        let (milliseconds, of) = frame.delay().numer_denom_ms();
        let lasts = u64::from(milliseconds) * 1_000_000 / u64::from(of.max(1));
        let time = self.time;
        self.time += if lasts <= SHORT { USUAL } else { lasts };
        let pixels = frame.into_buffer();
        if pixels.dimensions() != (self.size.width, self.size.height) {
            self.broken = Some("a frame is of another size".to_owned());
            return None;
        }
        Some((time, on_white(&pixels)))
    }

    /// When the next frame is shown, in nanoseconds.
    pub(super) fn time(&self) -> u64 {
        self.time
    }

    pub(super) fn broken(self) -> Option<String> {
        self.broken
    }
}

fn frames(
    format: Option<ImageFormat>,
    file: BufReader<File>,
) -> ImageResult<Option<(ImageSize, image::Frames<'static>)>> {
    let sized = |(width, height): (u32, u32)| ImageSize::new(width, height);
    Ok(match format {
        Some(ImageFormat::Gif) => {
            let decoder = GifDecoder::new(file)?;
            Some((sized(decoder.dimensions()), decoder.into_frames()))
        }
        Some(ImageFormat::WebP) => {
            let decoder = WebPDecoder::new(file)?;
            decoder.has_animation().then(|| (sized(decoder.dimensions()), decoder.into_frames()))
        }
        Some(ImageFormat::Png) => {
            let decoder = PngDecoder::new(file)?;
            let size = sized(decoder.dimensions());
            if decoder.is_apng()? { Some((size, decoder.apng()?.into_frames())) } else { None }
        }
        _ => None,
    })
}

/// A frame as a white page shows it.
fn on_white(pixels: &RgbaImage) -> RgbImage {
    let mut shown = RgbImage::new(pixels.width(), pixels.height());
    for (to, from) in shown.pixels_mut().zip(pixels.pixels()) {
        let [.., alpha] = from.0.map(u32::from);
        to.0 = std::array::from_fn(|channel| {
            ((u32::from(from.0[channel]) * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_transparent_is_white() {
        let pixels = RgbaImage::from_raw(3, 1, vec![10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 128]).unwrap();
        assert_eq!(on_white(&pixels).into_raw(), [10, 20, 30, 255, 255, 255, 127, 127, 127]);
    }

    #[test]
    fn pictures_that_move_are_told_by_name() {
        assert!(["a.gif", "b.WebP", "c.apng"].iter().all(|name| may_move(Path::new(name))));
        assert!(["a.png", "b.mp4", "gif"].iter().all(|name| !may_move(Path::new(name))));
    }
}
