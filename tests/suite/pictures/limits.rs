//! What headers declare, before anything is decoded.

use std::path::Path;

use cbam::photo::{Encoded, ImageSize, Limits, decode};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

use super::{encoded, file, jpeg, pattern, read, refusal};

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

/// What decoding takes beside the file.
fn needs(bytes: &[u8]) -> u64 {
    Encoded::new(Path::new("x"), bytes, &Limits::default()).unwrap().needs() - bytes.len() as u64
}

#[test]
fn a_gif_whose_picture_is_larger_than_its_screen() {
    let picture = |left: u16, side: u16| {
        let mut bytes = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,".to_vec();
        bytes.extend([left, 0, side, side].map(u16::to_le_bytes).as_flattened());
        bytes.extend(b"\0\x02\x02\x4c\x01\0;");
        refusal(&bytes)
    };
    assert!(
        picture(0, 65_535).contains("65535x65535 pixels: 4294836225 pixels are over the limit"),
        "{}",
        picture(0, 65_535)
    );
    assert!(picture(1, 65_535).contains("broken GIF: its first picture goes beyond"), "{}", picture(1, 65_535));

    let image = RgbaImage::from_fn(6, 4, |x, y| Rgba([(x * 40) as u8, (y * 60) as u8, 9, 255]));
    let mut bytes = encoded(&DynamicImage::from(image.clone()), ImageFormat::Gif);
    bytes[6..10].copy_from_slice(&[2, 0, 1, 0]);
    let photo = read(&bytes).unwrap();
    assert_eq!(
        (photo.size(), photo.image.to_rgba8()),
        (ImageSize::new(6, 4), image),
        "the screen is widened, as Pillow does"
    );
}

#[test]
fn a_webp_whose_picture_is_larger_than_its_canvas() {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        [&kind[..], &(data.len() as u32).to_le_bytes(), data, if data.len() % 2 == 1 { &[0] } else { &[] }].concat()
    };
    let lossy = [&[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f][..], &[0; 40]].concat();
    let webp = |flags: u8, chunks: &[Vec<u8>]| {
        let canvas = [flags, 0, 0, 0, 0, 0, 0, 0, 0, 0]; // 1×1
        let body = [b"WEBP".to_vec(), chunk(b"VP8X", &canvas), chunks.concat()].concat();
        chunk(b"RIFF", &body)
    };
    let frame =
        |chunks: &[Vec<u8>]| vec![chunk(b"ANIM", &[0; 6]), chunk(b"ANMF", &[vec![0; 16], chunks.concat()].concat())];
    for bytes in [
        webp(0, &[chunk(b"VP8 ", &lossy)]),
        webp(2, &frame(&[chunk(b"VP8 ", &lossy)])),
        webp(2, &frame(&[chunk(b"ALPH", &[0; 4]), chunk(b"any ", &lossy)])),
    ] {
        assert_eq!(refusal(&bytes), "broken WebP: a picture in it is larger than 1x1 pixels, which it declares");
    }
}

#[test]
fn headers_that_declare_more_than_their_file_can_hold() {
    let mut farbfeld = b"farbfeld".to_vec();
    farbfeld.extend([10_000_u32, 10_000].map(u32::to_be_bytes).as_flattened());
    let mut bmp = encoded(&DynamicImage::new_rgb8(4, 4), ImageFormat::Bmp);
    bmp[18..26].copy_from_slice([10_000_u32, 10_000].map(u32::to_le_bytes).as_flattened());
    let mut tga = encoded(&DynamicImage::new_rgb8(4, 4), ImageFormat::Tga);
    tga[12..16].copy_from_slice([10_000_u16, 10_000].map(u16::to_le_bytes).as_flattened());
    tga.extend(b"\0\0\0\0\0\0\0\0TRUEVISION-XFILE.\0");
    let mut qoi = encoded(&DynamicImage::new_rgb8(4, 4), ImageFormat::Qoi);
    qoi[4..12].copy_from_slice([10_000_u32, 10_000].map(u32::to_be_bytes).as_flattened());
    for bytes in [farbfeld, b"P6 10000 10000 255\n".to_vec(), bmp, tga, qoi] {
        let message = refusal(&bytes);
        assert!(message.contains("declares 10000x10000 pixels, more than a file of"), "{message}");
    }
}

/// A JPEG with a segment in front.
fn with_segment(bytes: &[u8], marker: u8, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16 + 2).to_be_bytes();
    [&bytes[..2], &[0xFF, marker], &length, data, &bytes[2..]].concat()
}

#[test]
fn a_second_picture_is_counted_where_there_is_one() {
    let (plain, pixels) = (jpeg(&pattern().into()), 3 * 96 * 96);
    assert_eq!(needs(&plain), pixels);
    let turned = |to: u8| {
        let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        with_segment(&plain, 0xE1, &exif.map(|byte| if byte == 6 { to } else { byte }))
    };
    assert_eq!([3, 6].map(|to| needs(&turned(to))), [pixels, 2 * pixels]);
    assert_eq!(needs(&with_segment(&plain, 0xE2, b"ICC_PROFILE\0\x01\x01a profile")), 2 * pixels);
    let clear = |image: DynamicImage, format| needs(&encoded(&image, format));
    assert!(clear(DynamicImage::new_rgb16(2000, 1000), ImageFormat::Png) < (12 << 20) + (2 << 20));
    assert!(clear(DynamicImage::new_rgba8(2000, 1000), ImageFormat::Png) >= 16_000_000);
    assert!(clear(DynamicImage::new_rgba8(2000, 1000), ImageFormat::Tiff) >= 16_000_000);
}
