//! Formats, orientation, limits and broken files.

use std::{io::Cursor, path::Path};

use cbam::ErrorKind;
use cbam::photo::{ImageSize, Limits, Photo, decode, open};
use image::{
    DynamicImage, Frame, GrayImage, ImageBuffer, ImageEncoder, ImageFormat, Luma, LumaA, Rgb, Rgb32FImage, RgbImage,
    Rgba, RgbaImage,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder, png::PngEncoder},
};
use proptest::prelude::*;

use super::formula;

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn read(bytes: &[u8]) -> cbam::Result<Photo, ErrorKind> {
    decode(Path::new("some/picture"), bytes, &Limits::default())
}

/// The message of a decoding error, which must name the file.
fn refusal(result: cbam::Result<Photo, ErrorKind>) -> String {
    let message = result.unwrap_err().to_string();
    assert!(message.contains("picture"), "{message}");
    message
}

#[test]
fn lossless_formats_come_back_exactly() {
    use ImageFormat::{Bmp, Gif, Ico, Png, Pnm, Qoi, Tiff, WebP};
    let image = DynamicImage::ImageRgb8(formula(9, 14));
    for format in [Png, Bmp, Tiff, WebP, Pnm, Qoi] {
        let photo = read(&encoded(&image, format)).unwrap();
        assert_eq!(photo.format, Some(format));
        assert_eq!(photo.image.to_rgb8(), image.to_rgb8(), "{format:?}");
        assert_eq!(photo.size(), ImageSize::new(14, 9));
    }
    let with_alpha = DynamicImage::ImageRgba8(RgbaImage::from_fn(6, 5, |x, y| Rgba([x as u8, y as u8, 7, 255])));
    for format in [Ico, Gif] {
        let photo = read(&encoded(&with_alpha, format)).unwrap();
        assert_eq!(photo.image.to_rgba8(), with_alpha.to_rgba8(), "{format:?}");
    }
    let wide =
        DynamicImage::ImageRgba16(ImageBuffer::from_fn(5, 4, |x, y| Rgba([x as u16 * 999, y as u16, 3, 65_000])));
    let photo = read(&encoded(&wide, ImageFormat::Farbfeld)).unwrap();
    assert_eq!(photo.image, wide);
}

#[test]
fn depth_grey_and_alpha_are_kept() {
    let images = [
        DynamicImage::ImageLuma8(GrayImage::from_fn(4, 3, |x, y| Luma([(x * 50 + y) as u8]))),
        DynamicImage::ImageLumaA8(ImageBuffer::from_fn(4, 3, |x, y| LumaA([x as u8, y as u8 * 90]))),
        DynamicImage::ImageRgba8(RgbaImage::from_fn(4, 3, |x, y| Rgba([x as u8, y as u8, 9, x as u8 * 60]))),
        DynamicImage::ImageLuma16(ImageBuffer::from_fn(4, 3, |x, y| Luma([(x * 9_001 + y) as u16]))),
        DynamicImage::ImageLumaA16(ImageBuffer::from_fn(4, 3, |x, y| LumaA([x as u16 * 9_001, y as u16 * 301]))),
        DynamicImage::ImageRgb16(ImageBuffer::from_fn(4, 3, |x, y| Rgb([x as u16 * 9_001, y as u16, 257]))),
        DynamicImage::ImageRgba16(ImageBuffer::from_fn(4, 3, |x, y| Rgba([x as u16 * 9_001, y as u16, 1, 30_000]))),
    ];
    for image in images {
        assert_eq!(read(&encoded(&image, ImageFormat::Png)).unwrap().image, image);
    }
}

#[test]
fn the_content_tells_the_format_and_tga_goes_by_its_name() {
    let image = DynamicImage::ImageRgb8(formula(5, 7));
    let png = encoded(&image, ImageFormat::Png);
    let photo = decode(Path::new("in.jpg"), &png, &Limits::default()).unwrap();
    assert_eq!(photo.format, Some(ImageFormat::Png));

    let tga = encoded(&image, ImageFormat::Tga);
    assert_eq!(decode(Path::new("in.TGA"), &tga, &Limits::default()).unwrap().image.to_rgb8(), image.to_rgb8());
    assert!(refusal(decode(Path::new("picture"), &tga, &Limits::default())).contains("not a picture"));
}

/// Where the stored picture's top left and top right corners belong, for EXIF orientations 1 to 8
/// (TIFF 6.0: which sides the 0th row and the 0th column are), as `[right, bottom]`.
const CORNERS: [([u32; 2], [u32; 2]); 8] = [
    ([0, 0], [1, 0]),
    ([1, 0], [0, 0]),
    ([1, 1], [0, 1]),
    ([0, 1], [1, 1]),
    ([0, 0], [0, 1]),
    ([1, 0], [1, 1]),
    ([1, 1], [1, 0]),
    ([0, 1], [0, 0]),
];

#[test]
fn exif_orientations_turn_the_picture_upright() {
    // 32x16 in blocks: red top left, blue top right, black below.
    let stored = RgbImage::from_fn(32, 16, |x, y| match (x / 16, y / 8) {
        (0, 0) => Rgb([255, 0, 0]),
        (1, 0) => Rgb([0, 0, 255]),
        _ => Rgb([0, 0, 0]),
    });
    for (index, (red, blue)) in CORNERS.into_iter().enumerate() {
        let orientation = index as u8 + 1;
        #[rustfmt::skip]
        let exif = vec![b'I', b'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];
        let (mut jpeg, mut png) = (Vec::new(), Vec::new());
        let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 95);
        encoder.set_exif_metadata(exif.clone()).unwrap();
        encoder.encode_image(&stored).unwrap();
        let mut encoder = PngEncoder::new(&mut png);
        encoder.set_exif_metadata(exif).unwrap();
        encoder.write_image(stored.as_raw(), 32, 16, image::ExtendedColorType::Rgb8).unwrap();
        for bytes in [jpeg, png] {
            let upright = read(&bytes).unwrap().image.to_rgb8();
            let (width, height) = if orientation > 4 { (16, 32) } else { (32, 16) };
            assert_eq!(upright.dimensions(), (width, height), "orientation {orientation}");
            let corner = |[right, bottom]: [u32; 2]| {
                let inset = |end: u32, side: u32| if end == 1 { side - 3 } else { 2 };
                upright.get_pixel(inset(right, width), inset(bottom, height)).0
            };
            assert!(corner(red)[0] > 200 && corner(red)[2] < 50, "orientation {orientation}: {:?}", corner(red));
            assert!(corner(blue)[2] > 200 && corner(blue)[0] < 50, "orientation {orientation}: {:?}", corner(blue));
        }
    }
}

#[test]
fn of_an_animation_the_first_frame_is_read() {
    let mut gif = Vec::new();
    let mut encoder = GifEncoder::new(&mut gif);
    for colour in [[200, 30, 40, 255], [10, 220, 30, 255], [10, 20, 230, 255]] {
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(8, 6, Rgba(colour)))).unwrap();
    }
    drop(encoder);
    assert_eq!(read(&gif).unwrap().image.to_rgb8().get_pixel(3, 3), &Rgb([200, 30, 40]));

    // Two frames of an animated WebP: red, then blue (Pillow 13, lossless).
    let webp = include_bytes!("../../images/animation.webp");
    let photo = read(webp).unwrap();
    assert_eq!((photo.size(), photo.image.to_rgb8().get_pixel(2, 1)), (ImageSize::new(4, 3), &Rgb([255, 0, 0])));
    let apng = include_bytes!("../../images/animation.png");
    let photo = read(apng).unwrap();
    assert_eq!((photo.size(), photo.image.to_rgb8().get_pixel(2, 1)), (ImageSize::new(4, 3), &Rgb([255, 0, 0])));
}

#[test]
fn linear_light_becomes_16_bit_srgb() {
    let linear = Rgb32FImage::from_fn(4, 1, |x, _| {
        Rgb([[0.0, 0.0, 0.0], [0.214_041, 1.0, 0.002], [5.0, -1.0, 0.5], [1.0; 3]][x as usize])
    });
    let image = DynamicImage::ImageRgb32F(linear);
    let photo = read(&encoded(&image, ImageFormat::OpenExr)).unwrap();
    let pixels = photo.image.as_rgb16().expect("16-bit colour");
    // 0.214041 is half of sRGB's range; 0.002 is on its straight part; light over 1 is white
    let expected = [[0, 0, 0], [32_768, 65_535, 1_693], [65_535, 0, 48_192], [65_535; 3]];
    for (pixel, expected) in pixels.pixels().zip(expected) {
        for (got, expected) in pixel.0.into_iter().zip(expected) {
            assert!(got.abs_diff(expected) <= 2, "{pixel:?} {expected}");
        }
    }
}

#[test]
fn truncated_files_are_errors() {
    use ImageFormat::{Bmp, Farbfeld, Gif, Png, Pnm, Qoi, Tiff, WebP};
    let noise =
        RgbImage::from_fn(64, 48, |x, y| Rgb([(x * 31 + y * y * 17) as u8, (x * x + y * 7) as u8, (x ^ y) as u8]));
    for format in [Png, Bmp, Tiff, WebP, Pnm, Qoi, Gif, Farbfeld] {
        let image = DynamicImage::ImageRgb8(noise.clone());
        let image = if format == Farbfeld { DynamicImage::ImageRgba16(image.to_rgba16()) } else { image };
        let image = if format == Gif { DynamicImage::ImageRgba8(image.to_rgba8()) } else { image };
        let whole = encoded(&image, format);
        assert!(read(&whole).is_ok(), "{format:?}");
        for part in [0.3, 0.6, 0.9] {
            let cut = &whole[..(whole.len() as f64 * part) as usize];
            refusal(read(cut));
        }
    }
}

#[test]
fn a_jpeg_without_its_end_is_damaged_even_with_a_whole_thumbnail() {
    let image = DynamicImage::ImageRgb8(formula(40, 60));
    let thumbnail = encoded(&DynamicImage::ImageRgb8(formula(8, 8)), ImageFormat::Jpeg);
    let mut whole = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut whole, 90);
    encoder.set_exif_metadata(thumbnail).unwrap(); // an EXIF segment that holds an end-of-image marker
    encoder.encode_image(&image).unwrap();
    assert_eq!(read(&whole).unwrap().damage, None);

    let mut trailing = whole.clone();
    trailing.extend_from_slice(b"what a camera adds");
    assert_eq!(read(&trailing).unwrap().damage, None);

    for cut in [whole.len() - 2, whole.len() - 30, whole.len() * 9 / 10] {
        assert!(read(&whole[..cut]).unwrap().damage.unwrap().contains("the end is missing"), "cut at {cut}");
    }
    // A download that was padded with zeros has lost its end as well.
    let mut padded = whole.clone();
    let most = padded.len() * 9 / 10;
    padded[most..].fill(0);
    assert!(read(&padded).unwrap().damage.is_some());
}

/// A PNG whose header claims a size, and that ends there.
fn png_that_claims(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encoded(&DynamicImage::ImageRgb8(RgbImage::new(1, 1)), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = bytes[12..29].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    });
    bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

#[test]
fn sizes_over_the_limits_are_refused() {
    let message = refusal(read(&png_that_claims(60_000, 60_000)));
    assert!(message.contains("60000x60000") && message.contains("limit"), "{message}");
    assert!(refusal(read(&png_that_claims(70_000, 2))).contains("side"));

    let small = encoded(&DynamicImage::ImageRgb8(RgbImage::new(30, 20)), ImageFormat::Png);
    let with = |limits| decode(Path::new("picture"), &small, &limits);
    assert!(with(Limits { max_side: 30, max_pixels: 600, max_bytes: 1_800 }).is_ok());
    assert!(refusal(with(Limits { max_side: 29, ..Limits::default() })).contains("29"));
    assert!(refusal(with(Limits { max_pixels: 599, ..Limits::default() })).contains("599"));
    assert!(refusal(with(Limits { max_bytes: 1_799, ..Limits::default() })).contains("limit"));
    assert!(refusal(with(Limits { max_bytes: 10, ..Limits::default() })).contains("the file is over"));
}

#[test]
fn what_is_no_picture_says_so() {
    let text = decode(Path::new("picture.png"), b"Dear diary, this is no picture.", &Limits::default());
    assert!(refusal(text).contains("not a picture"));
    assert!(refusal(read(b"")).contains("empty"));
    assert!(refusal(read(b"\x89PNG\r\n\x1a\n")).contains("PNG"));
    assert!(refusal(read(&[0xFF, 0xD8, 0xFF])).contains("JP"));
}

#[test]
fn files_that_cannot_be_opened_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    let at = |name: &str| folder.path().join(name);

    let missing = open(&at("missing.jpg"), &limits).unwrap_err().to_string();
    assert!(missing.contains("missing.jpg") && missing.contains("No such file"), "{missing}");

    std::fs::write(at("empty.jpg"), b"").unwrap();
    let empty = open(&at("empty.jpg"), &limits).unwrap_err().to_string();
    assert!(empty.contains("empty.jpg") && empty.contains("the file is empty"), "{empty}");

    let directory = open(folder.path(), &limits).unwrap_err().to_string();
    assert!(directory.contains(&folder.path().display().to_string()), "{directory}");

    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("gone.jpg", at("link.jpg")).unwrap();
        let link = open(&at("link.jpg"), &limits).unwrap_err().to_string();
        assert!(link.contains("link.jpg") && link.contains("a link to gone.jpg, which does not exist"), "{link}");
    }

    std::fs::write(at("whole.bin"), encoded(&DynamicImage::ImageRgb8(formula(3, 4)), ImageFormat::Png)).unwrap();
    assert_eq!(open(&at("whole.bin"), &limits).unwrap().size(), ImageSize::new(4, 3));
}

#[test]
fn the_bundled_photos_are_read() {
    let sizes = [("coffee", 600, 400), ("chelsea", 451, 300), ("rocket", 640, 427), ("astronaut", 512, 512)];
    for (name, width, height) in sizes {
        let path = crate::file(format!("assets/images/{name}.jpg"));
        assert_eq!(open(Path::new(&path), &Limits::default()).unwrap().size(), ImageSize::new(width, height));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(
        signature in prop::sample::select(vec![
            &b"\x89PNG\r\n\x1a\n"[..], b"\xFF\xD8\xFF", b"GIF89a", b"BM", b"II*\0", b"qoif", b"P6 ", b"farbfeld", b"",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [signature, &rest].concat();
        let _ = decode(Path::new("picture.tga"), &bytes, &Limits { max_pixels: 1 << 20, max_bytes: 1 << 24, ..Limits::default() });
    }
}
