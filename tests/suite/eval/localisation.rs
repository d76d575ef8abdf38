//! Pointing, energy, IoU and centre: known answers, and numpy's.

use cbam::Result;
use cbam::eval::{
    ClassNames, Estimate, Localisation, LocalisationSummary, PictureScore, Region, Remarks, Truth, thresholds,
};
use cbam::maps::{AttentionMap, MapRange, Resample};
use ndarray::{Array2, s};
use proptest::prelude::*;
use serde_json::Value;

/// Rows 2 to 4 and columns 1 to 3 of 8 rows and 6 columns; the central pixel is row 4, column 3.
fn inside() -> Array2<bool> {
    let mut inside = Array2::from_elem((8, 6), false);
    inside.slice_mut(s![2..5, 1..4]).fill(true);
    inside
}

fn score(map: &Array2<f32>, inside: &Array2<bool>) -> PictureScore {
    PictureScore::new(map.view(), inside).unwrap()
}

fn summary(scores: &[PictureScore]) -> LocalisationSummary {
    let mut localisation = Localisation::default();
    for score in scores {
        localisation.add(score);
    }
    localisation.summary()
}

#[test]
fn a_perfect_map_scores_all() {
    let map = inside().mapv(|inside| if inside { 7.0 } else { 3.0 });
    let PictureScore { pointing, energy, iou, centre } = score(&map, &inside());
    assert!(pointing && centre);
    assert_eq!((energy, iou), (1.0, [1.0; 49]));
}

#[test]
fn an_inverted_map_scores_nothing() {
    let map = inside().mapv(|inside| if inside { 3.0 } else { 7.0 });
    let PictureScore { pointing, energy, iou, centre } = score(&map, &inside());
    assert!(!pointing && centre);
    assert_eq!((energy, iou), (0.0, [0.0; 49]));
}

#[test]
fn a_uniform_map_points_at_the_first_pixel() {
    let map = Array2::from_elem((8, 6), 0.4);
    let PictureScore { pointing, energy, iou, .. } = score(&map, &inside());
    assert!(!pointing);
    assert_eq!((energy, iou), (0.0, [0.0; 49]));
    let mut corner = inside();
    corner[[0, 0]] = true;
    assert!(score(&map, &corner).pointing);
}

#[test]
fn a_map_that_is_one_row_off_keeps_two_rows_of_three() {
    let mut map = Array2::zeros((8, 6));
    map.slice_mut(s![3..6, 1..4]).fill(1.0);
    let PictureScore { pointing, energy, iou, .. } = score(&map, &inside());
    assert!(pointing, "of equal pixels the first in row order counts, and it lies in row 3");
    assert!((energy - 6.0 / 9.0).abs() < 1e-12);
    assert_eq!(iou, [6.0 / 12.0; 49]);
}

#[test]
fn the_threshold_is_the_best_one_for_the_set() {
    let line = |values: [f32; 8]| Array2::from_shape_vec((1, 8), values.to_vec()).unwrap();
    let truth = |count: usize| Array2::from_shape_fn((1, 8), |(_, x)| x < count);
    // Above ½ the first is perfect and the second is ¼; up to 0.4 the first is ½ and the second perfect.
    let scores = [
        score(&line([1.0, 1.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0]), &truth(2)),
        score(&line([1.0, 0.4, 0.4, 0.4, 0.0, 0.0, 0.0, 0.0]), &truth(4)),
    ];
    let summary = summary(&scores);
    assert_eq!(summary.threshold, 0.02);
    assert!((summary.iou.value - 0.75).abs() < 1e-12);
    assert!((summary.iou.standard_error - 0.25).abs() < 1e-12);
    assert_eq!(summary.pointing, Estimate { value: 1.0, standard_error: 0.0 });
    assert_eq!(summary.centre.value, 0.0, "the central pixel of 8 is number 4");
}

#[test]
fn missing_pictures_are_counted_and_nothing_measured_is_zero() {
    let mut localisation = Localisation::default();
    localisation.add_missing();
    let LocalisationSummary { n, missing, pointing, .. } = localisation.summary();
    assert_eq!((n, missing, pointing), (0, 1, Estimate { value: 0.0, standard_error: 0.0 }));
}

#[test]
fn maps_that_cannot_be_scored_are_refused() {
    let inside = inside();
    let refused = |map: Array2<f32>, inside: &Array2<bool>| PictureScore::new(map.view(), inside).is_err();
    assert!(refused(Array2::zeros((6, 8)), &inside));
    assert!(refused(Array2::zeros((0, 6)), &Array2::from_elem((0, 6), true)));
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut map = Array2::zeros((8, 6));
        map[[7, 5]] = value;
        assert!(refused(map, &inside), "{value}");
    }
}

proptest! {
    #[test]
    fn scores_are_shares_and_the_unit_of_a_map_does_not_matter(
        values in prop::collection::vec(0.0_f32..1.0, 48),
        inside in prop::collection::vec(any::<bool>(), 48),
    ) {
        let map = Array2::from_shape_vec((8, 6), values).unwrap();
        let inside = Array2::from_shape_vec((8, 6), inside).unwrap();
        let one = score(&map, &inside);
        prop_assert!((0.0..=1.0).contains(&one.energy));
        prop_assert!(one.iou.iter().all(|iou| (0.0..=1.0).contains(iou)));
        prop_assert_eq!(one, score(&(map * 1024.0), &inside));
    }
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../../golden/eval/golden.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn thresholds_are_numpys_to_the_last_bit() {
    let golden = golden();
    let numpy = golden["thresholds"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().parse().unwrap());
    assert_eq!(thresholds().to_vec(), numpy.collect::<Vec<f64>>());
}

/// Maps and pictures of many sizes, through the table of truth and the resampling, against numpy and Pillow.
#[test]
fn figures_are_those_of_numpy_and_pillow() -> Result<()> {
    let golden = golden();
    let rows = Truth::open(crate::file("tests/golden/eval/truth.tsv"), &ClassNames::unnamed(1000), &[])?.rows;
    let mut scores = Vec::new();
    for (row, map) in rows.iter().zip(golden["maps"].as_array().unwrap()) {
        let values: Vec<Vec<f64>> = map.as_array().unwrap().iter().map(numbers).collect();
        let values = Array2::from_shape_fn((values.len(), values[0].len()), |(y, x)| values[y][x] as f32);
        let size = row.size.unwrap();
        let map = AttentionMap::new(values, MapRange::Positive)?.resample(size, Resample::Bilinear)?;
        let region = row.region(size, &mut Remarks::default())?;
        scores.push((row.small, PictureScore::new(map.values().view(), &region.inside)?));
    }
    for (name, small_only) in [("all", false), ("small", true)] {
        let chosen: Vec<_> =
            scores.iter().filter(|(small, _)| *small || !small_only).map(|(_, score)| score.clone()).collect();
        let LocalisationSummary { n, missing, pointing, energy, iou, threshold, centre } = summary(&chosen);
        let expected = &golden[name];
        assert_eq!((n, missing), (expected["n"].as_u64().unwrap(), 0));
        assert_eq!(threshold, expected["threshold"].as_f64().unwrap());
        for (figure, got) in [("pointing", pointing), ("energy", energy), ("iou", iou), ("centre", centre)] {
            let [value, error] = numbers(&expected[figure])[..] else { panic!("{figure}") };
            assert!((got.value - value).abs() < 1e-6, "{name} {figure}: {got:?}, numpy {value}");
            assert!((got.standard_error - error).abs() < 1e-6, "{name} {figure}: {got:?}, numpy ± {error}");
        }
    }
    Ok(())
}

#[test]
fn what_is_void_counts_as_if_the_picture_did_not_have_it() {
    let map = ndarray::array![[0.5_f32, 0.1, 9.0], [0.2, 0.8, 7.0]];
    let inside = ndarray::array![[true, false, true], [false, true, false]];
    let void = ndarray::array![[false, false, true], [false, false, true]];
    let region = Region { inside: inside.clone(), void: Some(void), boxes: Vec::new() };
    let scored = PictureScore::on(map.view(), &region).unwrap();
    let without =
        PictureScore::new(map.slice(ndarray::s![.., ..2]), &inside.slice(ndarray::s![.., ..2]).to_owned()).unwrap();
    assert_eq!((scored.pointing, scored.energy, scored.iou), (without.pointing, without.energy, without.iou));
    assert_ne!(scored, PictureScore::new(map.view(), &inside).unwrap());
    let all = Region { void: Some(ndarray::Array2::from_elem((2, 3), true)), ..region };
    assert!(PictureScore::on(map.view(), &all).unwrap_err().to_string().contains("void"));
}
