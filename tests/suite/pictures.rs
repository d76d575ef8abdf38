//! Odd pictures: kinds that were once drawn wrongly, refused under a wrong name, or took too much memory.

use std::path::Path;

use cbam::photo::{Encoded, ImageSize, Limits, Photo, decode, open};
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageEncoder, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::Value;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(crate::file("tests/regressions/pictures").join(name)).unwrap()
}

fn read(bytes: &[u8]) -> cbam::Result<Photo> {
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

#[test]
fn what_headers_declare_is_refused_or_known_before_anything_is_decoded() {
    assert!(refusal(&file("exr_piz_148GB.exr")).contains("more than a file of"));
    assert!(refusal(&file("progshort.jpg")).contains("can hold no more than"));
    let limits = Limits::default();
    for (name, least) in [("big.webp", 600 << 20), ("screen.gif", 700 << 20)] {
        let bytes = file(name);
        let needs = Encoded::new(Path::new(name), &bytes, &limits).unwrap().needs();
        assert!((least..3 << 30).contains(&needs), "{name}: {needs}");
    }
    let small = Limits { max_pixels: 1_000_000, ..limits };
    for name in ["big.webp", "screen.gif", "progshort.jpg"] {
        assert!(decode(Path::new(name), &file(name), &small).is_err());
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

#[test]
fn a_truncated_jpeg_is_read_as_far_as_it_goes_and_that_is_said() {
    let whole = jpeg(&pattern().into());
    assert_eq!(read(&whole).unwrap().damage, None);
    let full = read(&whole).unwrap().image.to_rgb8();
    let cut = read(&whole[..whole.len() * 6 / 10]).unwrap();
    let damage = cut.damage.unwrap();
    assert!(damage.contains("the end is missing, about") && damage.contains("Premature end"), "{damage}");
    let part = cut.image.to_rgb8();
    assert!(alike(&part, &full, (40, 8)));
    assert_ne!(part.get_pixel(40, 90), full.get_pixel(40, 90));
    // Without the last bytes everything is there, and yet the end is not.
    assert!(read(&whole[..whole.len() - 2]).unwrap().damage.is_some());

    let scan = whole.windows(2).rposition(|marker| marker == [0xFF, 0xDA]).unwrap();
    for nothing in [&whole[..scan], &whole[..scan + 16], &whole[..200]] {
        assert!(refusal(nothing).contains("truncated JPEG"), "{}", refusal(nothing));
    }
}

#[test]
fn a_jpeg_with_broken_data_is_damaged() {
    let mut bytes = jpeg(&pattern().into());
    let scan = bytes.windows(2).rposition(|marker| marker == [0xFF, 0xDA]).unwrap();
    let middle = scan + (bytes.len() - scan) / 2;
    bytes[middle..middle + 40].fill(0xA5);
    let photo = read(&bytes).unwrap();
    assert!(photo.damage.is_some());
    let whole = read(&jpeg(&pattern().into())).unwrap().image.to_rgb8();
    assert!(alike(&photo.image.to_rgb8(), &whole, (40, 8)));
}

#[test]
fn jpegs_that_are_not_read_are_named() {
    let whole = jpeg(&pattern().into());
    let frame = whole.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    let with = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[frame + at] = value;
        refusal(&bytes)
    };
    for (message, named) in
        [(with(1, 0xC3), "lossless JPEG is not read here"), (with(1, 0xC5), "hierarchical"), (with(4, 12), "12 bits")]
    {
        assert!(message.contains(named) && !message.contains("broken"), "{message}");
    }
    let mut arithmetic = whole.clone();
    arithmetic[frame + 1] = 0xC9; // its data are no arithmetic codes, but any data can be read as such
    assert!(read(&arithmetic).unwrap().notes[0].contains("arithmetic coding"));
}

/// A TIFF of one strip: little-endian, `tags` in ascending order as (tag, values), all LONG or, with more values, SHORT.
fn tiff(tags: &[(u16, &[u16])], data: &[u8]) -> Vec<u8> {
    let count = tags.len() + 2;
    let directory = 8 + 2 + 12 * count + 4;
    let values: usize = tags.iter().filter(|(_, values)| values.len() > 2).map(|(_, values)| 2 * values.len()).sum();
    let start = (directory + values) as u32;
    let strip = [(273, start), (279, data.len() as u32)];
    let mut entries: Vec<(u16, u16, u32, [u8; 4])> =
        strip.map(|(tag, value)| (tag, 4, 1, value.to_le_bytes())).to_vec();
    let (mut beyond, mut place) = (Vec::new(), directory as u32);
    for (tag, values) in tags {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut inline = [0; 4];
        if bytes.len() <= 4 {
            inline[..bytes.len()].copy_from_slice(&bytes);
        } else {
            inline = place.to_le_bytes();
            place += bytes.len() as u32;
            beyond.extend(bytes);
        }
        entries.push((*tag, 3, values.len() as u32, inline));
    }
    entries.sort_by_key(|entry| entry.0);
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    out.extend((count as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(value);
    }
    out.extend([0; 4]);
    out.extend(beyond);
    out.extend(data);
    out
}

/// A TIFF of 4×1 pixels.
fn row(bits: &[u16], photometric: u16, more: &[(u16, &[u16])], data: &[u8]) -> Vec<u8> {
    let samples = [bits.len() as u16];
    let mut tags: Vec<(u16, &[u16])> =
        vec![(256, &[4]), (257, &[1]), (258, bits), (259, &[1]), (277, &samples), (278, &[1])];
    let photometric = [photometric];
    tags.push((262, &photometric));
    tags.retain(|(tag, _)| more.iter().all(|(other, _)| other != tag));
    tags.extend_from_slice(more);
    tiff(&tags, data)
}

fn levels(bytes: &[u8]) -> Vec<u8> {
    read(bytes).unwrap().image.to_rgb8().into_raw()
}

fn greys(bytes: &[u8]) -> Vec<u8> {
    read(bytes).unwrap().image.to_luma8().into_raw()
}

#[test]
fn tiff_palettes_of_every_depth() {
    let map = |count: usize| -> Vec<u16> {
        // Red rises, green falls, blue is 7: all times 257.
        let run = |value: &dyn Fn(usize) -> usize| (0..count).map(|i| (value(i) * 257) as u16).collect::<Vec<_>>();
        [run(&|i| i.min(255)), run(&|i| 255 - i.min(255)), run(&|_| 7)].concat()
    };
    let expected = |indices: [u8; 4]| indices.into_iter().flat_map(|i| [i, 255 - i, 7]).collect::<Vec<_>>();
    assert_eq!(levels(&row(&[8], 3, &[(320, &map(256))], &[0, 1, 200, 255])), expected([0, 1, 200, 255]));
    assert_eq!(levels(&row(&[4], 3, &[(320, &map(16))], &[0x0F, 0x3A])), expected([0, 15, 3, 10]));
    assert_eq!(levels(&row(&[2], 3, &[(320, &map(4))], &[0b00_01_10_11])), expected([0, 1, 2, 3]));
    assert_eq!(levels(&row(&[1], 3, &[(320, &map(2))], &[0b0110_0000])), expected([0, 1, 1, 0]));
    assert!(refusal(&row(&[8], 3, &[(320, &map(16))], &[0; 4])).contains("palette is too short"));
}

#[test]
fn tiff_floats_are_light_or_span_their_range() {
    let floats = |values: [f32; 4]| values.map(f32::to_le_bytes).as_flattened().to_vec();
    let tiff = |values| row(&[32], 1, &[(339, &[3])], &floats(values));
    let photo = read(&tiff([0.0, 0.214_041, 0.5, 1.0])).unwrap();
    let pixels = photo.image.as_luma16().expect("16 bits").as_raw().clone();
    for (got, expected) in pixels.iter().zip([0_u16, 32_768, 48_192, 65_535]) {
        assert!(got.abs_diff(expected) <= 2, "{pixels:?}");
    }
    assert!(photo.notes.is_empty(), "{:?}", photo.notes);

    let photo = read(&tiff([-10.0, 0.0, 10.0, 30.0])).unwrap();
    assert_eq!(photo.image.as_luma16().unwrap().as_raw(), &[0, 16_384, 32_768, 65_535]);
    assert!(photo.notes[0].contains("-10") && photo.notes[0].contains("30"), "{:?}", photo.notes);
    for bad in [f32::NAN, f32::INFINITY] {
        assert!(refusal(&tiff([0.0, bad, 1.0, 1.0])).contains("no numbers"));
    }

    let halves = [0.0_f32, 0.5, 1.0, 1.0].map(|value| half::f16::from_f32(value).to_le_bytes());
    assert_eq!(greys(&row(&[16], 1, &[(339, &[3])], halves.as_flattened())), [0, 188, 255, 255]);
    let doubles = [0.0_f64, 0.5, 1.0, 1.0].map(f64::to_le_bytes);
    assert_eq!(greys(&row(&[64], 1, &[(339, &[3])], doubles.as_flattened())), [0, 188, 255, 255]);
}

#[test]
fn tiff_integers_span_their_range() {
    let signed = |values: [i32; 4]| values.map(i32::to_le_bytes).as_flattened().to_vec();
    let photo = read(&row(&[32], 1, &[(339, &[2])], &signed([-100, 0, 100, 300]))).unwrap();
    assert_eq!(photo.image.as_luma16().unwrap().as_raw(), &[0, 16_384, 32_768, 65_535]);
    assert!(
        photo.notes[0].contains("integers of 32 bits with sign") && photo.notes[0].contains("-100"),
        "{:?}",
        photo.notes
    );
    let unsigned = [1000_u32, 2000, 3000, 5000].map(u32::to_le_bytes);
    assert_eq!(greys(&row(&[32], 1, &[], unsigned.as_flattened())), [0, 64, 128, 255]);
    let short = [-4_i16, -2, 0, 4].map(i16::to_le_bytes);
    assert_eq!(greys(&row(&[16], 1, &[(339, &[2])], short.as_flattened())), [0, 64, 128, 255]);
    assert_eq!(greys(&row(&[8], 1, &[(339, &[2])], &[252, 254, 0, 4])), [0, 64, 128, 255]);
    let long = [0_u64, 25, 50, 100].map(u64::to_le_bytes);
    assert_eq!(greys(&row(&[64], 1, &[], long.as_flattened())), [0, 64, 128, 255]);
}

#[test]
fn tiff_greys_inks_alpha_and_fill_order() {
    assert_eq!(greys(&row(&[8], 0, &[], &[0, 55, 200, 255])), [255, 200, 55, 0]);
    assert_eq!(greys(&row(&[4], 1, &[], &[0x0F, 0x36])), [0, 255, 51, 102]);
    assert_eq!(greys(&row(&[1], 1, &[(266, &[2])], &[0b0000_0110])), [0, 255, 255, 0]);
    let twelve = [0x00, 0x0F, 0xFF, 0x80, 0x04, 0x00]; // 0, 4095, 2048, 1024
    let photo = read(&row(&[12], 1, &[], &twelve)).unwrap();
    assert_eq!(photo.image.as_luma16().unwrap().as_raw(), &[0, 65_535, 32_775, 16_387]);

    let inks = [0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 255, 0, 10, 20, 30, 255];
    assert_eq!(levels(&row(&[8; 4], 5, &[], &inks)), [255, 255, 255, 0, 255, 255, 255, 255, 0, 0, 0, 0]);
    let luma = [255, 128, 128, 0, 128, 128, 76, 85, 255, 128, 128, 128];
    let colours = levels(&row(&[8; 3], 6, &[(530, &[1, 1])], &luma));
    assert!(colours[..3] == [255; 3] && colours[3..6] == [0; 3] && colours[6] > 250 && colours[7] < 5, "{colours:?}");
    let lab = [255, 0, 0, 0, 0, 0, 138, 81, 70, 138, 0, 0];
    let colours = levels(&row(&[8; 3], 8, &[], &lab));
    assert!(colours[..3] == [255; 3] && colours[6] > 250 && colours[7] < 15, "{colours:?}");

    let pixels = [100, 50, 0, 128, 255, 255, 255, 255, 0, 0, 0, 0, 10, 20, 30, 255];
    let alpha = |extra: u16| read(&row(&[8; 4], 2, &[(338, &[extra])], &pixels)).unwrap().image;
    assert_eq!(alpha(2).to_rgba8().into_raw(), pixels);
    assert_eq!(alpha(1).to_rgba8().into_raw()[..4], [199, 100, 0, 128]);
    assert!(matches!(alpha(0), DynamicImage::ImageRgb8(_)), "an unspecified sample is no alpha");
}

#[test]
fn tiff_planes_and_packets() {
    let planes = [1, 2, 3, 4, 50, 60, 70, 80, 9, 9, 9, 9];
    let tags: &[(u16, &[u16])] = &[(284, &[2])];
    // Three strips of one row each.
    let mut bytes = row(&[8; 3], 2, tags, &planes);
    assert!(refusal(&bytes).contains("strips or tiles of it are missing"));
    bytes = row(&[8; 3], 2, &[], &[1, 50, 9, 2, 60, 9, 3, 70, 9, 4, 80, 9]);
    assert_eq!(levels(&bytes), [1, 50, 9, 2, 60, 9, 3, 70, 9, 4, 80, 9]);
    // Two luma samples share each chroma.
    let packets = [255, 0, 128, 128, 128, 64, 128, 128];
    assert_eq!(
        levels(&row(&[8; 3], 6, &[(530, &[2, 1])], &packets)),
        [255, 255, 255, 0, 0, 0, 128, 128, 128, 64, 64, 64]
    );
}

#[test]
fn tiffs_that_are_not_read_are_named() {
    for (bytes, named) in [
        (row(&[32], 1, &[(339, &[6])], &[0; 16]), "complex numbers"),
        (row(&[8], 1, &[(259, &[50_000])], &[0; 4]).clone(), "Zstandard"),
        (row(&[16], 32_803, &[], &[0; 8]), "a raw picture of a camera"),
        (row(&[8, 16, 8], 2, &[], &[0; 16]), "several depths"),
        (row(&[24], 1, &[], &[0; 12]), "24"),
    ] {
        let message = refusal(&bytes);
        assert!(message.contains(named) && !message.contains("broken"), "{message}");
    }
    assert!(refusal(&row(&[8], 1, &[], &[0; 2])).contains("truncated"));
    assert!(refusal(b"II*\0").contains("truncated"));
}

/// An alpha channel that writers leave unset, and one that is meant.
#[test]
fn alpha_that_is_0_everywhere() {
    let clear = DynamicImage::ImageRgba8(RgbaImage::from_pixel(5, 4, Rgba([200, 100, 50, 0])));
    let half =
        DynamicImage::ImageRgba8(RgbaImage::from_fn(5, 4, |x, _| Rgba([200, 100, 50, if x == 2 { 90 } else { 0 }])));
    let encoded = |image: &DynamicImage, format| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
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
    assert_eq!(
        read(&encoded(&clear, ImageFormat::Png)).unwrap().image.to_rgba8().get_pixel(1, 1)[3],
        0,
        "PNG means it"
    );
}

#[test]
fn a_bmp_whose_pixels_are_said_to_begin_at_its_palette() {
    let image = DynamicImage::ImageLuma8(GrayImage::from_fn(8, 4, |x, y| Luma([(x * 30 + y) as u8])));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Bmp).unwrap();
    let mut bytes = bytes.into_inner();
    let header = u32::from_le_bytes([bytes[14], bytes[15], bytes[16], bytes[17]]);
    bytes[10..14].copy_from_slice(&(14 + header).to_le_bytes());
    assert_eq!(read(&bytes).unwrap().image.to_luma8(), image.to_luma8());
}

fn png_with(chunks_after: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let stored = GrayImage::from_fn(6, 4, |x, y| Luma([(x * 40 + y) as u8]));
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(stored.as_raw(), 6, 4, image::ExtendedColorType::L8).unwrap();
    let end = bytes.split_off(bytes.len() - 12);
    for (kind, data) in chunks_after {
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(*kind);
        bytes.extend(data);
        bytes.extend([0; 4]); // the check sum of a chunk that decoders may pass over
    }
    bytes.extend(end);
    bytes
}

#[test]
fn png_orientation_is_found_wherever_it_stands() {
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let hex = exif.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let xmp = b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation=\"6\"/>".to_vec();
    let raw =
        format!("Raw profile type exif\0\nexif\n      {}\n{}\n{}\n", exif.len(), &hex[..20], &hex[20..]).into_bytes();
    for (kind, data) in [(b"eXIf", exif.to_vec()), (b"iTXt", xmp), (b"tEXt", raw)] {
        let photo = read(&png_with(&[(kind, data)])).unwrap();
        assert_eq!(photo.size(), ImageSize::new(4, 6), "{}", String::from_utf8_lossy(kind));
    }
    assert_eq!(read(&png_with(&[])).unwrap().size(), ImageSize::new(6, 4));
}

#[test]
fn profiles_that_cannot_be_used_are_said_and_bombs_are_not_unpacked() {
    let photo = read(&png_with(&[(b"iCCP", b"x\0\0not packed".to_vec())])).unwrap();
    assert!(photo.notes[0].contains("ICC profile was passed over"), "{:?}", photo.notes);
    let bomb = fdeflate_of_zeros(64 << 20);
    let photo = read(&png_with(&[(b"iCCP", [&b"x\0\0"[..], &bomb].concat())])).unwrap();
    assert!(photo.notes[0].contains("cannot be unpacked"), "{:?}", photo.notes);

    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 90);
    encoder.set_icc_profile(vec![7; 300]).unwrap();
    encoder.encode_image(&pattern()).unwrap();
    let photo = read(&jpeg).unwrap();
    assert!(photo.notes[0].contains("it is broken"), "{:?}", photo.notes);
    assert_eq!(photo.damage, None);
}

/// So many zeros, packed by zlib.
fn fdeflate_of_zeros(count: usize) -> Vec<u8> {
    use std::io::Write;
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&vec![0; count]).unwrap();
    packer.finish().unwrap()
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
fn a_greys_profile_is_applied_in_8_and_16_bits() {
    // A grey profile of gamma 1: linear light.
    let mut profile = moxcms::ColorProfile::new_gray_with_gamma(1.0);
    profile.gray_trc = Some(moxcms::ToneReprCurve::Lut(vec![256]));
    let profile = profile.encode().unwrap();
    let eight = GrayImage::from_pixel(4, 4, Luma([55])); // 0.2157 of light
    let sixteen: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_pixel(4, 4, Luma([55 * 257]));
    let with = |image: DynamicImage| {
        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder.set_icc_profile(profile.clone()).unwrap();
        image.write_with_encoder(encoder).unwrap();
        let photo = read(&bytes).unwrap();
        assert!(photo.notes.is_empty(), "{:?}", photo.notes);
        photo.image.to_luma8().get_pixel(1, 1)[0]
    };
    assert!(with(eight.into()).abs_diff(128) <= 2);
    assert!(with(sixteen.into()).abs_diff(128) <= 2);
}

#[test]
fn a_named_format_is_not_called_broken() {
    let folder = tempfile::tempdir().unwrap();
    for (content, named) in [
        (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "HEIC is not read here; convert it"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\0", "JPEG 2000 is not read here"),
        (b"\x0a\x05\x01\x08\0\0\0\0", "PCX is not read here"),
        (b"%PDF-1.4\n", "not a picture, but a PDF"),
    ] {
        let path = folder.path().join("picture.jpg");
        std::fs::write(&path, content).unwrap();
        let message = open(&path, &Limits::default()).unwrap_err().to_string();
        assert!(message.contains(named) && !message.contains("broken"), "{message}");
    }
}
