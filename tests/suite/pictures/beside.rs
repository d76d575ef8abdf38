//! What stands beside the pixels: orientation and profiles.

use cbam::photo::ImageSize;
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageEncoder, Luma};

use super::{pattern, read};

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
    let text = |key: &str, data: &[u8]| {
        let digits = data.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        format!("Raw profile type {key}\0\nx\n {}\n{digits}\n", data.len()).into_bytes()
    };
    let packet = b"<x tiff:Orientation=\"6\"/>";
    let texts = [
        text("xmp", packet),
        text("APP1", &[&b"http://ns.adobe.com/xap/1.0/\0"[..], packet].concat()),
        text("APP1", exif),
    ];
    let texts = texts.into_iter().map(|text| (b"tEXt", text));
    for (kind, data) in [(b"eXIf", exif.to_vec()), (b"iTXt", xmp), (b"tEXt", raw)].into_iter().chain(texts) {
        let photo = read(&png_with(&[(kind, data)])).unwrap();
        assert_eq!(photo.size(), ImageSize::new(4, 6), "{}", String::from_utf8_lossy(kind));
    }
    assert_eq!(read(&png_with(&[])).unwrap().size(), ImageSize::new(6, 4));
}

#[test]
fn profiles_that_cannot_be_used_are_said_and_bombs_are_not_unpacked() {
    let photo = read(&png_with(&[(b"iCCP", b"x\0\0not packed".to_vec())])).unwrap();
    assert!(photo.notes[0].contains("ICC profile was passed over"), "{:?}", photo.notes);
    let bomb = packed(&vec![0; 64 << 20]);
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

#[test]
fn of_any_number_of_broken_profiles_one_note_is_made_and_none_if_one_can_be_read() {
    let broken = || (b"iCCP", b"x\0\0not packed".to_vec());
    let photo = read(&png_with(&vec![broken(); 1000])).unwrap();
    assert_eq!(photo.notes, ["its ICC profile was passed over: it cannot be unpacked"]);
    let profile = moxcms::ColorProfile::new_gray_with_gamma(2.2).encode().unwrap();
    let photo = read(&png_with(&[broken(), (b"iCCP", [b"x\0\0", &packed(&profile)[..]].concat()), broken()])).unwrap();
    assert!(photo.notes.is_empty(), "{:?}", photo.notes);
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
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
