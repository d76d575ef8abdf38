//! Top-1, top-5 and their interval.

use cbam::eval::{Accuracy, Proportion};
use ndarray::arr1;

#[test]
fn ranks_are_counted_and_ties_go_to_the_lower_class() {
    let scores = arr1(&[0.1, 0.9, 0.3, 0.9, 0.2, 0.15, 0.05]);
    // (class, first?, among five?): 1 and 3 tie, 1 comes first; the order is 1, 3, 2, 4, 5, 0, 6
    let cases =
        [(1, true, true), (3, false, true), (2, false, true), (5, false, true), (0, false, false), (6, false, false)];
    for (class, first, fifth) in cases {
        let mut accuracy = Accuracy::default();
        accuracy.add(scores.view(), class).unwrap();
        let summary = accuracy.summary();
        assert_eq!(
            (summary.n, summary.top1.value, summary.top5.value),
            (1, f64::from(first), f64::from(fifth)),
            "{class}"
        );
    }
}

#[test]
fn an_unknown_class_or_a_score_that_is_no_number_is_refused_and_not_counted() {
    let mut accuracy = Accuracy::default();
    assert!(accuracy.add(arr1(&[0.5, 0.5]).view(), 2).unwrap_err().to_string().contains("2 classes"));
    assert!(accuracy.add(arr1(&[0.5, f32::NAN]).view(), 0).is_err());
    assert!(accuracy.add(arr1(&[]).view(), 0).is_err());
    assert_eq!(accuracy.summary().n, 0);
}

/// Successes and trials, and the interval by scipy 1.17's `binomtest(..).proportion_ci(method="wilson")`.
const WILSON: [((u64, u64), f64, f64); 4] = [
    ((380, 500), 0.720_673_202_993_373_8, 0.795_362_139_966_619_1),
    ((0, 10), 0.0, 0.277_532_799_862_889_26),
    ((10, 10), 0.722_467_200_137_110_9, 1.0),
    ((1, 3), 0.061_491_944_720_396_26, 0.792_340_399_197_952_3),
];

#[test]
fn the_interval_is_wilsons() {
    for ((successes, trials), low, high) in WILSON {
        let share = Proportion::new(successes, trials);
        assert!((share.value - successes as f64 / trials as f64).abs() < 1e-12);
        assert!((share.low - low).abs() < 1e-9 && (share.high - high).abs() < 1e-9, "{successes}/{trials}: {share:?}");
    }
    assert_eq!(Proportion::new(0, 0), Proportion { value: 0.0, low: 0.0, high: 1.0 });
}
