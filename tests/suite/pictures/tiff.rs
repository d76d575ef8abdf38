//! TIFFs: layouts, colours and kinds that are not read.

use std::path::Path;

use cbam::photo::{Encoded, ImageSize, Limits};
use image::DynamicImage;
use image::imageops::FilterType::Nearest;
use weezl::{BitOrder, encode::Encoder};

use super::{alike, jpeg, pattern, read, refusal};

/// A TIFF: little-endian, `tags` as (tag, values), all SHORT; with a width of tiles (322), the strips are tiles.
fn tiff(tags: &[(u16, &[u16])], strips: &[&[u8]]) -> Vec<u8> {
    file(tags, strips, 0).0
}

/// As [`tiff`], with its directory, data and the values that do not fit into it behind each other from `start` on; and where the
/// next directory is to be written.
fn file(tags: &[(u16, &[u16])], strips: &[&[u8]], start: usize) -> (Vec<u8>, usize) {
    let start = start.max(8);
    let count = tags.len() + 2;
    let mut beyond_at = start + 2 + 12 * count + 4;
    let mut beyond = Vec::new();
    let mut place = |values: Vec<u8>| {
        let mut field = [0; 4];
        if values.len() <= 4 {
            field[..values.len()].copy_from_slice(&values);
        } else {
            field = (beyond_at as u32).to_le_bytes();
            beyond_at += values.len();
            beyond.extend(values);
        }
        field
    };
    let offsets = strips.iter().map(|strip| u32::from_le_bytes(place([strip, &[0; 5][..]].concat())));
    let offsets: Vec<u8> = offsets.flat_map(u32::to_le_bytes).collect();
    let lengths: Vec<u8> = strips.iter().flat_map(|strip| (strip.len() as u32).to_le_bytes()).collect();
    let (of_offsets, of_lengths) = if tags.iter().any(|(tag, _)| *tag == 322) { (324, 325) } else { (273, 279) };
    let mut entries = vec![
        (of_offsets, 4, strips.len() as u32, place(offsets)),
        (of_lengths, 4, strips.len() as u32, place(lengths)),
    ];
    for (tag, values) in tags {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        entries.push((*tag, 3_u16, values.len() as u32, place(bytes)));
    }
    entries.sort_by_key(|entry| entry.0);
    let mut out = b"II*\0".to_vec();
    out.extend((start as u32).to_le_bytes());
    out.resize(start, 0);
    out.extend((count as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        out.extend(u16::to_le_bytes(tag));
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(value);
    }
    let next = out.len();
    out.extend([0; 4]);
    out.extend(beyond);
    (out, next)
}

/// A TIFF of 4×1 pixels.
pub(super) fn row(bits: &[u16], photometric: u16, more: &[(u16, &[u16])], data: &[u8]) -> Vec<u8> {
    planes(bits, photometric, more, &[data])
}

/// As [`row`], of several strips.
fn planes(bits: &[u16], photometric: u16, more: &[(u16, &[u16])], strips: &[&[u8]]) -> Vec<u8> {
    let samples = [bits.len() as u16];
    let mut tags: Vec<(u16, &[u16])> =
        vec![(256, &[4]), (257, &[1]), (258, bits), (259, &[1]), (277, &samples), (278, &[1])];
    let photometric = [photometric];
    tags.push((262, &photometric));
    tags.retain(|(tag, _)| more.iter().all(|(other, _)| other != tag));
    tags.extend_from_slice(more);
    tiff(&tags, strips)
}

fn levels(bytes: &[u8]) -> Vec<u8> {
    read(bytes).unwrap().image.to_rgb8().into_raw()
}

pub(super) fn greys(bytes: &[u8]) -> Vec<u8> {
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
fn colours_that_are_not_said_are_guessed_and_that_is_said() {
    for (samples, guess) in [(1_u16, "grey"), (3, "red, green and blue")] {
        let (bits, count) = (vec![8; usize::from(samples)], [samples]);
        let tags: &[(u16, &[u16])] = &[(256, &[4]), (257, &[1]), (258, &bits), (259, &[1]), (277, &count), (278, &[1])];
        let photo = read(&tiff(tags, &[&[7; 12]])).unwrap();
        assert_eq!(photo.notes, [format!("it does not say what its colours are: taken for {guess}")]);
        assert_eq!(photo.image.to_rgb8().into_raw(), [7; 12]);
    }
}

#[test]
fn tiff_planes_and_packets() {
    let rows = [1, 2, 3, 4, 50, 60, 70, 80, 9, 9, 9, 9];
    let tags: &[(u16, &[u16])] = &[(284, &[2])];
    // Three strips of one row each.
    let mut bytes = row(&[8; 3], 2, tags, &rows);
    assert!(refusal(&bytes).contains("strips or tiles of it are missing"));
    bytes = row(&[8; 3], 2, &[], &[1, 50, 9, 2, 60, 9, 3, 70, 9, 4, 80, 9]);
    assert_eq!(levels(&bytes), [1, 50, 9, 2, 60, 9, 3, 70, 9, 4, 80, 9]);
    let tags: &[(u16, &[u16])] = &[(284, &[2])];
    assert_eq!(
        levels(&planes(&[8; 3], 2, tags, &[&[1, 2, 3, 4], &[50, 60, 70, 80], &[9; 4]])),
        [1, 50, 9, 2, 60, 9, 3, 70, 9, 4, 80, 9]
    );
    assert_eq!(
        levels(&planes(&[4; 3], 2, tags, &[&[0x01, 0x23], &[0x45, 0x67], &[0x89, 0xAF]])),
        [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 15].map(|level| 17 * level)
    );
    let twelve: [&[u8]; 3] = [&[0x00, 0x0F, 0xFF, 0x80, 0x04, 0x00], &[0xFF; 6], &[0; 6]];
    let photo = read(&planes(&[12; 3], 2, tags, &twelve)).unwrap();
    assert_eq!(
        photo.image.as_rgb16().unwrap().as_raw(),
        &[0, 65_535, 0, 65_535, 65_535, 0, 32_775, 65_535, 0, 16_387, 65_535, 0]
    );
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
        (row(&[12], 1, &[(259, &[5]), (317, &[2])], &[0; 6]), "samples of 12 bits as differences"),
        (row(&[8; 3], 6, &[(259, &[5]), (317, &[2])], &[0; 6]), "chroma (YCbCr) as differences"),
        (row(&[8; 3], 6, &[(284, &[2])], &[0; 6]), "chroma (YCbCr) in planes"),
    ] {
        let message = refusal(&bytes);
        assert!(message.contains(named) && !message.contains("broken"), "{message}");
    }
    let whole = row(&[8], 1, &[], &[0; 4]); // with five bytes more
    assert!(refusal(&whole[..whole.len() - 7]).contains("truncated"));
    assert!(refusal(b"II*\0").contains("truncated"));
}

#[test]
fn samples_that_are_left_out_are_said_and_alpha_is_found_wherever_it_stands() {
    let photo = read(&row(&[8; 3], 1, &[], &[1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0])).unwrap();
    assert_eq!(photo.image.to_luma8().into_raw(), [1, 2, 3, 4]);
    assert_eq!(photo.notes, ["2 more samples of each pixel are left out"]);

    let pixels: Vec<u8> = (0..4).flat_map(|x| [10 * x, 20, 30, 77, 128 + x]).collect();
    let photo = read(&row(&[8; 5], 2, &[(338, &[0, 2])], &pixels)).unwrap();
    assert_eq!(photo.image.to_rgba8().into_raw()[..8], [0, 20, 30, 128, 10, 20, 30, 129]);
    assert_eq!(photo.notes, ["one more sample of each pixel is left out"]);

    // Nothing is said of a fourth: an alpha, unless it is 0 everywhere.
    let rgb = |fourth: [u8; 4]| fourth.into_iter().flat_map(|fourth| [7, 8, 9, fourth]).collect::<Vec<_>>();
    let photo = read(&row(&[8; 4], 2, &[], &rgb([0; 4]))).unwrap();
    assert_eq!(photo.image.as_rgb8().unwrap().as_raw()[..3], [7, 8, 9]);
    assert_eq!(photo.notes, ["its alpha is 0 everywhere: taken as none"]);
    let photo = read(&row(&[8; 4], 2, &[], &rgb([0, 5, 0, 0]))).unwrap();
    assert!(photo.image.color().has_alpha());
    assert_eq!(photo.notes, ["its fourth sample is taken for its alpha: nothing says what it is"]);
}

#[test]
fn old_lzw_and_a_predictor_without_it() {
    let levels = [9, 9, 200, 1];
    let old = Encoder::new(BitOrder::Lsb, 8).encode(&levels).unwrap();
    assert_eq!(greys(&row(&[8], 1, &[(259, &[5])], &old)), levels);
    assert_eq!(greys(&row(&[8], 1, &[(259, &[5]), (317, &[2])], &old)), [9, 18, 218, 219]);
    let new = Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(&levels).unwrap();
    assert_eq!(greys(&row(&[8], 1, &[(259, &[5])], &new)), levels);
    assert_eq!(greys(&row(&[8], 1, &[(317, &[2])], &levels)), levels, "nothing is packed");
}

fn old_lzw(bytes: &[u8]) -> Vec<u8> {
    Encoder::new(BitOrder::Lsb, 8).encode(bytes).unwrap()
}

#[test]
fn old_lzw_that_is_cut_off_is_an_error() {
    let levels: Vec<u8> = (0..64).map(|x| x * x).collect();
    let packed = old_lzw(&levels);
    let tags: &[(u16, &[u16])] = &[(259, &[5]), (256, &[64])];
    assert_eq!(greys(&row(&[8], 1, tags, &packed)), levels);
    for part in [&packed[..packed.len() / 3], &old_lzw(&levels[..63])] {
        let message = refusal(&row(&[8], 1, tags, part));
        assert!(message.contains("truncated TIFF: the end of the picture is missing"), "{message}");
    }
    // The last strip has but the rows that are left.
    let strips = [&levels[..8], &levels[8..12]].map(old_lzw);
    let tags: &[(u16, &[u16])] = &[(259, &[5]), (257, &[3]), (278, &[2])];
    assert_eq!(greys(&planes(&[8], 1, tags, &[&strips[0], &strips[1]])), levels[..12]);
    // One packet for the whole row, with luma of rows that there are not.
    let packet = [&[255, 0, 128, 64][..], &[7; 12], &[128, 128]].concat();
    let tags: &[(u16, &[u16])] = &[(259, &[5]), (530, &[4, 4])];
    assert_eq!(levels_of_grey(&row(&[8; 3], 6, tags, &old_lzw(&packet))), [255, 0, 128, 64]);
}

/// The levels of a coloured picture that is grey.
fn levels_of_grey(bytes: &[u8]) -> Vec<u8> {
    levels(bytes).as_chunks::<3>().0.iter().map(|[red, green, blue]| if red == green { *blue } else { 99 }).collect()
}

#[test]
fn tiles_far_beyond_the_picture_are_counted() {
    let packed = old_lzw(&[9; 16]);
    let tiff = |width: u16| {
        let (wide, tiles) = ([width], vec![&packed[..]; usize::from(width / 16)]);
        planes(&[8], 1, &[(259, &[5]), (256, &wide), (322, &[16]), (323, &[65_535])], &tiles)
    };
    let bytes = tiff(64);
    let needs = Encoded::new(Path::new("x"), &bytes, &Limits::default()).unwrap().needs();
    assert!(needs > 4 * 16 * 65_535, "{needs}");
    assert_eq!(greys(&bytes), [9; 64]);
    let message = refusal(&tiff(48_000));
    assert!(message.contains("in 3000 strips or tiles of 16x65535, more than a file of"), "{message}");
}

#[test]
fn a_jpeg_smaller_than_its_strip_is_damage() {
    let tags: &[(u16, &[u16])] =
        &[(256, &[96]), (257, &[96]), (258, &[8; 3]), (259, &[7]), (262, &[6]), (277, &[3]), (278, &[96])];
    let whole = read(&tiff(tags, &[&jpeg(&pattern().into())])).unwrap();
    assert_eq!(whole.damage, None);
    for (width, height) in [(96, 48), (48, 96)] {
        let part = DynamicImage::from(pattern()).crop_imm(0, 0, width, height);
        let photo = read(&tiff(tags, &[&jpeg(&part)])).unwrap();
        let damage = format!("a JPEG in it has {width}x{height} pixels, in place of 96x96");
        assert_eq!(photo.damage, Some(damage));
        assert!(alike(&photo.image.to_rgb8(), &whole.image.to_rgb8(), (40, 8)));
    }
    // The last strip has but the rows that are left.
    let part = DynamicImage::from(pattern()).crop_imm(0, 0, 96, 32);
    let mut tags = tags.to_vec();
    tags[6] = (278, &[64]);
    assert_eq!(read(&tiff(&tags, &[&jpeg(&part.resize_exact(96, 64, Nearest)), &jpeg(&part)])).unwrap().damage, None);
}

#[test]
fn raw_pictures_of_cameras_are_named_and_not_drawn_as_their_previews() {
    let preview = jpeg(&pattern().into());
    let tags: &[(u16, &[u16])] = &[(256, &[96]), (257, &[96]), (259, &[6])];
    let (mut canon, _) = file(tags, &[&preview], 16);
    canon[8..12].copy_from_slice(b"CR\x02\0");
    let sony = tiff(&[tags, &[(254, &[1]), (330, &[9])]].concat(), &[&preview]);
    for bytes in [canon, sony] {
        assert!(refusal(&bytes).contains("a raw picture of a camera"), "{}", refusal(&bytes));
    }
    assert_eq!(read(&tiff(tags, &[&preview])).unwrap().size(), ImageSize::new(96, 96), "no raw picture");
}

#[test]
fn the_picture_behind_its_thumbnail_is_shown() {
    let tags = |kind, width| {
        [(254, kind), (256, width), (257, 1), (258, 8), (259, 1), (262, 1), (278, 1)].map(|(tag, value)| (tag, [value]))
    };
    let written = |kind, width, start| {
        let tags = tags(kind, width);
        let tags: Vec<(u16, &[u16])> = tags.iter().map(|(tag, values)| (*tag, &values[..])).collect();
        file(&tags, &[&[50, 60, 70, 80]], start)
    };
    let both = |second: u16| {
        let (mut bytes, next) = written(1, 1, 8);
        let at = bytes.len();
        let (more, _) = written(second, 4, at);
        bytes[next..next + 4].copy_from_slice(&(at as u32).to_le_bytes());
        bytes.extend(&more[at..]);
        bytes
    };
    assert_eq!(greys(&both(0)), [50, 60, 70, 80]);
    assert_eq!(greys(&both(1)), [50], "all are small ones");
}

#[test]
fn a_tiff_of_jpegs_without_data_is_an_error() {
    let whole = jpeg(&pattern().into());
    let scan = whole.windows(2).rposition(|marker| marker == [0xFF, 0xDA]).unwrap();
    let tiff = |jpeg: &[u8]| {
        let bits = [8; 3];
        let tags: &[(u16, &[u16])] =
            &[(256, &[96]), (257, &[96]), (258, &bits), (259, &[7]), (262, &[6]), (277, &[3]), (278, &[96])];
        tiff(tags, &[jpeg])
    };
    assert_eq!(read(&tiff(&whole)).unwrap().damage, None);
    assert!(read(&tiff(&whole[..scan + 600])).unwrap().damage.is_some());
    assert!(refusal(&tiff(&whole[..scan + 14])).contains("nothing of the picture can be read"));
}
