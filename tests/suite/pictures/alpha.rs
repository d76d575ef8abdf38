//! Alpha: one that is meant, one that is none, and colours that are multiplied by it.

use std::path::Path;

use cbam::photo::{Limits, Photo, Preprocess, decode};
use image::{DynamicImage, ImageBuffer, ImageFormat, LumaA, Rgba, RgbaImage};

use super::{encoded, read};

/// An alpha channel that writers leave unset, and one that is meant.
#[test]
fn alpha_that_is_0_everywhere() {
    let clear = DynamicImage::ImageRgba8(RgbaImage::from_pixel(5, 4, Rgba([200, 100, 50, 0])));
    let half =
        DynamicImage::ImageRgba8(RgbaImage::from_fn(5, 4, |x, _| Rgba([200, 100, 50, if x == 2 { 90 } else { 0 }])));
    for format in [ImageFormat::Bmp, ImageFormat::Tga] {
        let photo = decode(Path::new("x.tga"), &encoded(&clear, format), &Limits::default()).unwrap();
        assert_eq!(photo.image.to_rgba8().get_pixel(1, 1), &Rgba([200, 100, 50, 255]), "{format:?}");
        assert!(photo.notes[0].contains("alpha is 0 everywhere"), "{format:?}: {:?}", photo.notes);
        let photo = decode(Path::new("x.tga"), &encoded(&half, format), &Limits::default()).unwrap();
        assert_eq!(photo.image.to_rgba8().get_pixel(1, 1)[3], 0, "{format:?}");
    }
    let mut tga = encoded(&half, ImageFormat::Tga);
    tga[17] &= !15; // no alpha bits
    let photo = decode(Path::new("x.tga"), &tga, &Limits::default()).unwrap();
    assert_eq!(photo.image.to_rgba8().get_pixel(1, 1), &Rgba([200, 100, 50, 255]));
    assert!(photo.notes[0].contains("its header says that it has no alpha"), "{:?}", photo.notes);
    let grey = DynamicImage::ImageLumaA8(ImageBuffer::from_pixel(5, 4, LumaA([90, 0])));
    let photo = decode(Path::new("x.tga"), &encoded(&grey, ImageFormat::Tga), &Limits::default()).unwrap();
    assert_eq!(photo.image.as_luma8().unwrap().get_pixel(1, 1)[0], 90);
    assert!(photo.notes[0].contains("alpha is 0 everywhere"), "{:?}", photo.notes);
    assert_eq!(
        read(&encoded(&clear, ImageFormat::Png)).unwrap().image.to_rgba8().get_pixel(1, 1)[3],
        0,
        "PNG means it"
    );
}

#[test]
fn alpha_is_taken_out_of_exr() {
    let image = ImageBuffer::from_pixel(5, 4, Rgba([0.25_f32, 0.125, 0.5, 0.5]));
    let photo = read(&encoded(&DynamicImage::ImageRgba32F(image), ImageFormat::OpenExr)).unwrap();
    let pixel = photo.image.as_rgba16().unwrap().get_pixel(1, 1).0;
    for (got, expected) in pixel.into_iter().zip([48_192_u16, 35_199, 65_535, 32_768]) {
        assert!(got.abs_diff(expected) <= 2, "{pixel:?}");
    }
}

/// Grey pictures with alpha go to the network as their coloured twins do.
#[test]
fn grey_alpha_lies_on_white() {
    let grey = ImageBuffer::from_fn(60, 40, |x, y| LumaA([(x * 4) as u8, (y * 6) as u8]));
    let grey = DynamicImage::ImageLumaA8(grey);
    let [one, other] = [grey.clone(), grey.to_rgba8().into()]
        .map(|image: DynamicImage| Preprocess::default().apply(&Photo::from(image)).unwrap().pixels);
    assert_eq!(one, other);
}
