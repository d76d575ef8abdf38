//! Rendering: colours, overlays, charts and panels.

use std::path::PathBuf;

use cbam::maps::{AttentionMap, MapRange, Resample, Scale, ScaleLimits};
use cbam::photo::{Geometry, ImageSize, Part, Photo};
use cbam::render::{Colormap, Legend, Opacity, Overlay, PanelTile, TileContent, bar_chart, compare, panel};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, GenericImageView, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba};
use ndarray::{Array1, Array2, array};
use proptest::prelude::*;

use super::photo::golden;

#[test]
fn colours_agree_with_matplotlib() {
    for map in Colormap::ALL {
        // The colours are the same; matplotlib picks one of 256 and rounds down, this crate interpolates, and where they
        // change fast that shows.
        let most = match map {
            Colormap::Jet | Colormap::Turbo => 3,
            _ => 2,
        };
        let name = if map == Colormap::Grey { "gray".to_owned() } else { map.to_string() };
        let expected: Vec<[u8; 3]> = serde_json::from_value(golden()["colormaps"][&name].clone()).unwrap();
        assert_eq!(expected.len(), 5);
        for (step, expected) in expected.into_iter().enumerate() {
            let got = map.color(step as f32 / 4.0);
            let off = got.into_iter().zip(expected).map(|(got, expected)| got.abs_diff(expected)).max().unwrap();
            assert!(off <= most, "{map} at {step}/4: {got:?}, matplotlib has {expected:?}");
        }
        assert_eq!(map.color(-3.0), map.color(0.0));
        assert_eq!(map.color(7.0), map.color(1.0));
        assert_eq!(map.color(f32::NAN), map.color(0.0));
        assert_eq!(map.to_string().parse::<Colormap>().unwrap(), map);
    }
    assert_eq!(Colormap::default(), Colormap::Turbo);
    assert!("rainbow".parse::<Colormap>().unwrap_err().to_string().contains("turbo, viridis"));
    assert_eq!(
        ["constant", "attention"].map(|text| text.parse::<Opacity>().unwrap().to_string()),
        ["constant", "attention"]
    );
    assert!("linear".parse::<Opacity>().is_err());
}

/// What lies over a part is what would lie over that part alone; the rest stays as it was.
#[test]
fn a_map_of_a_part_lies_over_that_part() {
    let size = ImageSize::new(61, 40);
    let map = AttentionMap::new(array![[0.1, 0.9, 0.3], [0.7, 0.2, 1.0]], MapRange::Unit).unwrap();
    let limits = ScaleLimits { low: 0.0, high: 1.0 };
    for network in [ImageSize::new(224, 224), ImageSize::new(96, 256), ImageSize::new(300, 100)] {
        let seen = Part::middle(size, network);
        let geometry = Geometry { picture: size, network, seen };
        let Part { left, top, size: part } = seen;
        for image in pictures(size.width, size.height) {
            for contour in [None, Some(0.5)] {
                let overlay = Overlay { contour, ..Overlay::default() };
                let drawn = overlay.apply(&Photo::from(image.clone()), &map.clone().over(&geometry), limits).unwrap();
                let cut = Photo::from(image.crop_imm(left, top, part.width, part.height));
                let alone = overlay.apply(&cut, &map, limits).unwrap();
                assert_eq!(drawn.crop_imm(left, top, part.width, part.height), alone, "{seen} {contour:?}");
                let inside =
                    |x: u32, y: u32| (left..left + part.width).contains(&x) && (top..top + part.height).contains(&y);
                let plain = Overlay { alpha: 0.0, ..Overlay::default() };
                let plain = plain.apply(&Photo::from(image.clone()), &map, limits).unwrap().to_rgba16();
                let drawn = drawn.to_rgba16();
                let rest = drawn.enumerate_pixels().filter(|(x, y, _)| !inside(*x, *y));
                assert!(rest.into_iter().all(|(x, y, pixel)| plain.get_pixel(x, y) == pixel), "{seen} {contour:?}");
            }
        }
        let whole = map.clone().over(&geometry).resample(size, Resample::Bilinear).unwrap();
        let alone = map.resample(part, Resample::Bilinear).unwrap();
        let inner = whole.values().slice(ndarray::s![
            top as usize..(top + part.height) as usize,
            left as usize..(left + part.width) as usize
        ]);
        assert_eq!(inner, alone.values());
        assert!((whole.values().sum() - alone.values().sum()).abs() < 1e-3, "0 where nothing was seen");
    }
}

/// A part may be as wide as the picture, begin at its first row, and not reach its last.
#[test]
fn a_part_that_lacks_the_last_row_ends_there() {
    let map = AttentionMap::new(array![[0.1, 0.9], [0.7, 1.0]], MapRange::Unit).unwrap();
    for size in [ImageSize::new(100, 101), ImageSize::new(101, 100)] {
        let seen = Part::middle(size, ImageSize::new(224, 224));
        assert_eq!((seen.left, seen.top, seen.size), (0, 0, ImageSize::new(100, 100)));
        let geometry = Geometry { picture: size, network: ImageSize::new(224, 224), seen };
        for (contour, refine) in [(None, false), (Some(0.5), false), (None, true)] {
            let overlay = Overlay { contour, refine, ..Overlay::constant() };
            let photo = Photo::from(pictures(size.width, size.height).remove(2));
            let drawn = overlay.draw(&photo, &map.clone().over(&geometry)).unwrap();
            let last = (size.width - 1, size.height - 1);
            assert_eq!(drawn.get_pixel(last.0, last.1), photo.image.get_pixel(last.0, last.1));
            assert_ne!(drawn.get_pixel(99, 99), photo.image.get_pixel(99, 99));
        }
    }
}

/// One picture of each kind that a file can hold, `width`x`height`.
fn pictures(width: u32, height: u32) -> Vec<DynamicImage> {
    let v = |x: u32, y: u32, c: u32| (x * 53 + y * 97 + c * 71 + x * y * 13) as u16;
    let b = |x: u32, y: u32, c: u32| (v(x, y, c) % 256) as u8;
    let w = |x: u32, y: u32, c: u32| v(x, y, c).wrapping_mul(251);
    vec![
        DynamicImage::ImageLuma8(ImageBuffer::from_fn(width, height, |x, y| Luma([b(x, y, 0)]))),
        DynamicImage::ImageLumaA8(ImageBuffer::from_fn(width, height, |x, y| LumaA([b(x, y, 0), b(x, y, 1)]))),
        DynamicImage::ImageRgb8(ImageBuffer::from_fn(width, height, |x, y| Rgb([b(x, y, 0), b(x, y, 1), b(x, y, 2)]))),
        DynamicImage::ImageRgba8(ImageBuffer::from_fn(width, height, |x, y| {
            Rgba([b(x, y, 0), b(x, y, 1), b(x, y, 2), b(x, y, 3)])
        })),
        DynamicImage::ImageLuma16(ImageBuffer::from_fn(width, height, |x, y| Luma([w(x, y, 0)]))),
        DynamicImage::ImageLumaA16(ImageBuffer::from_fn(width, height, |x, y| LumaA([w(x, y, 0), w(x, y, 1)]))),
        DynamicImage::ImageRgb16(ImageBuffer::from_fn(width, height, |x, y| Rgb([w(x, y, 0), w(x, y, 1), w(x, y, 2)]))),
        DynamicImage::ImageRgba16(ImageBuffer::from_fn(width, height, |x, y| {
            Rgba([w(x, y, 0), w(x, y, 1), w(x, y, 2), w(x, y, 3)])
        })),
    ]
}

fn map(values: Array2<f32>) -> AttentionMap {
    AttentionMap::new(values, MapRange::Positive).unwrap()
}

const UNIT: ScaleLimits = ScaleLimits { low: 0.0, high: 1.0 };

#[test]
fn an_overlay_mixes_as_its_formula_says() {
    let values = array![[0.0, 0.25, 1.0]];
    for image in pictures(3, 1) {
        let wide = matches!(image.color().bits_per_pixel() / u16::from(image.color().channel_count()), 16);
        for opacity in [Opacity::Constant, Opacity::Attention] {
            let overlay = Overlay { alpha: 0.7, opacity, resample: Resample::Nearest, ..Overlay::default() };
            let out = overlay.apply(&Photo::from(image.clone()), &map(values.clone()), UNIT).unwrap();
            assert_eq!(out.color().has_alpha(), image.color().has_alpha());
            assert_eq!(out.color().bytes_per_pixel() / out.color().channel_count(), if wide { 2 } else { 1 });
            let (before, after) = (image.to_rgba16(), out.to_rgba16());
            for (x, value) in values.iter().enumerate() {
                let (before, after) = (before.get_pixel(x as u32, 0).0, after.get_pixel(x as u32, 0).0);
                assert_eq!(before[3], after[3], "alpha is kept");
                let weight = if opacity == Opacity::Constant { 0.7 } else { 0.7 * value.powf(0.6) };
                let colour = Colormap::Turbo.color(*value);
                for channel in 0..3 {
                    let expected =
                        f32::from(before[channel]) * (1.0 - weight) + f32::from(colour[channel]) * 257.0 * weight;
                    let most = if wide { 2.0 + 257.0 } else { 1.01 * 257.0 }; // a step of the colour table, and rounding
                    assert!((f32::from(after[channel]) - expected).abs() <= most, "{opacity} {x} {channel}");
                }
            }
        }
    }
}

#[test]
fn where_attention_is_zero_the_attention_opacity_leaves_the_picture() {
    for image in pictures(8, 6) {
        let overlay = Overlay { opacity: Opacity::Attention, alpha: 1.0, ..Overlay::default() };
        let out = overlay.apply(&Photo::from(image.clone()), &map(Array2::zeros((2, 3))), UNIT).unwrap();
        assert_eq!(out.to_rgba16(), image.to_rgba16(), "{:?}", image.color());
        // So does a map that is flat, whatever its value.
        let flat = map(Array2::from_elem((2, 3), 0.7));
        let out = overlay.draw(&Photo::from(image.clone()), &flat).unwrap();
        assert_eq!(out.to_rgba16(), image.to_rgba16(), "{:?}", image.color());
    }
}

#[test]
fn the_map_is_drawn_at_full_size_and_not_in_blocks() {
    let white = Photo::from(DynamicImage::ImageRgb8(RgbImage::new(256, 16)));
    let ramp = map(Array2::from_shape_fn((1, 4), |(_, x)| x as f32));
    let limits = Scale::Image.limits(&ramp);
    let colours = |resample| {
        let overlay = Overlay { colormap: Colormap::Grey, alpha: 1.0, resample, ..Overlay::default() };
        let out = overlay.apply(&white, &ramp, limits).unwrap().to_rgb8();
        let mut row: Vec<u8> = (0..256).map(|x| out.get_pixel(x, 9)[0]).collect();
        assert!(row.is_sorted());
        row.dedup();
        row.len()
    };
    assert_eq!(colours(Resample::Nearest), 4);
    assert!(colours(Resample::Bilinear) > 150);
    assert!(colours(Resample::Bicubic) > 150);
}

#[test]
fn a_contour_follows_the_threshold() {
    // A ramp from 0 to 1: half of its mass lies right of x = sqrt(1/2).
    let black = Photo::from(DynamicImage::ImageRgb8(RgbImage::from_pixel(400, 300, Rgb([90; 3]))));
    let ramp = map(Array2::from_shape_fn((300, 400), |(_, x)| (x as f32 + 0.5) / 400.0));
    let overlay = Overlay { alpha: 0.0, contour: Some(0.5), resample: Resample::Bilinear, ..Overlay::default() };
    let out = overlay.apply(&black, &ramp, UNIT).unwrap().to_rgb8();
    let at = (0.5_f32.sqrt() * 400.0).round() as u32;
    for y in [0, 150, 299] {
        assert!((at - 1..=at + 1).any(|x| out.get_pixel(x, y)[0] > 240), "a white line at {at}");
        assert!((at - 4..at).any(|x| out.get_pixel(x, y)[0] < 60), "a dark halo left of it");
        for x in (0..at - 5).chain(at + 6..400) {
            assert_eq!(out.get_pixel(x, y).0, [90; 3], "away from the line the picture is as it was: {x}");
        }
    }
    // A flat map has no line.
    let flat = map(Array2::from_elem((3, 4), 0.5));
    assert_eq!(overlay.apply(&black, &flat, UNIT).unwrap().to_rgb8(), black.image.to_rgb8());
}

#[test]
fn impossible_overlays_are_refused() {
    let photo = Photo::from(DynamicImage::ImageRgb8(RgbImage::new(4, 4)));
    let map = map(array![[0.0, 1.0]]);
    for (alpha, contour) in [(-0.1, None), (1.1, None), (f32::NAN, None), (0.5, Some(1.5)), (0.5, Some(f32::NAN))] {
        let overlay = Overlay { alpha, contour, ..Overlay::default() };
        assert!(
            matches!(overlay.apply(&photo, &map, UNIT), Err(cbam::ErrorKind::Argument { .. })),
            "{alpha} {contour:?}"
        );
        assert!(panel(&photo, &[], &[], "", &overlay).is_err());
    }
    let empty = Photo::from(DynamicImage::ImageRgb8(RgbImage::new(0, 4)));
    assert!(matches!(Overlay::default().apply(&empty, &map, UNIT), Err(cbam::ErrorKind::Input { .. })));
    assert!(matches!(panel(&empty, &[], &[], "", &Overlay::default()), Err(cbam::ErrorKind::Input { .. })));
}

#[test]
fn bars_are_as_high_as_their_values() {
    let values = Array1::from_vec(vec![0.25, 1.0, 0.0, 0.5]);
    let size = ImageSize::new(226, 112);
    let chart = bar_chart(&values, size).unwrap();
    assert_eq!(chart.dimensions(), (226, 112));
    // The strongest first, under the line that names them.
    for (index, value) in [1.0, 0.5, 0.25, 0.0].into_iter().enumerate() {
        let x = 26 + 50 * index as u32 + 25;
        let bar = (22..106).filter(|y| chart.get_pixel(x, *y).0 == [66, 99, 165]).count() as f32;
        assert!((bar - value * 83.0).abs() <= 1.5, "{value}: {bar} pixels");
    }
    let named = (0..16).any(|y| (26..226).any(|x| chart.get_pixel(x, y).0 != [255; 3]));
    assert!(named, "the strongest channels are named");
    // A chart that is too low for it has no such line.
    let low = bar_chart(&values, ImageSize::new(226, 60)).unwrap();
    assert_eq!((6..54).filter(|y| low.get_pixel(51, *y).0 == [66, 99, 165]).count(), 48);
    // More channels than columns: the mean.
    let many = Array1::from_shape_fn(2_000, |index| (index * 7 % 2_000) as f32 / 1_999.0);
    let chart = bar_chart(&many, size).unwrap();
    let bar = (22..106).filter(|y| chart.get_pixel(126, *y).0 == [66, 99, 165]).count();
    assert!((40..=44).contains(&bar), "{bar}");

    assert!(bar_chart(&Array1::zeros(0), size).is_err());
    assert!(bar_chart(&values, ImageSize::new(20, 112)).is_err());
}

fn tiles() -> Vec<PanelTile> {
    let blob = |rows: usize, columns: usize, at: f32| {
        map(Array2::from_shape_fn((rows, columns), |(y, x)| {
            let (dx, dy) = ((x as f32 + 0.5) / columns as f32 - at, (y as f32 + 0.5) / rows as f32 - 0.5);
            (-12.0 * (dx * dx + dy * dy)).exp()
        }))
    };
    let tile = |title: &str, map: AttentionMap| PanelTile {
        title: title.to_owned(),
        content: TileContent::Map { limits: Scale::Image.limits(&map), map },
    };
    vec![
        tile("fused", blob(14, 18, 0.4)),
        tile("spatial:stage5", blob(14, 18, 0.3)),
        tile("spatial:stage7", blob(7, 9, 0.6)),
        tile("a title that is much too long for the tile that it stands above, and is cut", blob(14, 18, 0.8)),
        PanelTile {
            title: "channel:stage5".to_owned(),
            content: TileContent::Channels(Array1::from_shape_fn(40, |index| (index % 7) as f32 / 7.0)),
        },
    ]
}

fn labels() -> Vec<(String, f32)> {
    [("espresso", 0.75), ("a label that is too long to be written beside its number", 0.125), ("Käse, 漢字", 0.0004)]
        .map(|(label, probability)| (label.to_owned(), probability))
        .to_vec()
}

#[test]
fn panels_of_any_picture() {
    for (width, height) in [(1, 1), (1, 5000), (5000, 1), (60, 240), (240, 60), (600, 400)] {
        for image in pictures(width, height) {
            let sheet = panel(&Photo::from(image), &tiles(), &labels(), "a footer", &Overlay::default()).unwrap();
            assert!((600..=1_500).contains(&sheet.width()) && sheet.height() < 2_500, "{:?}", sheet.dimensions());
            // A margin of white on every side: nothing sticks out.
            let (right, bottom) = (sheet.width() - 1, sheet.height() - 1);
            for (x, y, pixel) in sheet.enumerate_pixels() {
                if x < 12 || y < 12 || x > right - 12 || y > bottom - 12 {
                    assert_eq!(pixel.0, [255; 3], "{width}x{height}: something at {x},{y}");
                }
            }
        }
    }
    let photo = Photo::from(pictures(30, 20).remove(2));
    assert!(panel(&photo, &[], &[], "", &Overlay::default()).is_ok());
    assert!(panel(&photo, &tiles()[4..], &labels(), "", &Overlay::default()).is_ok());
}

#[test]
fn comparisons_of_any_picture() {
    let ends = ["least".to_owned(), "greatest".to_owned()];
    let legend = Legend { heading: Some("class: ".repeat(99)), ends, ..Legend::default() };
    for (width, height) in [(1, 1), (1, 5000), (5000, 1), (60, 240), (240, 60), (600, 400)] {
        for (image, count) in pictures(width, height).into_iter().zip([0, 1, 2, 3, 4, 5, 5, 5]) {
            let sheet = compare(&Photo::from(image), &tiles()[..count], &legend, &Overlay::default()).unwrap();
            assert!((400..=1_400).contains(&sheet.width()) && sheet.height() < 2_500, "{:?}", sheet.dimensions());
            // A margin of white on every side: nothing sticks out.
            let (right, bottom) = (sheet.width() - 1, sheet.height() - 1);
            for (x, y, pixel) in sheet.enumerate_pixels() {
                if x < 12 || y < 12 || x > right - 12 || y > bottom - 4 {
                    assert_eq!(pixel.0, [255; 3], "{width}x{height}: something at {x},{y}");
                }
            }
        }
    }
}

/// A picture in soft colours, the same on every machine.
fn scene() -> Photo {
    Photo::from(DynamicImage::ImageRgb8(RgbImage::from_fn(120, 90, |x, y| {
        let disc = (x as i32 - 48).pow(2) + (y as i32 - 45).pow(2) < 900;
        Rgb(if disc { [230, 180, (60 + x) as u8] } else { [(40 + y) as u8, (90 + x / 2) as u8, 120] })
    })))
}

/// Compares with `tests/images/truth/NAME.png`, or writes it where `REGENERATE` is set.
fn compare_with_truth(name: &str, got: &RgbImage) {
    let path: PathBuf = crate::file(format!("tests/images/truth/{name}.png"));
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = std::fs::File::create(&path).unwrap();
        let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive);
        got.write_with_encoder(encoder).unwrap();
        return;
    }
    let truth = image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).to_rgb8();
    assert_eq!(truth.dimensions(), got.dimensions(), "{name}");
    // The resampler rounds differently with other processor instructions.
    let off = truth.iter().zip(got.iter()).map(|(truth, got)| truth.abs_diff(*got)).max();
    assert!(off <= Some(3), "{name}: a sample is off by {off:?}; REGENERATE=1 rewrites the truth");
}

#[test]
fn pictures_are_as_they_were() {
    let tiles = tiles();
    let TileContent::Map { map, limits } = &tiles[0].content else { panic!("the first tile is a map") };
    let (plain, constant) = (Overlay::default(), Overlay::constant());
    let clear = Overlay { colormap: Colormap::Viridis, alpha: 0.9, contour: Some(0.5), ..plain.clone() };
    let draw = |overlay: &Overlay| overlay.apply(&scene(), map, *limits).unwrap();
    compare_with_truth("overlay", &draw(&constant).to_rgb8());
    compare_with_truth("overlay-attention", &draw(&plain).to_rgb8());
    compare_with_truth("overlay-attention-contour", &draw(&clear).to_rgb8());
    compare_with_truth("overlay-refined", &draw(&Overlay { refine: true, ..plain.clone() }).to_rgb8());
    let from = plain.apply(&scene(), &map.clone().seen_from([3, 12]), *limits).unwrap();
    compare_with_truth("overlay-seen-from", &from.to_rgb8());
    compare_with_truth("panel", &panel(&scene(), &tiles, &labels(), "scene.png  ·  a network", &plain).unwrap());
    let legend = Legend {
        heading: Some("fused".to_owned()),
        note: Some("disc, 75.0 %".to_owned()),
        ends: ["0".to_owned(), "1".to_owned()],
        scale: None,
    };
    compare_with_truth("legend", &legend.under(draw(&plain), &plain).to_rgb8());
    compare_with_truth("compare", &compare(&scene(), &tiles[2..], &legend, &plain).unwrap());
}

/// A map on a coarse grid, over a picture with one sharp edge.
fn half_and_half(width: u32, height: u32) -> (DynamicImage, AttentionMap) {
    let edge = width * 11 / 20;
    let picture = RgbImage::from_fn(width, height, |x, _| Rgb(if x < edge { [40, 60, 90] } else { [210, 190, 120] }));
    let column = |x: usize| if x < 4 { 1.0 } else { 0.0 };
    (picture.into(), map(Array2::from_shape_fn((5, 7), |(_, x)| column(x))))
}

#[test]
fn a_refined_map_follows_the_edges() {
    for (width, height) in [(140, 100), (900, 700), (61, 300)] {
        let (picture, map) = half_and_half(width, height);
        // White where the map is 1, black where it is 0.
        let bare = Overlay { colormap: Colormap::Grey, alpha: 1.0, ..Overlay::constant() };
        let levels = |overlay: &Overlay| overlay.apply(&Photo::from(picture.clone()), &map, UNIT).unwrap().to_luma8();
        let (plain, refined) = (levels(&bare), levels(&Overlay { refine: true, ..bare.clone() }));
        let edge = width * 11 / 20;
        let step = |levels: &image::GrayImage| {
            let [before, behind] = [edge - 1, edge].map(|x| i32::from(levels.get_pixel(x, height / 2)[0]));
            before - behind
        };
        let most = 255 / (width as i32 / 7); // bicubic: a cell to fall in
        assert!(step(&plain) <= 3 * most.max(1), "{width}x{height}: {}", step(&plain));
        assert!(step(&refined) > 100, "{width}x{height}: {}", step(&refined));
    }
}

#[test]
fn any_picture_can_be_refined_and_a_flat_map_stays_flat() {
    let overlay = Overlay { refine: true, colormap: Colormap::Grey, alpha: 1.0, ..Overlay::constant() };
    for (width, height) in [(1, 1), (2, 1), (1, 300), (5, 4), (33, 21)] {
        for picture in pictures(width, height) {
            let photo = Photo::from(picture);
            let flat = map(Array2::from_elem((3, 4), 0.5));
            let drawn = overlay.apply(&photo, &flat, UNIT).unwrap().to_luma8();
            assert!(drawn.pixels().all(|pixel| pixel[0].abs_diff(128) <= 1), "{width}x{height}");
            for map in [map(array![[0.0, 1.0]]), map(Array2::zeros((2, 2)))] {
                for contour in [None, Some(0.5)] {
                    let overlay = Overlay { contour, ..overlay.clone() };
                    assert_eq!(overlay.apply(&photo, &map, UNIT).unwrap().dimensions(), (width, height));
                }
            }
        }
    }
}

#[test]
fn the_patch_that_looks_is_outlined() {
    let grey = Photo::from(DynamicImage::ImageRgb8(RgbImage::from_pixel(200, 100, Rgb([90; 3]))));
    let flat = map(Array2::from_elem((5, 10), 0.5));
    let overlay = Overlay::default();
    assert_eq!(overlay.draw(&grey, &flat).unwrap().to_rgb8(), grey.image.to_rgb8());
    // The cell of 20x20 pixels from (60, 40) on; alpha does not matter.
    for alpha in [0.0, 0.75] {
        let overlay = Overlay { alpha, ..overlay.clone() };
        let out = overlay.draw(&grey, &flat.clone().seen_from([2, 3])).unwrap().to_rgb8();
        for at in 62..78 {
            for (x, y) in [(at, 40), (at, 59), (60, at - 20), (79, at - 20)] {
                assert!(out.get_pixel(x, y)[0] > 160, "{x},{y}: {:?}", out.get_pixel(x, y));
            }
            assert_eq!(
                out.get_pixel(at, 50).0,
                [90; 3].map(|level| if (64..76).contains(&at) { level } else { out.get_pixel(at, 50)[0] })
            );
        }
        let away = out.enumerate_pixels().filter(|(x, y, _)| *x < 56 || *x > 84 || *y < 36 || *y > 64);
        assert!(away.into_iter().all(|(_, _, pixel)| pixel.0 == [90; 3]));
    }
    // A cell outside the grid is the nearest in it; and the picture's other kinds have the line too.
    assert_eq!(flat.clone().seen_from([9, 99]).cell(), Some([4, 9]));
    for picture in pictures(40, 30) {
        let before = Overlay::default().draw(&Photo::from(picture.clone()), &flat).unwrap();
        let after = Overlay::default().draw(&Photo::from(picture), &flat.clone().seen_from([2, 3])).unwrap();
        assert!(before != after && before.color() == after.color());
    }
}

#[test]
fn a_legend_stands_below_the_picture() {
    let legend = Legend {
        heading: Some("gradcam".to_owned()),
        note: Some("a class whose name is long".to_owned()),
        ends: ["0".to_owned(), "1".to_owned()],
        scale: Some("the scale".to_owned()),
    };
    for (width, height) in [(1, 1), (30, 8), (300, 200), (2000, 100)] {
        for picture in pictures(width, height) {
            let under = legend.under(picture.clone(), &Overlay::default());
            assert_eq!((under.width(), under.color().has_alpha()), (width, picture.color().has_alpha()));
            assert_eq!(under.crop_imm(0, 0, width, height).to_rgba16(), picture.to_rgba16());
            let strip = under.crop_imm(0, height, width, under.height() - height).to_rgb8();
            assert!(strip.height() >= 30 && strip.height() < 250, "{width}: {}", strip.height());
            // The colours, from the least on the left to the greatest on the right.
            let row = |y: u32| [width / 4, width * 3 / 4].map(|x| strip.get_pixel(x, y).0);
            assert!(width < 100 || (0..strip.height()).any(|y| row(y)[0][2] > row(y)[1][2] && row(y)[1][0] > 200));
        }
    }
}

proptest! {
    #[test]
    fn at_alpha_0_the_overlay_is_the_picture_itself(
        width in 1_u32..24, height in 1_u32..24, kind in 0_usize..8, values in prop::collection::vec(0.0_f32..3.0, 6),
        attention: bool,
    ) {
        let image = pictures(width, height).remove(kind);
        let opacity = if attention { Opacity::Attention } else { Opacity::Constant };
        let overlay = Overlay { alpha: 0.0, opacity, ..Overlay::default() };
        let map = map(Array2::from_shape_vec((2, 3), values).unwrap());
        let limits = Scale::Image.limits(&map);
        prop_assert_eq!(&overlay.apply(&Photo::from(image.clone()), &map, limits).unwrap(), &image);
        // Drawn with strength 0, and not only handed on: a flat map has no line to draw.
        let drawn = Overlay { contour: Some(0.5), ..overlay };
        let flat = self::map(Array2::from_elem((2, 2), 0.5));
        prop_assert_eq!(drawn.apply(&Photo::from(image.clone()), &flat, UNIT).unwrap().to_rgba16(), image.to_rgba16());
    }

    #[test]
    fn an_overlay_has_the_pictures_size(width in 1_u32..40, height in 1_u32..40, kind in 0_usize..8, contour: bool) {
        let image = pictures(width, height).remove(kind);
        let overlay = Overlay { contour: contour.then_some(0.5), ..Overlay::default() };
        let map = map(array![[0.0, 1.0, 0.5], [2.0, 0.0, 0.25]]);
        let out = overlay.apply(&Photo::from(image.clone()), &map, Scale::Image.limits(&map)).unwrap();
        prop_assert_eq!(out.dimensions(), image.dimensions());
    }
}
