//! Other formats: mended ones, and those that are named.

use cbam::photo::{Limits, open};
use image::codecs::png::PngEncoder;
use image::{DynamicImage, GrayImage, ImageBuffer, ImageEncoder, ImageFormat, Luma, Rgb, Rgba, RgbaImage};

use super::{encoded, read};

#[test]
fn a_bmp_whose_pixels_are_said_to_begin_at_its_palette() {
    let image = DynamicImage::ImageLuma8(GrayImage::from_fn(8, 4, |x, y| Luma([(x * 30 + y) as u8])));
    let mut bytes = encoded(&image, ImageFormat::Bmp);
    let header = u32::from_le_bytes([bytes[14], bytes[15], bytes[16], bytes[17]]);
    bytes[10..14].copy_from_slice(&(14 + header).to_le_bytes());
    assert_eq!(read(&bytes).unwrap().image.to_luma8(), image.to_luma8());
}

#[test]
fn an_icon_with_a_png_is_decoded_within_bounds() {
    let image = RgbaImage::from_fn(8, 8, |x, y| Rgba([(x * 30) as u8, (y * 30) as u8, 9, 255]));
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(image.as_raw(), 8, 8, image::ExtendedColorType::Rgba8).unwrap();
    let mut icon = b"\0\0\x01\0\x01\0\x08\x08\0\0\x01\0\x20\0".to_vec();
    icon.extend((png.len() as u32).to_le_bytes());
    icon.extend(22_u32.to_le_bytes());
    icon.extend(&png);
    assert_eq!(read(&icon).unwrap().image.to_rgba8(), image);
}

#[test]
fn a_named_format_is_not_called_broken() {
    let folder = tempfile::tempdir().unwrap();
    for (content, named) in [
        (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "HEIC is not read here; convert it"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\0", "JPEG 2000 is not read here"),
        (b"\x0a\x05\x01\x08\0\0\0\0", "PCX is not read here"),
        (b"%PDF-1.4\n", "not a picture, but a PDF"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI\x50\0\x20\x02", "CgBI"),
        (b"P7 332\n#XVVERSION:Version 2.28\n", "XV thumbnail is not read here"),
    ] {
        let path = folder.path().join("picture.jpg");
        std::fs::write(&path, content).unwrap();
        let message = open(&path, &Limits::default()).unwrap_err().to_string();
        assert!(message.contains(named) && !message.contains("broken"), "{message}");
    }
}

#[test]
fn an_hdr_signed_by_its_kind_of_pixels() {
    let image = DynamicImage::ImageRgb32F(ImageBuffer::from_fn(9, 4, |x, _| Rgb([x as f32 / 8.0, 0.5, 0.25])));
    let usual = encoded(&image, ImageFormat::Hdr);
    let old = [b"#?RGBE", usual.strip_prefix(b"#?RADIANCE").unwrap()].concat();
    let [expected, got] = [usual, old].map(|bytes| read(&bytes).unwrap().image);
    assert_eq!(got, expected);
}
