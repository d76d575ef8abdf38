//! Calibration, paired differences and baselines.

use cbam::eval::{BINS, Calibration, Difference, PictureScore, centre_gaussian, centre_point};
use cbam::photo::ImageSize;
use ndarray::Array2;
use proptest::prelude::*;

#[test]
fn calibration_by_hand() {
    let mut calibration = Calibration::default();
    // Two pictures in the bin (12/15, 13/15], one of them right; one in (5/15, 6/15], right.
    calibration.add(0.82, true, 0.82);
    calibration.add(0.86, false, 0.1);
    calibration.add(0.4, true, 0.4);
    let summary = calibration.summary();
    assert_eq!((summary.n, summary.bins.len()), (3, BINS));
    assert_eq!((summary.bins[12].n, summary.bins[12].right, summary.bins[5].n), (2, 1, 1));
    let expected = (2.0 * (0.84_f64 - 0.5).abs() + (0.4_f64 - 1.0).abs()) / 3.0;
    assert!((summary.ece - expected).abs() < 1e-12, "{}", summary.ece);
    let nll = -(0.82_f64.ln() + 0.1_f64.ln() + 0.4_f64.ln()) / 3.0;
    assert!((summary.nll - nll).abs() < 1e-12);
    assert!((summary.overconfidence - (2.0 * 0.34 - 0.6) / 3.0).abs() < 1e-12);
    assert_eq!(Calibration::default().summary().ece, 0.0);
}

#[test]
fn a_confidence_on_the_edge_of_a_bin_belongs_below() {
    let mut calibration = Calibration::default();
    for confidence in [0.0, 1.0 / 15.0, 1.0] {
        calibration.add(confidence, true, 1.0);
    }
    let bins = calibration.summary().bins;
    assert_eq!((bins[0].n, bins[14].n), (2, 1));
}

#[test]
fn a_paired_difference_by_hand() {
    let same = Difference::paired(&[0.5, 0.7], &[0.25, 0.45], 1000, 1).unwrap();
    assert!((same.mean - 0.25).abs() < 1e-12 && (same.low - 0.25).abs() < 1e-12 && (same.high - 0.25).abs() < 1e-12);
    assert!(same.is_clear());
    // 100 differences of ±1 with mean 0.2: the standard error is about 0.098.
    let a: Vec<f64> = (0..100).map(|i| if i < 60 { 1.0 } else { 0.0 }).collect();
    let b: Vec<f64> = a.iter().map(|a| 1.0 - a).collect();
    let found = Difference::paired(&a, &b, 10_000, 7).unwrap();
    assert!((found.mean - 0.2).abs() < 1e-12);
    assert!((found.low - 0.0).abs() < 0.03 && (found.high - 0.4).abs() < 0.03, "{found:?}");
    assert_eq!(found, Difference::paired(&a, &b, 10_000, 7).unwrap(), "seeded");
    for (a, b, resamples) in [(&a[..2], &b[..3], 10), (&[], &[], 10), (&a[..], &b[..], 0), (&[f64::NAN], &[0.0], 9)] {
        assert!(Difference::paired(a, b, resamples, 0).is_err());
    }
}

#[test]
fn baselines_peak_at_the_centre() {
    let size = ImageSize::new(10, 7);
    let mut inside = Array2::from_elem((7, 10), false);
    inside[[3, 5]] = true;
    for map in [centre_point(size), centre_gaussian(size)] {
        assert_eq!((map.dim(), map[[3, 5]]), ((7, 10), 1.0));
        let score = PictureScore::new(map.view(), &inside).unwrap();
        assert!(score.pointing && score.centre);
    }
    assert_eq!(centre_point(size).sum(), 1.0);
    let gaussian = centre_gaussian(ImageSize::new(400, 200));
    assert!((gaussian[[100, 300]] - (-0.5_f32).exp()).abs() < 1e-6, "one deviation is a quarter of the width");
    assert!((gaussian[[150, 200]] - (-0.5_f32).exp()).abs() < 1e-6, "and a quarter of the height");
}

proptest! {
    #[test]
    fn the_interval_holds_the_mean_and_turns_with_the_sign(
        values in prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 1..40), seed in any::<u64>(),
    ) {
        let (a, b): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
        let found = Difference::paired(&a, &b, 2000, seed).unwrap();
        prop_assert!(found.low <= found.mean + 1e-9 && found.mean <= found.high + 1e-9, "{:?}", found);
        let turned = Difference::paired(&b, &a, 2000, seed).unwrap();
        prop_assert!((found.mean + turned.mean).abs() < 1e-9);
        prop_assert!((-1.0..=1.0).contains(&found.low) && (-1.0..=1.0).contains(&found.high));
    }

    #[test]
    fn calibration_errors_are_shares(pictures in prop::collection::vec((0.0_f64..1.0, any::<bool>()), 1..60)) {
        let mut calibration = Calibration::default();
        for (confidence, right) in pictures {
            calibration.add(confidence, right, confidence);
        }
        let summary = calibration.summary();
        prop_assert!((0.0..=1.0).contains(&summary.ece) && summary.nll >= 0.0);
        prop_assert!(summary.overconfidence.abs() <= summary.ece + 1e-12);
    }
}
