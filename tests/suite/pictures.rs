//! Odd pictures: kinds that were once drawn wrongly, refused under a wrong name, or took too much memory.

mod alpha;
mod beside;
mod formats;
mod jpeg;
mod limits;
mod measured;
mod tiff;

use std::path::Path;

use cbam::ErrorKind;
use cbam::photo::{ImageSize, Limits, Photo, decode};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::Value;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(crate::file("tests/regressions/pictures").join(name)).unwrap()
}

fn read(bytes: &[u8]) -> cbam::Result<Photo, ErrorKind> {
    decode(Path::new("some/picture"), bytes, &Limits::default())
}

/// The message of a refusal, without the picture's name.
fn refusal(bytes: &[u8]) -> String {
    let message = read(bytes).unwrap_err().to_string();
    message.strip_prefix("some/picture: ").unwrap().to_owned()
}

/// What Pillow shows of the files that broke us: `tests/golden/pictures/gen.py`.
#[test]
fn files_that_broke_us_are_shown_as_pillow_shows_them() {
    let golden: Value = serde_json::from_str(include_str!("../golden/pictures/pillow.json")).unwrap();
    for (name, expected) in golden.as_object().unwrap() {
        let photo = read(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(photo.damage.is_some(), name == "182.0-original.jpg", "{name}: {:?}", photo.damage);
        let size = [0, 1].map(|side| expected["size"][side].as_u64().unwrap() as u32);
        assert_eq!(photo.size(), ImageSize::new(size[0], size[1]), "{name}");
        let image = photo.image.to_rgb8();
        // As numpy.array_split: the first parts are one longer.
        let bounds = |side: u32, part: u32| part * (side / 4) + part.min(side % 4);
        for (index, field) in expected["fields"].as_array().unwrap().iter().enumerate() {
            let (row, column) = (index as u32 / 4, index as u32 % 4);
            let (top, left) = (bounds(size[1], row), bounds(size[0], column));
            let (bottom, right) = (bounds(size[1], row + 1), bounds(size[0], column + 1));
            for channel in 0..3 {
                let pixels = (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y)));
                let sum: f64 = pixels.map(|(x, y)| f64::from(image.get_pixel(x, y)[channel])).sum();
                let mean = sum / f64::from((bottom - top) * (right - left));
                let expected = field[channel].as_f64().unwrap();
                assert!(
                    (mean - expected).abs() < 2.5,
                    "{name}, field {index}, channel {channel}: {mean:.1} for {expected}"
                );
            }
        }
    }
}

/// A picture with a pattern that JPEG keeps, 48 rows of blocks.
fn pattern() -> RgbImage {
    RgbImage::from_fn(96, 96, |x, y| {
        Rgb([(x * 2) as u8, (y * 2) as u8, if (x / 16 + y / 16) % 2 == 0 { 200 } else { 40 }])
    })
}

/// Whether a pixel is the same, but for what two decoders round otherwise.
fn alike(a: &RgbImage, b: &RgbImage, (x, y): (u32, u32)) -> bool {
    a.get_pixel(x, y).0.iter().zip(b.get_pixel(x, y).0).all(|(a, b)| a.abs_diff(b) <= 4)
}

fn jpeg(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(image).unwrap();
    bytes
}

/// A picture as a file of the format.
fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
