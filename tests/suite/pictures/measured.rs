//! TIFFs of measurements: floating-point numbers, and integers of other kinds than 8 and 16 bits.

use super::tiff::{greys, row};
use super::{read, refusal};

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
fn alpha_is_taken_out_of_light_and_not_of_its_curve() {
    let pixel = |alpha: f32| [0.25, 0.25, 0.25, alpha].map(f32::to_le_bytes).as_flattened().to_vec();
    let tiff = |alpha: f32| row(&[32; 4], 2, &[(339, &[3; 4]), (338, &[1])], &pixel(alpha).repeat(4));
    let photo = read(&tiff(0.5)).unwrap();
    let pixels = photo.image.as_rgba16().unwrap().as_raw();
    assert!(pixels[0].abs_diff(48_192) <= 2 && pixels[3] == 32_768, "{pixels:?}");
    assert!(photo.notes.is_empty(), "{:?}", photo.notes);
    assert!(refusal(&tiff(f32::NAN)).contains("no numbers (NaN)"));

    // -20 of half an alpha is -40, and 60 of a whole one is 60.
    let half = i16::MAX / 2 + 1;
    let pixels = [-20, half, 10, half, 60, i16::MAX, 0, 0].map(i16::to_le_bytes);
    let photo = read(&row(&[16; 2], 1, &[(339, &[2; 2]), (338, &[1])], pixels.as_flattened())).unwrap();
    let levels = photo.image.to_luma8().into_raw();
    assert_eq!(levels, [0, 153, 255, 0]);
    assert!(photo.notes[0].contains("greatest, 60"), "{:?}", photo.notes);
}

#[test]
fn ranges_longer_than_any_number_and_values_that_stand_for_no_data() {
    let doubles = [f64::MIN, 0.0, f64::MAX, f64::MAX].map(f64::to_le_bytes);
    assert_eq!(greys(&row(&[64], 1, &[(339, &[3])], doubles.as_flattened())), [0, 128, 255, 255]);

    let no_data = |text: &str, values: [f32; 4]| {
        let text: Vec<u16> =
            text.as_bytes().chunks(2).map(|two| u16::from_le_bytes([two[0], *two.get(1).unwrap_or(&0)])).collect();
        let mut bytes = row(&[32], 1, &[(339, &[3]), (42_113, &text)], values.map(f32::to_le_bytes).as_flattened());
        // The helper writes SHORT: as ASCII, there are twice as many.
        let tag = bytes.windows(2).position(|tag| tag == 42_113_u16.to_le_bytes()).unwrap();
        bytes[tag + 2] = 2;
        bytes[tag + 4] *= 2;
        read(&bytes).unwrap()
    };
    let photo = no_data("-9999\0", [-9999.0, 10.0, 20.0, 30.0]);
    assert_eq!(photo.image.to_luma8().into_raw(), [0, 0, 128, 255]);
    assert!(
        photo.notes[0].contains("least, 10,") && photo.notes[1].contains("1 of its values are -9999"),
        "{:?}",
        photo.notes
    );
    let photo = no_data("-3.4028234663852886e+38", [f32::MIN, 0.0, 0.5, 1.0]);
    assert_eq!(photo.image.to_luma8().into_raw(), [0, 0, 188, 255], "light");
    let photo = no_data("nan\0", [f32::NAN, 0.0, 0.5, 1.0]);
    assert_eq!(photo.image.to_luma8().into_raw(), [0, 0, 188, 255]);
    assert!(photo.notes[0].contains("NaN, which stands for no data"), "{:?}", photo.notes);
}
