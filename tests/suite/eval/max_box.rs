//! `MaxBoxAcc`: known answers, and `SciPy`'s labelling.

use cbam::eval::{BoundingBox, MaxBoxAcc, THRESHOLDS, box_iou, drawn_box};
use ndarray::{Array2, s};
use proptest::prelude::*;
use serde_json::Value;

use super::numbers;

const TRUTH: BoundingBox = BoundingBox { x0: 1.0, y0: 2.0, x1: 4.0, y1: 5.0 };

/// Ones in rows and columns of 8 rows and 6 columns, zeros around.
fn block(top: usize, left: usize) -> Array2<f32> {
    let mut map = Array2::zeros((8, 6));
    map.slice_mut(s![top..top + 3, left..left + 3]).fill(1.0);
    map
}

#[test]
fn a_perfect_map_draws_the_box_itself() {
    assert_eq!(box_iou(block(2, 1).view(), &[TRUTH]).unwrap(), [1.0; THRESHOLDS]);
    assert_eq!(drawn_box(block(2, 1).view(), 0.5), Some(TRUTH));
}

#[test]
fn an_inverted_map_draws_the_whole_picture() {
    let inverted = block(2, 1).mapv(|value| 1.0 - value);
    assert_eq!(box_iou(inverted.view(), &[TRUTH]).unwrap(), [9.0 / 48.0; THRESHOLDS], "what is around is connected");
}

#[test]
fn a_uniform_map_draws_none() {
    assert_eq!(box_iou(Array2::from_elem((8, 6), 0.4).view(), &[TRUTH]).unwrap(), [0.0; THRESHOLDS]);
    assert_eq!(drawn_box(Array2::from_elem((8, 6), 0.4).view(), 0.5), None);
}

#[test]
fn a_box_that_is_one_row_off_overlaps_by_half() {
    assert_eq!(box_iou(block(3, 1).view(), &[TRUTH]).unwrap(), [6.0 / 12.0; THRESHOLDS]);
}

#[test]
fn the_largest_part_counts_and_corners_connect() {
    let mut map = Array2::<f32>::zeros((8, 6));
    map[[0, 5]] = 1.0;
    for (y, x) in [(3, 0), (4, 1), (5, 2)] {
        map[[y, x]] = 0.5;
    }
    let low = drawn_box(map.view(), 0.4).unwrap();
    assert_eq!(low, BoundingBox { x0: 0.0, y0: 3.0, x1: 3.0, y1: 6.0 });
    let high = drawn_box(map.view(), 0.6).unwrap();
    assert_eq!(high, BoundingBox { x0: 5.0, y0: 0.0, x1: 6.0, y1: 1.0 });
    let best = box_iou(map.view(), &[TRUTH, high]).unwrap();
    assert_eq!(best[40], 1.0, "the best of the boxes of the truth");
}

#[test]
fn boxes_and_shares_are_those_of_scipy() {
    let golden: Value = serde_json::from_str(include_str!("../../golden/max_box/golden.json")).unwrap();
    let mut accuracy = MaxBoxAcc::default();
    for case in golden["cases"].as_array().unwrap() {
        let [height, width] = numbers(&case["shape"])[..] else { panic!("shape") };
        let values = numbers(&case["map"]).iter().map(|value| *value as f32).collect();
        let map = Array2::from_shape_vec((height as usize, width as usize), values).unwrap();
        let boxes = case["boxes"].as_array().unwrap().iter().map(numbers);
        let boxes: Vec<_> = boxes.map(|b| BoundingBox { x0: b[0], y0: b[1], x1: b[2], y1: b[3] }).collect();
        let got = box_iou(map.view(), &boxes).unwrap();
        for (k, (got, expected)) in got.iter().zip(numbers(&case["iou"])).enumerate() {
            assert!((got - expected).abs() < 1e-8, "threshold {k}: {got}, SciPy {expected}");
        }
        accuracy.add(&got);
    }
    for figure in accuracy.summary() {
        let expected = numbers(&golden["summary"][figure.iou.to_string()]);
        assert_eq!((figure.share.value, figure.threshold, figure.n), (expected[0], expected[1], 12));
    }
}

proptest! {
    #[test]
    fn a_box_right_at_a_high_iou_is_right_at_a_low_one(values in prop::collection::vec(0_u8..5, 48)) {
        let map = Array2::from_shape_vec((8, 6), values).unwrap().mapv(f32::from);
        let ious = box_iou(map.view(), &[TRUTH]).unwrap();
        prop_assert!(ious.iter().all(|iou| (0.0..=1.0).contains(iou)));
        let mut accuracy = MaxBoxAcc::default();
        accuracy.add(&ious);
        let [low, middle, high] = accuracy.summary().map(|figure| figure.share.value);
        prop_assert!(low >= middle && middle >= high);
        // The growing parts agree with each threshold taken alone.
        for (k, t) in cbam::eval::thresholds().into_iter().enumerate() {
            let alone = drawn_box(map.view(), t).map_or(0.0, |drawn| drawn.iou(&TRUTH));
            prop_assert_eq!(alone, ious[k]);
        }
    }
}
