//! JPEGs: damaged ones, odd markers, kinds that are not read.

use std::path::Path;

use cbam::photo::{Encoded, Limits};

use super::{alike, jpeg, pattern, read, refusal};

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
    for (message, named) in [
        (with(1, 0xC3), "lossless JPEG is not read here"),
        (with(1, 0xC5), "hierarchical"),
        (with(4, 12), "12 bits"),
        (with(1, 0xF7), "JPEG-LS is not read here"),
        (with(1, 0xDE), "hierarchical"),
    ] {
        assert!(message.contains(named) && !message.contains("broken"), "{message}");
    }
    let mut arithmetic = whole.clone();
    arithmetic[frame + 1] = 0xC9; // its data are no arithmetic codes, but any data can be read as such
    assert!(read(&arithmetic).unwrap().notes[0].contains("arithmetic coding"));
}

#[test]
fn components_named_r_g_b_are_what_the_markers_say() {
    let whole = jpeg(&pattern().into());
    let mut named = whole.clone();
    let at = |marker: [u8; 2]| whole.windows(2).position(|bytes| bytes == marker).unwrap();
    let (frame, scan) = (at([0xFF, 0xC0]), at([0xFF, 0xDA]));
    for (index, name) in b"RGB".iter().enumerate() {
        named[frame + 10 + 3 * index] = *name;
        named[scan + 5 + 2 * index] = *name;
    }
    let [expected, got] = [whole, named].map(|bytes| read(&bytes).unwrap().image.to_rgb8());
    for place in [(3, 5), (40, 8), (90, 90)] {
        assert!(alike(&got, &expected, place), "{:?} for {:?}", got.get_pixel(3, 5), expected.get_pixel(3, 5));
    }
}

#[test]
fn markers_that_libjpeg_does_not_know_are_no_damage() {
    let mut bytes = jpeg(&pattern().into());
    let jfif = bytes.windows(5).position(|name| name == b"JFIF\0").unwrap();
    bytes[jfif + 5] = 9; // a version to come
    let adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x07"; // no such transform
    let frame = bytes.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    bytes.splice(frame..frame, adobe.iter().copied());
    assert_eq!(read(&bytes).unwrap().damage, None);
}

#[test]
fn colours_that_adobe_does_not_name_are_guessed_and_that_is_said() {
    let whole = jpeg(&pattern().into());
    let jfif = 4 + usize::from(u16::from_be_bytes([whole[4], whole[5]]));
    let adobe = |transform: u8| {
        let segment = [&b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0"[..], &[transform]].concat();
        read(&[&whole[..2], &segment, &whole[jfif..]].concat()).unwrap()
    };
    let photo = adobe(7);
    assert_eq!(photo.notes, ["its colours are taken for YCbCr: Unknown Adobe color transform code 7"]);
    assert_eq!(photo.damage, None);
    assert!(alike(&photo.image.to_rgb8(), &read(&whole).unwrap().image.to_rgb8(), (40, 8)));
    assert!(adobe(1).notes.is_empty());
}

#[test]
fn arithmetic_codes_may_be_few() {
    let mut bytes = jpeg(&pattern().into());
    let frame = bytes.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice([8000_u16, 8000].map(u16::to_be_bytes).as_flattened());
    assert!(refusal(&bytes).contains("can hold no more than"));
    bytes[frame + 1] = 0xC9;
    assert!(Encoded::new(Path::new("x"), &bytes, &Limits::default()).is_ok());
}
