//! Insertion, deletion, drop, increase and ROAD: known answers, and what grad-cam, torch-cam, `SciPy` and RISE measure.

use cbam::eval::{FaithfulnessOptions, area_under, faithfulness, gaussian_blur, impute, rank_correlation};
use cbam::{ErrorKind, Result};
use ndarray::{Array2, Array3, ArrayView4, Axis, s};
use proptest::prelude::*;
use serde_json::Value;

use super::numbers;

fn floats(value: &Value) -> Vec<f32> {
    numbers(value).into_iter().map(|value| value as f32).collect()
}

/// Confidence in class 1 is the share of pixels that are over ½ in the block of rows 2 to 4 and columns 1 to 3.
#[expect(clippy::unnecessary_wraps, reason = "it stands for a classifier, which can fail")]
fn sees_the_block(batch: ArrayView4<'_, f32>) -> Result<Array2<f32>, ErrorKind> {
    let seen = |picture: ndarray::ArrayView3<'_, f32>| {
        picture.slice(s![.., 2..5, 1..4]).iter().filter(|value| **value > 0.5).count() as f32 / 27.0
    };
    let confidences: Vec<f32> = batch.outer_iter().map(seen).collect();
    Ok(Array2::from_shape_fn((confidences.len(), 2), |(n, class)| if class == 1 { confidences[n] } else { 0.0 }))
}

fn options() -> FaithfulnessOptions {
    let mut options =
        FaithfulnessOptions::default().with_steps(16).with_road_noise(0.0).with_road_percentiles(vec![80.0]);
    options.blur = 0.5; // 3 pixels: nothing of the block stays over ½
    options
}

fn block() -> Array2<f32> {
    let mut map = Array2::zeros((8, 6));
    map.slice_mut(s![2..5, 1..4]).fill(1.0);
    map
}

/// A picture that is 1 where the block is and 0 elsewhere.
fn picture() -> Array3<f32> {
    block().insert_axis(Axis(0)).broadcast((3, 8, 6)).unwrap().to_owned()
}

#[test]
fn a_perfect_map_keeps_all_and_an_inverted_one_nothing() -> Result<()> {
    let (picture, perfect) = (picture(), block());
    let good = faithfulness(picture.view(), perfect.view(), 1, &options(), &mut sees_the_block)?;
    assert_eq!((good.confidence.whole, good.confidence.masked, good.confidence.drop()), (1.0, 1.0, 0.0));
    // 3 pixels a step: after 3 of 16 steps the nine of the block are gone.
    assert_eq!(good.curves.deletion[..4], [1.0, 6.0 / 9.0, 3.0 / 9.0, 0.0]);
    assert!((good.curves.deletion_auc() - 1.5 / 16.0).abs() < 1e-6);
    assert_eq!(good.curves.insertion[3..], [1.0; 14]);
    let inverted = perfect.mapv(|value| 1.0 - value);
    let bad = faithfulness(picture.view(), inverted.view(), 1, &options(), &mut sees_the_block)?;
    assert_eq!((bad.confidence.masked, bad.confidence.drop(), bad.confidence.increase()), (0.0, 1.0, false));
    assert_eq!(bad.curves.deletion[..14], [1.0; 14]);
    assert!(good.curves.insertion_auc() > bad.curves.insertion_auc());
    assert!(good.road.score() > 0.0 && bad.road.score() < 0.0, "{} {}", good.road.score(), bad.road.score());
    Ok(())
}

#[test]
fn a_uniform_map_goes_in_row_order_and_a_row_off_costs_a_third() -> Result<()> {
    let picture = picture();
    let uniform =
        faithfulness(picture.view(), Array2::from_elem((8, 6), 0.3).view(), 1, &options(), &mut sees_the_block)?;
    // The block begins at pixel 13 and ends at pixel 27: untouched after 4 steps, gone after 10.
    assert_eq!((uniform.curves.deletion[4], uniform.curves.deletion[10]), (1.0, 0.0));
    assert_eq!(uniform.confidence.drop(), 1.0, "scaled, it is 0 everywhere");
    let mut off = Array2::zeros((8, 6));
    off.slice_mut(s![3..6, 1..4]).fill(1.0);
    let off = faithfulness(picture.view(), off.view(), 1, &options(), &mut sees_the_block)?;
    assert!((off.confidence.drop() - 1.0 / 3.0).abs() < 1e-6);
    assert_eq!(off.curves.deletion[3], 3.0 / 9.0);
    Ok(())
}

#[test]
fn the_area_is_by_trapezia() {
    assert_eq!(area_under(&[]), 0.0);
    assert_eq!(area_under(&[0.25]), 0.25);
    assert_eq!(area_under(&[0.0, 1.0]), 0.5);
    assert_eq!(area_under(&[1.0, 0.0, 0.0, 1.0]), 1.0 / 3.0);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let picture = picture();
    let refused = |map: Array2<f32>, class, options: &FaithfulnessOptions| {
        faithfulness(picture.view(), map.view(), class, options, &mut sees_the_block).unwrap_err().to_string()
    };
    assert!(refused(Array2::zeros((6, 8)), 1, &options()).contains("a finite map of 8×6"));
    assert!(refused(Array2::from_elem((8, 6), f32::NAN), 1, &options()).contains("a finite map"));
    assert!(refused(block(), 2, &options()).contains("class 2"));
    assert!(refused(block(), 1, &options().with_steps(0)).contains("steps"));
    assert!(refused(block(), 1, &options().with_road_percentiles(vec![0.0])).contains("ROAD percentile"));
    assert!(impute(picture.view(), &Array2::from_elem((8, 6), false)).is_err());
}

struct Golden {
    value: Value,
    height: usize,
    width: usize,
}

impl Golden {
    fn read() -> Self {
        let value: Value = serde_json::from_str(include_str!("../../golden/faithfulness/golden.json")).unwrap();
        let [height, width] = numbers(&value["shape"])[..] else { panic!("shape") };
        Self { value, height: height as usize, width: width as usize }
    }

    fn pixels(&self, i: usize) -> Array3<f32> {
        Array3::from_shape_vec((3, self.height, self.width), floats(&self.value["pixels"][i])).unwrap()
    }

    fn map(&self, i: usize) -> Array2<f32> {
        Array2::from_shape_vec((self.height, self.width), floats(&self.value["maps"][i])).unwrap()
    }

    /// The generator's model: softmax of a matrix times the mean of tanh in 4×4 cells.
    fn classify(&self, batch: ArrayView4<'_, f32>) -> Array2<f32> {
        let matrix: Vec<Vec<f64>> = self.value["matrix"].as_array().unwrap().iter().map(numbers).collect();
        let (rows, columns) = (self.height / 4, self.width / 4);
        let mut out = Array2::zeros((batch.len_of(Axis(0)), matrix.len()));
        for (picture, mut out) in batch.outer_iter().zip(out.outer_iter_mut()) {
            let mut pooled = Vec::new();
            for channel in picture.outer_iter() {
                for cell in channel.exact_chunks((rows, columns)) {
                    pooled.push(cell.iter().map(|v| f64::from(v.tanh())).sum::<f64>() / (rows * columns) as f64);
                }
            }
            let scores = matrix.iter().map(|row| row.iter().zip(&pooled).map(|(w, p)| w * p).sum::<f64>().exp());
            let scores: Vec<f64> = scores.collect();
            out.iter_mut().zip(&scores).for_each(|(out, score)| *out = (score / scores.iter().sum::<f64>()) as f32);
        }
        out
    }
}

fn close(got: &[f32], expected: &[f64], within: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (got, expected) in got.iter().zip(expected) {
        assert!((f64::from(*got) - expected).abs() < within, "{what}: {got}, golden {expected}");
    }
}

#[test]
fn figures_are_those_of_grad_cam_torch_cam_and_rise() -> Result<()> {
    let golden = Golden::read();
    let sigma = golden.value["sigma"].as_f64().unwrap();
    let mut options = FaithfulnessOptions::default()
        .with_steps(golden.value["steps"].as_u64().unwrap() as usize)
        .with_road_percentiles(numbers(&golden.value["percentiles"]))
        .with_road_noise(0.0);
    options.blur = sigma / golden.height.min(golden.width) as f64;
    for (i, class) in numbers(&golden.value["classes"]).into_iter().enumerate() {
        let mut classify = |batch: ArrayView4<'_, f32>| Ok(golden.classify(batch));
        let (pixels, map) = (golden.pixels(i), golden.map(i));
        let got = faithfulness(pixels.view(), map.view(), class as usize, &options, &mut classify)?;
        let rise = &golden.value["rise"][i];
        close(&got.curves.insertion, &numbers(&rise["insertion"]["curve"]), 1e-5, "insertion");
        close(&got.curves.deletion, &numbers(&rise["deletion"]["curve"]), 1e-5, "deletion");
        assert!((got.curves.insertion_auc() - rise["insertion"]["auc"].as_f64().unwrap()).abs() < 1e-5);
        assert!((got.curves.deletion_auc() - rise["deletion"]["auc"].as_f64().unwrap()).abs() < 1e-5);
        let of_picture = |name: &str| -> Vec<f64> {
            golden.value[name].as_array().unwrap().iter().map(|row| numbers(row)[i]).collect()
        };
        close(&got.road.most_relevant_removed, &of_picture("most_relevant_removed"), 1e-4, "most relevant removed");
        close(&got.road.least_relevant_removed, &of_picture("least_relevant_removed"), 1e-4, "least relevant removed");
        // grad-cam's drop is not divided by the confidence, torch-cam's is.
        let lost = (got.confidence.whole - got.confidence.masked).max(0.0);
        close(&[lost], &[numbers(&golden.value["drop"])[i]], 1e-5, "drop");
        let grew = f64::from(u8::from(got.confidence.increase()));
        assert_eq!(grew, numbers(&golden.value["increase"])[i]);
        let torchcam = &golden.value["torchcam"][i];
        close(&[got.confidence.drop() as f32], &[torchcam["avg_drop"].as_f64().unwrap()], 1e-4, "average drop");
        assert_eq!(grew, torchcam["conf_increase"].as_f64().unwrap());
    }
    Ok(())
}

#[test]
fn blur_imputation_and_rank_correlation_are_scipys() -> Result<()> {
    let golden = Golden::read();
    let pixels = golden.pixels(0);
    let blurred = gaussian_blur(pixels.view(), golden.value["sigma"].as_f64().unwrap());
    let first: Vec<f32> = blurred.index_axis(Axis(0), 0).iter().copied().collect();
    close(&first, &numbers(&golden.value["blurred"]), 2e-5, "blur");

    let map = golden.map(0);
    let mut sorted: Vec<f32> = map.iter().copied().collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let kept = (0.4 * (sorted.len() - 1) as f64).ceil() as usize;
    let known = map.mapv(|value| value < sorted[kept]);
    let filled: Vec<f32> = impute(pixels.view(), &known)?.iter().copied().collect();
    close(&filled, &numbers(&golden.value["imputed"]), 1e-4, "imputation");

    for (i, expected) in numbers(&golden.value["spearman"]).into_iter().enumerate() {
        let coarse = golden.map((i + 1) % 3).mapv(|value| (value * 6.0).round_ties_even());
        let got = rank_correlation(golden.map(i).view(), coarse.view())?;
        assert!((got - expected).abs() < 1e-9, "{got}, SciPy {expected}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn curves_are_shares_that_meet_and_road_is_at_most_half(
        values in prop::collection::vec(0.0_f32..1.0, 48), steps in 1_usize..9,
    ) {
        let map = Array2::from_shape_vec((8, 6), values).unwrap();
        let options = options().with_steps(steps);
        let got = faithfulness(picture().view(), map.view(), 1, &options, &mut sees_the_block).unwrap();
        prop_assert!((0.0..=1.0).contains(&got.curves.insertion_auc()));
        prop_assert!((0.0..=1.0).contains(&got.curves.deletion_auc()));
        prop_assert_eq!(got.curves.insertion.last(), got.curves.deletion.first(), "both are the picture");
        prop_assert!(got.road.score().abs() <= 0.5);
        prop_assert!((0.0..=1.0).contains(&got.confidence.drop()));
    }

    #[test]
    fn imputed_pixels_lie_between_the_known_ones(
        values in prop::collection::vec(-1.0_f32..1.0, 48), known in prop::collection::vec(any::<bool>(), 48),
    ) {
        let picture = Array3::from_shape_vec((1, 8, 6), values).unwrap();
        let known = Array2::from_shape_vec((8, 6), known).unwrap();
        prop_assume!(known.iter().any(|known| *known));
        let filled = impute(picture.view(), &known).unwrap();
        let told: Vec<f32> = picture.iter().zip(&known).filter(|(_, known)| **known).map(|(v, _)| *v).collect();
        let (low, high) = (told.iter().copied().fold(f32::MAX, f32::min), told.iter().copied().fold(f32::MIN, f32::max));
        for (value, (before, known)) in filled.iter().zip(picture.iter().zip(&known)) {
            if *known { prop_assert_eq!(value, before) } else { prop_assert!(*value > low - 1e-3 && *value < high + 1e-3) }
        }
    }

    #[test]
    fn rank_correlation_knows_itself_and_its_opposite(values in prop::collection::vec(-9_i8..9, 12)) {
        let a = Array2::from_shape_vec((3, 4), values).unwrap().mapv(f32::from);
        let flat = a.iter().all(|value| *value == a[[0, 0]]);
        let one = if flat { 0.0 } else { 1.0 };
        prop_assert!((rank_correlation(a.view(), a.view()).unwrap() - one).abs() < 1e-12);
        prop_assert!((rank_correlation(a.view(), a.mapv(f32::exp).view()).unwrap() - one).abs() < 1e-12);
        prop_assert!((rank_correlation(a.view(), (-&a).view()).unwrap() + one).abs() < 1e-12);
    }
}
