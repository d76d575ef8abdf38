//! Every kind of pixels, as the library has compiled them: a test within it would compile them all once more.

use cbam_resample::{eight, sixteen};

#[test]
fn grounds_stay_as_they_are_in_every_kind_of_pixels() {
    for channels in 1..=4 {
        let samples = |size: [u32; 2]| {
            (0..size[0] * size[1] * u32::from(channels)).map(|at| 40 + (at % u32::from(channels)) as u8 * 60)
        };
        let (old, new): (Vec<_>, Vec<_>) = (samples([5, 4]).collect(), samples([7, 9]).collect());
        assert_eq!(eight(&old, [5, 4], [7, 9], channels, false).unwrap(), new);
        let wide = |samples: &[u8]| samples.iter().map(|sample| u16::from(*sample) * 257).collect::<Vec<_>>();
        assert_eq!(sixteen(&wide(&old), [5, 4], [7, 9], channels, false).unwrap(), wide(&new));
    }
}

#[test]
fn what_is_transparent_lends_no_colour_where_alpha_counts() {
    let pixels = [255, 0, 0, 255, 0, 0, 255, 0];
    let middle = |alpha| eight(&pixels, [2, 1], [1, 1], 4, alpha).unwrap();
    assert_eq!((middle(true)[2], middle(false)[2]), (0, 128));
}

#[test]
fn too_few_samples_and_odd_pixels_are_refused() {
    assert!(eight(&[0; 5], [3, 2], [2, 2], 1, false).is_err());
    assert!(sixteen(&[0; 30], [3, 2], [2, 2], 5, false).is_err());
}
