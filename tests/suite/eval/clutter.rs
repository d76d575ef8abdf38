//! Cluttered pictures: where they lie, and that they are the same again.

use std::collections::HashMap;

use cbam::eval::{BoundingBox, Clutter, ClutterKind, Region};
use cbam::photo::ImageSize;
use image::{DynamicImage, Rgb, RgbImage};

/// A picture of 80×60 that is dark, with a white rectangle.
fn picture() -> (DynamicImage, BoundingBox) {
    let object = BoundingBox { x0: 8.0, y0: 30.0, x1: 32.0, y1: 54.0 };
    let image = RgbImage::from_fn(80, 60, |x, y| {
        let inside = (8..32).contains(&x) && (30..54).contains(&y);
        Rgb([if inside { 255 } else { 10 }; 3])
    });
    (image.into(), object)
}

fn others() -> Vec<(String, DynamicImage)> {
    let noise = |seed: u32| {
        RgbImage::from_fn(90, 70, |x, y| {
            let value = (x * 7 + y * 13 + seed * 31).wrapping_mul(2_654_435_761) >> 24;
            Rgb([value as u8, (value / 2) as u8, 90])
        })
    };
    (0..3).map(|i| (format!("{i}"), noise(i).into())).collect()
}

fn clutter(seed: u64, short_side: u32, wallpapers: bool) -> Clutter {
    let mut clutter = Clutter::new(seed, short_side);
    for (name, picture) in others() {
        clutter.add_other(&name, &picture).unwrap();
    }
    if wallpapers {
        clutter.add_wallpaper(&others()[0].1).unwrap();
    }
    clutter
}

#[test]
fn the_object_lies_where_the_region_says() {
    let (picture, object) = picture();
    let size = ImageSize::new(80, 60);
    let region = Region::of_boxes(&[object], size);
    let clutter = clutter(3, 448, false);
    let (mut kinds, mut flips, mut hidden) = (HashMap::new(), 0, 0);
    for number in 0..40 {
        let name = format!("picture {number}");
        let view = clutter.make(&name, &picture, false).unwrap();
        *kinds.entry(view.kind).or_insert(0) += 1;
        flips += u32::from(view.flipped);
        hidden += u32::from(view.hidden);
        assert_eq!(view.picture.dimensions(), (80, 60));
        let share = (view.place.x1 - view.place.x0) / 80.0;
        assert!((0.38..=1.0).contains(&share), "{share}");
        let moved = view.region(&region);
        assert!((moved.share() / region.share() - share * share).abs() < 0.1, "the area shrinks with the picture");
        let around = moved.boxes[0];
        let (mut bright, mut count) = (0, 0);
        for ((y, x), _) in moved.inside.indexed_iter().filter(|(_, inside)| **inside) {
            let (x, y) = (x as u32, y as u32);
            let on_box = around.x0 - 1.0 <= f64::from(x) && f64::from(x) <= around.x1;
            assert!(on_box && around.y0 - 1.0 <= f64::from(y) && f64::from(y) <= around.y1, "the box holds the pixels");
            bright += u32::from(view.picture.get_pixel(x, y)[0] > 110);
            count += 1;
        }
        if !view.hidden {
            assert!(f64::from(bright) > 0.9 * f64::from(count), "{name}: {bright} of {count} pixels are the object's");
        }
    }
    let of = |kind| kinds.get(&kind).copied().unwrap_or(0);
    for kind in [ClutterKind::Texture, ClutterKind::Blurred, ClutterKind::Tiles] {
        assert!(of(kind) > 3, "{kind}: {}", of(kind));
    }
    assert_eq!(of(ClutterKind::Wallpaper) + of(ClutterKind::Shapes), 0, "there are no wallpapers");
    assert!((8..32).contains(&flips) && (6..28).contains(&hidden), "{flips} {hidden}");
}

#[test]
fn the_same_again_and_another_from_another_seed() {
    let (picture, _) = picture();
    for untrained in [false, true] {
        let view = |seed, name: &str| clutter(seed, 448, true).make(name, &picture, untrained).unwrap().picture;
        assert_eq!(view(1, "a"), view(1, "a"));
        assert_ne!(view(1, "a"), view(2, "a"));
        assert_ne!(view(1, "a"), view(1, "b"));
    }
    assert_eq!(clutter(1, 448, true).fingerprint(), clutter(1, 448, true).fingerprint());
    assert_ne!(clutter(1, 448, true).fingerprint(), clutter(2, 448, true).fingerprint());
}

#[test]
fn shapes_are_their_own_kind_and_wallpapers_take_part() {
    let (picture, _) = picture();
    let clutter = clutter(1, 448, true);
    let kind = |number: usize, untrained| clutter.make(&number.to_string(), &picture, untrained).unwrap().kind;
    assert!((0..20).all(|number| kind(number, true) == ClutterKind::Shapes));
    let wallpapers = (0..50).filter(|number| kind(*number, false) == ClutterKind::Wallpaper).count();
    assert!((10..32).contains(&wallpapers), "{wallpapers} of 50, expected 20");
    assert_eq!(clutter.grounds(), (3, 1));
    let mut lonely = Clutter::new(1, 448);
    lonely.add_other("0", &picture).unwrap();
    assert!(lonely.make("0", &picture, true).is_err());
}

#[test]
fn large_pictures_are_shrunk_with_their_regions() {
    let large = DynamicImage::from(RgbImage::new(400, 1000));
    let region =
        Region::of_boxes(&[BoundingBox { x0: 0.0, y0: 0.0, x1: 400.0, y1: 1000.0 }], ImageSize::new(400, 1000));
    let view = clutter(1, 100, false).make("x", &large, true).unwrap();
    assert_eq!(view.picture.dimensions(), (100, 250));
    let moved = view.region(&region).boxes[0];
    let same = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(same(moved.x0, view.place.x0) && same(moved.x1, view.place.x1) && same(moved.y1, view.place.y1));
}
