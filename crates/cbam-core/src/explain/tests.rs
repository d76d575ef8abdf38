//! Known answers: networks that look at one place of the picture and nowhere else.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView3, ArrayView4, Axis, s};

use super::variants::Subject;
use super::{ExplainOptions, Features, Method, Slope, explain, occlusion, rise};
use crate::{Error, Result};

const SIDES: [usize; 2] = [64, 96];
/// Rows, columns.
const PATCH: [Range<usize>; 2] = [16..32, 48..80];

/// Two classes; the second one's score is how bright the patch is. Nothing else matters.
struct SeesThePatch;

impl Features for SeesThePatch {
    fn numbers(&self) -> usize {
        2
    }

    fn logits(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        let mut logits = Array2::zeros((pixels.len_of(Axis(0)), 2));
        for (picture, mut logits) in pixels.outer_iter().zip(logits.outer_iter_mut()) {
            logits[1] = 3.0 * picture.slice(s![.., PATCH[0].clone(), PATCH[1].clone()]).mean().unwrap();
        }
        Ok(logits)
    }

    fn places(&self) -> Vec<String> {
        vec!["pixels".to_owned()]
    }

    fn features(&self, _: &str, pixels: ArrayView3<'_, f32>) -> Result<Array3<f32>> {
        Ok(pixels.to_owned())
    }
}

fn with_subject<T>(options: &ExplainOptions, class: usize, work: impl FnOnce(&Subject<'_>) -> T) -> T {
    let pixels = Array3::ones((3, SIDES[0], SIDES[1]));
    work(&Subject::new(&SeesThePatch, pixels.view(), class, options))
}

fn inside(row: usize, column: usize) -> bool {
    PATCH[0].contains(&row) && PATCH[1].contains(&column)
}

fn peak(map: &Array2<f32>) -> (usize, usize) {
    map.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0
}

#[test]
fn occlusion_finds_the_only_place_that_matters() {
    let options = ExplainOptions::default().with_window(16).with_stride(16).with_batch(5);
    let mut steps = Vec::new();
    let map = with_subject(&options, 1, |subject| {
        occlusion::map(subject, &mut |done, total| {
            steps.push((done, total));
            true
        })
    });
    let map = map.unwrap();
    assert_eq!(map.dim(), (4, 6)); // cells of 16 pixels
    let probability = |score: f32| score.exp() / (1.0 + score.exp());
    // Each of two squares hides half of the patch.
    let loss = probability(3.0) - probability(1.5);
    for ((row, column), value) in map.indexed_iter() {
        let expected = if inside(row * 16, column * 16) { loss } else { 0.0 };
        assert!((value - expected).abs() < 1e-6, "{row}, {column}: {value}");
    }
    assert_eq!(steps, [(0, 24), (5, 24), (10, 24), (15, 24), (20, 24), (24, 24)]);

    // What hiding the patch adds to the other class speaks against it, and counts as 0.
    let other = with_subject(&options, 0, |subject| occlusion::map(subject, &mut |_, _| true)).unwrap();
    assert!(other.iter().all(|value| *value == 0.0));
}

#[test]
fn squares_that_overlap_are_averaged_and_reach_the_edge() {
    for (window, stride, grid) in
        [(32, 16, (4, 6)), (24, 8, (8, 12)), (20, 12, (16, 24)), (7, 5, (64, 96)), (200, 50, (32, 48))]
    {
        let options = ExplainOptions::default().with_window(window).with_stride(stride);
        let map = with_subject(&options, 1, |subject| occlusion::map(subject, &mut |_, _| true)).unwrap();
        assert_eq!(map.dim(), grid, "{window}, {stride}");
        let cell = 64 / grid.0;
        assert!(map.iter().all(|value| value.is_finite()));
        assert!(map.iter().any(|value| *value > 0.0));
        if window < 64 {
            let (row, column) = peak(&map);
            assert!(inside(row * cell, column * cell), "{window}, {stride}: {row}, {column}");
            assert_eq!(map[[grid.0 - 1, 0]], 0.0); // no square reaches from that corner to the patch
        }
    }
}

#[test]
fn rise_finds_the_only_place_that_matters_and_follows_its_seed() {
    let map = |seed: u64, batch: usize| {
        let options = ExplainOptions::default().with_masks(400).with_seed(seed).with_batch(batch);
        with_subject(&options, 1, |subject| rise::map(subject, &mut |_, _| true)).unwrap()
    };
    let first = map(1, 16);
    assert_eq!(first.dim(), (64, 96));
    let (row, column) = peak(&first);
    assert!(inside(row, column), "{row}, {column}");
    let mean = |within: bool| {
        let values = first.indexed_iter().filter(|((row, column), _)| inside(*row, *column) == within);
        let values: Vec<f32> = values.map(|(_, value)| *value).collect();
        values.iter().sum::<f32>() / values.len() as f32
    };
    assert!(mean(true) > mean(false) + 0.02, "{} inside, {} outside", mean(true), mean(false));
    assert_eq!(first, map(1, 16));
    assert_ne!(first, map(2, 16));
    let rebatched = map(1, 7); // the same masks; sums round otherwise
    assert!((&first - &rebatched).iter().all(|difference| difference.abs() < 1e-5));
}

#[test]
fn what_is_told_to_stop_stops() {
    let options = ExplainOptions::default().with_masks(100).with_batch(10);
    let mut told = 0;
    let stopped = with_subject(&options, 1, |subject| {
        rise::map(subject, &mut |done, _| {
            told += 1;
            done < 30
        })
    });
    assert!(matches!(stopped, Err(Error::Interrupted)));
    assert_eq!(told, 4);
}

#[test]
fn what_a_network_cannot_do_is_said() {
    let pixels = Array3::ones((3, SIDES[0], SIDES[1]));
    let (options, all) = (ExplainOptions::default().with_masks(2), &mut |_, _| true);
    let mut map = |method, stage, class| explain(&SeesThePatch, pixels.view(), method, stage, class, &options, all);
    assert!(map(Method::EigenCam, Some("pixels"), 1).is_ok() && map(Method::Rise, None, 1).is_ok());
    for (method, stage, class, part) in [
        (Method::GradCam, None, 1, "no gradient"),
        (Method::AblationCam, None, 1, "from its features on"),
        (Method::EigenCam, Some("head"), 1, "has pixels"),
        (Method::Rise, Some("pixels"), 1, "no stage"),
        (Method::Rise, None, 2, "0 to 1"),
    ] {
        let error = map(method, stage, class).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

/// A network whose slopes are not numbers.
struct Endless;

impl Features for Endless {
    fn numbers(&self) -> usize {
        2
    }

    fn logits(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        Ok(Array2::zeros((pixels.len_of(Axis(0)), 2)))
    }

    fn places(&self) -> Vec<String> {
        vec!["pixels".to_owned()]
    }

    fn features(&self, _: &str, pixels: ArrayView3<'_, f32>) -> Result<Array3<f32>> {
        Ok(pixels.to_owned())
    }

    fn slope(&self, _: &str, pixels: ArrayView3<'_, f32>, _: usize) -> Result<Slope> {
        let mut gradient = pixels.to_owned();
        gradient[[0, 3, 4]] = f32::INFINITY;
        gradient[[1, 3, 4]] = f32::NEG_INFINITY;
        Ok(Slope { features: pixels.to_owned(), gradient })
    }
}

#[test]
fn a_map_that_is_no_number_is_an_error_and_not_an_empty_one() {
    let pixels = Array3::ones((3, 8, 9));
    for method in [Method::GradCam, Method::GradCamPlusPlus, Method::HiResCam, Method::LayerCam, Method::XGradCam] {
        let options = ExplainOptions::default();
        let map = explain(&Endless, pixels.view(), method, None, 1, &options, &mut |_, _| true);
        let error = map.unwrap_err().to_string();
        assert!(error.starts_with(method.name()) && error.contains("not finite"), "{error}");
    }
}

#[test]
fn options_that_cannot_be_used_are_named() {
    let options = ExplainOptions::default;
    assert!(options().check().is_ok());
    for (wrong, name) in [
        (options().with_batch(0), "batch"),
        (options().with_masks(0), "masks"),
        (options().with_window(0), "window"),
        (options().with_stride(0), "stride"),
        (options().with_window(8).with_stride(9), "stride"),
    ] {
        let error = wrong.check().unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
}
