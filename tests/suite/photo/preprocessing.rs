//! What preprocessing makes of pictures, and the way back to their pixels.

use cbam::photo::{Geometry, ImageSize, Photo, Preprocess};
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};
use proptest::prelude::*;

use super::{formula, golden};

#[test]
fn network_sizes() {
    let size = |short_side, width, height| {
        let size = Preprocess { short_side, ..Preprocess::default() }.network_size(ImageSize::new(width, height));
        (size.width, size.height)
    };
    assert_eq!(size(224, 500, 375), (288, 224)); // 298.7 to the nearest multiple of 32
    assert_eq!(size(224, 375, 500), (224, 288));
    assert_eq!(size(224, 224, 224), (224, 224));
    assert_eq!(size(240, 100, 100), (256, 256)); // 7.5 steps: halves go up
    assert_eq!(size(1, 10, 10), (32, 32));
    assert_eq!(size(224, 1, 1), (224, 224));
    assert_eq!(size(224, 1, 5000), (224, 896)); // capped at 1:4
    assert_eq!(size(224, 5000, 1), (896, 224));
    assert_eq!(size(64, 65_535, 65_534), (64, 64));
}

#[test]
fn preprocessing_agrees_with_pillow() {
    for case in golden()["pictures"].as_array().unwrap() {
        let side = |key: &str, index: usize| case[key][index].as_u64().unwrap() as u32;
        let picture = formula(side("from", 0), side("from", 1));
        let preprocess = Preprocess { short_side: 32, mean: [0.0; 3], std: [1.0; 3], ..Preprocess::default() };
        let photo = Photo::from(DynamicImage::ImageRgb8(picture.clone()));
        let size = ImageSize::new(side("size", 0), side("size", 1));
        let eight = preprocess.apply(&photo).unwrap();
        let deep = DynamicImage::ImageRgb16(DynamicImage::ImageRgb8(picture).to_rgb16());
        let sixteen = preprocess.apply(&Photo::from(deep)).unwrap();
        assert_eq!(eight.geometry.network, size);
        let values = case["values"].as_array().unwrap();
        for (index, expected) in values.iter().enumerate() {
            let (channel, x, y) = (index % 3, index / 3 % size.width as usize, index / 3 / size.width as usize);
            let expected = expected.as_f64().unwrap() as f32;
            assert!(
                (eight.pixels[[channel, y, x]] - expected).abs() <= 1.0,
                "{channel} {y} {x}: {} {expected}",
                eight.pixels[[channel, y, x]]
            );
            assert!(
                (sixteen.pixels[[channel, y, x]] - expected).abs() <= 1.0,
                "16 bit: {channel} {y} {x}: {} {expected}",
                sixteen.pixels[[channel, y, x]]
            );
        }
    }
}

#[test]
fn transparency_lies_on_white() {
    let preprocess = Preprocess { short_side: 32, ..Preprocess::default() };
    let value = |image: DynamicImage| preprocess.apply(&Photo::from(image)).unwrap().pixels;
    let white = (255.0 - 127.0) / 128.0;
    let half = RgbaImage::from_pixel(40, 40, Rgba([0, 100, 200, 102])); // 40 % of it
    let expected = [153.0, 193.0, 233.0].map(|level: f32| (level - 127.0) / 128.0);
    for image in
        [DynamicImage::ImageRgba8(half.clone()), DynamicImage::ImageRgba16(DynamicImage::ImageRgba8(half).to_rgba16())]
    {
        let pixels = value(image);
        for (channel, expected) in expected.into_iter().enumerate() {
            assert!((pixels[[channel, 7, 9]] - expected).abs() < 0.005, "{} {expected}", pixels[[channel, 7, 9]]);
        }
    }
    let clear = ImageBuffer::from_pixel(40, 40, LumaA([0_u8, 0]));
    assert!(value(DynamicImage::ImageLumaA8(clear)).iter().all(|value| (value - white).abs() < 1e-6));
    let clear = ImageBuffer::from_pixel(40, 40, LumaA([0_u16, 0]));
    assert!(value(DynamicImage::ImageLumaA16(clear)).iter().all(|value| (value - white).abs() < 1e-6));
}

#[test]
fn grey_is_the_same_in_all_channels() {
    let grey = GrayImage::from_fn(50, 40, |x, y| Luma([(x * 3 + y * 2) as u8]));
    let deep = DynamicImage::ImageLuma16(DynamicImage::ImageLuma8(grey.clone()).to_luma16());
    for image in [DynamicImage::ImageLuma8(grey), deep] {
        let pixels = Preprocess::default().apply(&Photo::from(image)).unwrap().pixels;
        assert_eq!(pixels.dim(), (3, 224, 288));
        assert_eq!(pixels.index_axis(ndarray::Axis(0), 0), pixels.index_axis(ndarray::Axis(0), 2));
        assert!(pixels[[0, 0, 0]] < pixels[[0, 200, 250]]);
    }
}

#[test]
fn pictures_of_any_shape_are_prepared() {
    for (width, height) in [(1, 1), (1, 5000), (5000, 1), (2, 3)] {
        let image = RgbImage::from_pixel(width, height, Rgb([255, 127, 0]));
        let prepared = Preprocess::default().apply(&Photo::from(DynamicImage::ImageRgb8(image))).unwrap();
        let (channels, rows, columns) = prepared.pixels.dim();
        let network = prepared.geometry.network;
        assert_eq!((channels, rows as u32, columns as u32), (3, network.height, network.width));
        for (channel, expected) in [1.0, 0.0, -127.0 / 128.0].into_iter().enumerate() {
            assert!(prepared.pixels.index_axis(ndarray::Axis(0), channel).iter().all(|value| *value == expected));
        }
    }
}

#[test]
fn impossible_preprocessing_is_refused() {
    let photo = Photo::from(DynamicImage::ImageRgb8(RgbImage::new(3, 3)));
    let default = Preprocess::default;
    for preprocess in [
        Preprocess { short_side: 0, ..default() },
        Preprocess { short_side: Preprocess::MAX_SHORT_SIDE + 1, ..default() },
        Preprocess { multiple: 0, ..default() },
        Preprocess { max_ratio: 0, ..default() },
        Preprocess { std: [1.0, 0.0, 1.0], ..default() },
    ] {
        assert!(matches!(preprocess.apply(&photo), Err(cbam::ErrorKind::Argument { .. })), "{preprocess:?}");
    }
    let nothing = Photo::from(DynamicImage::ImageRgb8(RgbImage::new(0, 3)));
    assert!(matches!(default().apply(&nothing), Err(cbam::ErrorKind::Input { .. })));
}

#[test]
fn points_outside_the_picture_are_refused() {
    let geometry = Geometry::whole(ImageSize::new(30, 20), ImageSize::new(96, 64));
    assert_eq!(geometry.fraction(0, 0).unwrap(), [0.5 / 30.0, 0.5 / 20.0]);
    assert_eq!(geometry.scale(), [3.2, 3.2]);
    for (x, y) in [(30, 0), (0, 20)] {
        assert!(geometry.fraction(x, y).unwrap_err().to_string().contains("30x20"));
    }
    assert_eq!(geometry.pixel([-1.0, 2.0]), [0, 19]);
}

proptest! {
    #[test]
    fn a_pixel_and_its_fraction_go_back_and_forth(
        (width, x) in (1_u32..70_000).prop_flat_map(|side| (Just(side), 0..side)),
        (height, y) in (1_u32..70_000).prop_flat_map(|side| (Just(side), 0..side)),
    ) {
        let geometry = Geometry::whole(ImageSize::new(width, height), ImageSize::new(224, 224));
        let fraction = geometry.fraction(x, y).unwrap();
        prop_assert!(fraction.iter().all(|part| (0.0..=1.0).contains(part)));
        prop_assert_eq!(geometry.pixel(fraction), [x, y]);
    }

    #[test]
    fn network_sizes_keep_their_promises(width in 1_u32..20_000, height in 1_u32..20_000, short_side in 1_u32..1_000) {
        let preprocess = Preprocess { short_side, ..Preprocess::default() };
        let size = preprocess.network_size(ImageSize::new(width, height));
        let (short, long) = (size.short_side(), size.width.max(size.height));
        prop_assert!(size.width.is_multiple_of(32) && size.height.is_multiple_of(32));
        prop_assert!(short > 0 && long <= 4 * short);
        prop_assert!(short.abs_diff(short_side) <= 16 || short == 32);
        prop_assert!(size.width == size.height || (size.width > size.height) == (width > height));
        // The stretch is at most half a step, unless the cap was reached.
        let wanted = f64::from(short) * f64::from(width.max(height)) / f64::from(width.min(height));
        prop_assert!((f64::from(long) - wanted).abs() <= 16.0 || long == 4 * short);
    }
}
