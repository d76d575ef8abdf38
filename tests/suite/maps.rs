//! Attention maps: laws, goldens and names.

#![allow(clippy::float_cmp)] // exact values are meant to be exact

use cbam::maps::{
    AttentionMap, Explanation, GateReadout, MapName, MapRange, Method, PatchReadout, QueryRow, Readout, Resample,
    Scale, ScaleLimits, fuse, fuse_gates,
};
use cbam::photo::{Geometry, ImageSize};
use ndarray::{Array1, Array2, Array3, Axis, array};
use proptest::prelude::*;

use super::photo::golden;

fn map(values: Array2<f32>) -> AttentionMap {
    AttentionMap::new(values, MapRange::Positive).unwrap()
}

/// The grid that `gen.py` makes by the same formula.
fn formula(rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, columns), |(y, x)| ((x * 7 + y * 13 + x * y * 3) % 23) as f32 / 23.0)
}

#[test]
fn resampling_agrees_with_pillow() {
    let golden = golden();
    for (name, most) in [("nearest", 0.0), ("bilinear", 1e-6), ("bicubic", 1e-6)] {
        for case in golden[name].as_array().unwrap() {
            let side = |key: &str, index: usize| case[key][index].as_u64().unwrap() as usize;
            let size = ImageSize::new(side("size", 0) as u32, side("size", 1) as u32);
            let source = map(formula(side("from", 0), side("from", 1)));
            let out = source.resample(size, name.parse().unwrap()).unwrap();
            assert_eq!(out.grid(), size);
            let expected = case["values"].as_array().unwrap();
            assert_eq!(out.values().len(), expected.len());
            for (got, expected) in out.values().iter().zip(expected) {
                let expected = (expected.as_f64().unwrap() as f32).max(0.0); // a map stays >= 0 where bicubic undershoots
                assert!((got - expected).abs() <= most, "{name} to {size}: {got} {expected}");
            }
        }
    }
}

#[test]
fn what_is_no_map_is_refused() {
    let new = |value, range| AttentionMap::new(array![[0.5, value]], range);
    for value in [f32::NAN, f32::INFINITY, -0.1] {
        for range in [MapRange::Unit, MapRange::Relative, MapRange::Positive] {
            assert!(matches!(new(value, range), Err(cbam::Error::Input { .. })), "{value} {range:?}");
        }
    }
    assert!(new(1.1, MapRange::Unit).is_err() && new(1.1, MapRange::Relative).is_ok());
    assert!(AttentionMap::new(Array2::zeros((0, 3)), MapRange::Unit).is_err());
    assert!(map(array![[1.0]]).resample(ImageSize::new(0, 4), Resample::Bilinear).is_err());
}

#[test]
fn a_transposed_array_keeps_its_cells() {
    let values = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].reversed_axes();
    let map = map(values.clone());
    assert_eq!(map.values(), &values);
    assert_eq!(map.grid(), ImageSize::new(2, 3));
    assert_eq!(map.resample(map.grid(), Resample::Nearest).unwrap().values(), &values);
    assert_eq!(map.statistics().peak, [0.75, 5.0 / 6.0]);
}

#[test]
fn statistics_of_known_maps() {
    // Half of the mass in one of eight cells.
    let statistics = map(array![[0.0, 0.0, 4.0, 0.0], [2.0, 0.0, 2.0, 0.0]]).statistics();
    assert_eq!((statistics.min, statistics.max, statistics.mean), (0.0, 4.0, 1.0));
    assert_eq!(statistics.peak, [0.625, 0.25]);
    assert_eq!(statistics.coverage, 0.125);
    let centroid = [(0.625 * 6.0 + 0.125 * 2.0) / 8.0, 0.5];
    assert!(statistics.centroid.iter().zip(centroid).all(|(got, expected)| (got - expected).abs() < 1e-6));
    // (ln 2 / 2 + 2 ln 4 / 4) / ln 8 = 1/2
    assert!((statistics.entropy - 0.5).abs() < 1e-6, "{}", statistics.entropy);

    for uniform in [Array2::from_elem((4, 5), 0.3), Array2::zeros((4, 5))] {
        let statistics = map(uniform).statistics();
        assert!((statistics.entropy - 1.0).abs() < 1e-6);
        assert!(statistics.centroid.iter().all(|position| (position - 0.5).abs() < 1e-6));
        assert_eq!(statistics.coverage, 0.5);
        assert_eq!(statistics.peak, [0.1, 0.125]);
    }
    let one = map(array![[7.0]]).statistics();
    assert_eq!((one.entropy, one.coverage, one.peak), (1.0, 1.0, [0.5, 0.5]));
    let peaked = map(array![[0.0, 3.0], [0.0, 0.0]]).statistics();
    assert_eq!((peaked.entropy, peaked.coverage), (0.0, 0.25));
}

#[test]
fn mass_thresholds_of_a_known_map() {
    let map = map(array![[1.0, 2.0], [3.0, 4.0]]);
    for (mass, expected) in [(0.0, 4.0), (0.4, 4.0), (0.41, 3.0), (0.7, 3.0), (0.71, 2.0), (0.95, 1.0), (1.0, 1.0)] {
        assert_eq!(map.mass_threshold(mass), expected, "{mass}");
    }
    assert_eq!(AttentionMap::new(array![[0.0, -0.0]], MapRange::Unit).unwrap().mass_threshold(0.5), 0.0);
}

#[test]
fn fusing_as_defined() {
    let patch = array![[1.0, 4.0], [0.25, 0.0]];
    let gate = array![[0.5]]; // one cell: the same everywhere
    let class = array![[3.0]];
    // m = 0.5 sqrt(p) = 0.5 1 0.25 0, mean 0.4375
    assert_eq!(fuse(&gate, std::slice::from_ref(&patch), &class), array![[0.0625, 0.5625], [0.0, 0.0]]);
    // The gate is resampled to the patches' grid, linearly.
    let flat = [Array2::ones((1, 4))];
    assert_eq!(fuse(&array![[0.0, 1.0]], &flat, &class), array![[0.0, 0.0, 0.25, 0.5]]);
    // So is the class activation, which counts as a share of its peak.
    assert_eq!(fuse(&array![[1.0]], &flat, &array![[0.0, 7.0]]), array![[0.0, 0.0, 0.25, 0.5]]);
    // Of several patch attentions the geometric mean counts, on the finest grid.
    let fused = fuse(&gate, &[array![[16.0]], patch.clone()], &class); // m = 1 √2 √½ 0
    let expected = array![[0.219_669_9, 0.633_883_5], [0.0, 0.0]];
    assert!((fused - expected).iter().all(|difference| difference.abs() < 1e-6));
    for empty in [
        fuse(&Array2::zeros((0, 0)), std::slice::from_ref(&patch), &class),
        fuse(&gate, std::slice::from_ref(&patch), &Array2::zeros((0, 0))),
        fuse(&gate, &[patch], &array![[0.0]]),
    ] {
        assert_eq!(empty, Array2::<f32>::zeros((2, 2)));
    }
    assert_eq!(fuse(&gate, &[], &class).len(), 0);
}

#[test]
fn gates_alone_are_fused_on_the_grid_before_the_last() {
    let close = |fused: Array2<f32>, expected: Array2<f32>| {
        assert_eq!(fused.dim(), expected.dim());
        assert!((&fused - &expected).iter().all(|difference| difference.abs() < 1e-6), "{fused}");
    };
    let class = array![[0.0, 8.0]]; // over its peak, on two columns: 0 1; on four: 0 ¼ ¾ 1
    // m = √(a b) c, a the mean of the two on the finer grid, √b = ½: 0 ¼·√½·½ ¾·½·½ 1·½·1.
    let finer = [array![[1.0, 0.0, 0.5, 1.0]], array![[1.0, 1.0, 0.0, 1.0]]];
    let coarse = array![[0.25, 0.25]];
    let m = [0.0, 0.25 * 0.5_f32.sqrt() * 0.5, 0.75 * 0.5 * 0.5, 0.5_f32];
    let mean = m.iter().sum::<f32>() / 4.0;
    let expected = array![[0.0, (m[1] - mean).max(0.0), (m[2] - mean).max(0.0), m[3] - mean]];
    close(fuse_gates(&[&finer[0], &finer[1], &coarse], &class), expected.clone());
    // What is finer still does not count, and the order does not matter.
    let finest = Array2::from_shape_fn((2, 8), |(y, x)| (x + y) as f32 / 9.0);
    close(fuse_gates(&[&coarse, &finest, &finer[1], &finer[0]], &class), expected);
    // One grid alone: m = b c.
    close(fuse_gates(&[&array![[0.5, 0.75]], &array![[0.5, 0.25]]], &class), array![[0.0, 0.25]]);
    assert_eq!(fuse_gates(&[], &class).len(), 0);
    close(fuse_gates(&[&coarse], &Array2::zeros((0, 0))), array![[0.0, 0.0]]);
    close(fuse_gates(&[&coarse], &array![[0.0]]), array![[0.0, 0.0]]);
}

#[test]
fn percentiles_agree_with_numpy() {
    let map = map(formula(3, 5));
    for pair in golden()["percentiles"]["values"].as_array().unwrap() {
        let (percent, expected) = (pair[0].as_f64().unwrap() as f32, pair[1].as_f64().unwrap() as f32);
        let low = Scale::Percentile(percent, 100.0).limits(&map).low;
        let high = Scale::Percentile(0.0, percent).limits(&map).high;
        assert!((low - expected).abs() < 1e-6 && low == high, "{percent}: {low} {high} {expected}");
    }
}

#[test]
fn limits_of_each_scale() {
    let map = map(array![[0.5, 2.0], [1.0, 4.5]]);
    let limits = |scale: Scale| (scale.limits(&map).low, scale.limits(&map).high);
    assert_eq!(limits(Scale::Image), (0.5, 4.5));
    assert_eq!(limits(Scale::Run), (0.5, 4.5));
    assert_eq!(limits(Scale::Fixed(0.0, 3.0)), (0.0, 3.0));
    let other = ScaleLimits { low: 0.25, high: 3.0 };
    assert_eq!(Scale::Run.limits(&map).union(other), ScaleLimits { low: 0.25, high: 4.5 });
    let constant = ScaleLimits { low: 2.0, high: 2.0 };
    assert_eq!([1.0, 2.0, 2.1, f32::NAN].map(|value| constant.apply(value)), [0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn scales_are_written_and_read() {
    for text in ["image", "run", "percentile:1,99.5", "fixed:-0.5,3"] {
        assert_eq!(text.parse::<Scale>().unwrap().to_string(), text);
    }
    let wrong = [
        "",
        "images",
        "fixed",
        "fixed:",
        "fixed:1",
        "fixed:2,1",
        "fixed:1,1",
        "fixed:a,b",
        "fixed:0,inf",
        "fixed:nan,1",
        "percentile:-1,50",
        "percentile:0,101",
        "run:1,2",
    ];
    for text in wrong {
        let message = text.parse::<Scale>().unwrap_err().to_string();
        assert!(message.contains(&format!("{text:?}")), "{message}");
    }
}

#[test]
fn names_are_written_and_read() {
    let names = [
        ("fused", MapName::Fused),
        ("spatial", MapName::Spatial(None)),
        ("spatial:stage5", MapName::Spatial(Some("stage5".to_owned()))),
        ("patch", MapName::PATCH),
        ("patch:3", MapName::Patch { stage: None, head: Some(3) }),
        ("patch:stage7", MapName::Patch { stage: Some("stage7".into()), head: None }),
        ("patch:stage7:2", MapName::Patch { stage: Some("stage7".into()), head: Some(2) }),
        ("patch@12,340", MapName::PatchAt(12, 340)),
        ("channel:stage7", MapName::Channel("stage7".to_owned())),
        ("rollout", MapName::Rollout),
        ("gradcam", MapName::explain(Method::GradCam)),
        ("gradcam++:stage2", MapName::Explain { method: Method::GradCamPlusPlus, stage: Some("stage2".to_owned()) }),
        ("rise", MapName::explain(Method::Rise)),
    ];
    assert_eq!("layercam:head".parse::<MapName>().unwrap(), MapName::explain(Method::LayerCam));
    for (text, name) in names {
        assert_eq!(text.parse::<MapName>().unwrap(), name);
        assert_eq!(name.to_string(), text);
    }
    for text in [
        "",
        "spatial:",
        "patch:stage5:x",
        "patch:stage5:-1",
        "patch::1",
        "patch@",
        "patch@1",
        "patch@1,b",
        "patch@-1,2",
        "channel",
        "fused:1",
        "rollout:stage5",
        "gradcam:",
        "gradcam+:head",
        "rise:stage5",
    ] {
        let message = text.parse::<MapName>().unwrap_err().to_string();
        assert!(message.contains(&format!("{text:?}")), "{message}");
    }
}

const GEOMETRY: Geometry = Geometry { picture: ImageSize::new(40, 30), network: ImageSize::new(64, 32) };

fn explanation(stage: Option<&str>, map: Array2<f32>) -> Explanation {
    Explanation { method: Method::GradCam, stage: stage.map(str::to_owned), class: 1, map }
}

fn readout() -> Readout {
    let gate = |stage: &str, channels: usize, spatial: Option<Array2<f32>>| GateReadout {
        stage: stage.to_owned(),
        channel: Array1::from_elem(channels, 0.25),
        spatial,
    };
    let received = Array3::from_shape_fn((2, 2, 4), |(head, y, x)| (head * 8 + y * 4 + x) as f32 / 8.0);
    Readout {
        probabilities: array![0.25, 0.75],
        gates: vec![
            gate("stage5", 3, Some(Array2::from_elem((2, 4), 0.5))),
            gate("stage7", 5, Some(array![[0.25, 0.75]])),
            gate("head", 7, None),
        ],
        patches: vec![
            PatchReadout {
                stage: "stage5".to_owned(),
                received,
                rows: vec![QueryRow {
                    query: GEOMETRY.fraction(12, 20).unwrap(),
                    weights: Array2::from_elem((2, 4), 1.5),
                }],
            },
            PatchReadout { stage: "stage7".to_owned(), received: array![[[0.5, 1.5]]], rows: Vec::new() },
        ],
        rollout: Some(array![[1.5, 0.5]]),
        outputs: Vec::new(),
        explanations: vec![explanation(None, array![[0.0, 2.0]]), explanation(Some("stage2"), array![[3.0]])],
    }
}

#[test]
fn maps_by_name() {
    let readout = readout();
    let map = |text: &str| readout.map(&text.parse().unwrap(), &GEOMETRY).unwrap();
    let patch = &readout.patches[0];
    assert_eq!(map("spatial").values(), &array![[0.25, 0.75]]); // the last one that has a spatial gate
    assert_eq!(map("spatial:stage5").values()[[1, 3]], 0.5);
    assert_eq!(map("patch:1").values(), &patch.received.index_axis(Axis(0), 1));
    assert_eq!(map("patch").values()[[1, 2]], (6.0 + 14.0) / 16.0);
    assert_eq!(map("patch:stage5").values(), map("patch").values());
    assert_eq!(map("patch:stage5:1").values(), map("patch:1").values());
    assert_eq!(map("patch:stage7").values(), &array![[0.5, 1.5]]);
    assert_eq!(map("patch@12,20").values()[[0, 0]], 1.5);
    assert_eq!(map("rollout").values(), &array![[1.5, 0.5]]);
    assert_eq!(map("gradcam").values(), &array![[0.0, 2.0]]);
    assert_eq!(map("gradcam:stage2").values(), &array![[3.0]]);
    let received = [map("patch"), map("patch:stage7")].map(|map| map.values().clone());
    assert_eq!(map("fused").values(), &fuse(map("spatial").values(), &received, map("gradcam").values()));
    assert_eq!(
        [map("spatial").range(), map("patch").range(), map("fused").range()],
        [MapRange::Unit, MapRange::Relative, MapRange::Positive]
    );

    let names: Vec<_> = readout.map_names().iter().map(ToString::to_string).collect();
    let gates_and_heads = ["fused", "spatial:stage5", "spatial:stage7", "patch", "patch:0", "patch:1"];
    let coarse = ["patch:stage7", "patch:stage7:0"];
    assert_eq!(names, [&gates_and_heads[..], &coarse, &["rollout", "gradcam", "gradcam:stage2"]].concat());
    for name in readout.map_names() {
        assert!(readout.map(&name, &GEOMETRY).is_ok(), "{name}");
    }
    assert_eq!(readout.channel("head").unwrap().len(), 7);
}

#[test]
fn maps_that_are_not_there_are_named() {
    let message = |readout: &Readout, text: &str| {
        let message = readout.map(&text.parse().unwrap(), &GEOMETRY).unwrap_err().to_string();
        assert!(message.contains(text), "{message}");
        message
    };
    let full = readout();
    assert!(message(&full, "spatial:stage6").contains("stage5, stage7"));
    assert!(message(&full, "spatial:head").contains("stage5, stage7"));
    assert!(message(&full, "patch:2").contains("0 to 1"));
    assert!(message(&full, "patch:stage7:1").contains("stage7 has heads 0 to 0"));
    assert!(message(&full, "patch:stage6").contains("stage5, stage7"));
    assert!(message(&full, "patch@13,20").contains("not asked"));
    assert!(message(&full, "patch@40,20").contains("40x30"));
    assert!(message(&full, "channel:stage5").contains("vector"));
    assert!(full.channel("stage6").unwrap_err().to_string().contains("stage5, stage7, head"));

    let plain = Readout { gates: Vec::new(), patches: Vec::new(), rollout: None, explanations: Vec::new(), ..full };
    assert!(plain.map_names().is_empty());
    assert!(message(&plain, "spatial").contains("none"));
    for text in ["patch", "patch:0", "patch@1,1", "fused", "rollout", "gradcam", "layercam:stage5"] {
        message(&plain, text);
    }
}

prop_compose! {
    fn grid()(rows in 1_usize..9, columns in 1_usize..9)
        (values in prop::collection::vec(prop_oneof![4 => 0.0_f32..5.0, 1 => Just(0.0)], rows * columns), rows in Just(rows))
        -> Array2<f32> {
        let columns = values.len() / rows;
        Array2::from_shape_vec((rows, columns), values).unwrap()
    }
}

proptest! {
    #[test]
    fn resampling_a_constant_gives_the_constant(
        value in 0.0_f32..10.0, rows in 1_usize..20, columns in 1_usize..20, width in 1_u32..60, height in 1_u32..60,
    ) {
        let constant = map(Array2::from_elem((rows, columns), value));
        for resample in [Resample::Nearest, Resample::Bilinear, Resample::Bicubic] {
            let out = constant.resample(ImageSize::new(width, height), resample).unwrap();
            prop_assert!(out.values().iter().all(|out| (out - value).abs() <= 1e-5 * value.max(1.0)), "{}", resample);
        }
    }

    #[test]
    fn resampling_stays_in_range(values in grid(), width in 1_u32..40, height in 1_u32..40) {
        let top = values.iter().copied().fold(0.0, f32::max);
        let unit = AttentionMap::new(values / top.max(1.0), MapRange::Unit).unwrap();
        for resample in [Resample::Nearest, Resample::Bilinear, Resample::Bicubic] {
            let out = unit.resample(ImageSize::new(width, height), resample).unwrap();
            prop_assert!(AttentionMap::new(out.values().clone(), MapRange::Unit).is_ok());
        }
    }

    #[test]
    fn scaled_values_are_in_the_unit_interval_and_in_order(
        ends in (-10.0_f32..10.0, -10.0_f32..10.0), values in (any::<f32>(), any::<f32>()),
    ) {
        let limits = ScaleLimits { low: ends.0.min(ends.1), high: ends.0.max(ends.1) };
        let scaled = (limits.apply(values.0), limits.apply(values.1));
        prop_assert!((0.0..=1.0).contains(&scaled.0) && (0.0..=1.0).contains(&scaled.1));
        if values.0 <= values.1 {
            prop_assert!(scaled.0 <= scaled.1);
        }
    }

    #[test]
    fn the_image_scale_reaches_both_ends(values in grid()) {
        let map = map(values);
        let limits = Scale::Image.limits(&map);
        let scaled: Vec<_> = map.values().iter().map(|value| limits.apply(*value)).collect();
        if limits.low < limits.high {
            prop_assert!(scaled.contains(&0.0) && scaled.contains(&1.0));
        }
    }

    #[test]
    fn fused_maps_are_not_negative(gate in grid(), patch in grid(), class in grid()) {
        let fused = fuse(&gate, std::slice::from_ref(&patch), &class);
        prop_assert_eq!(fused.dim(), patch.dim());
        prop_assert!(AttentionMap::new(fused.clone(), MapRange::Positive).is_ok());
        // Something is under the mean, or everything is at it.
        prop_assert!(fused.iter().any(|value| *value < 1e-5));
    }

    #[test]
    fn a_mass_threshold_covers_the_mass_and_no_higher_one_does(values in grid(), mass in 0.0_f32..=1.0) {
        let map = map(values);
        let threshold = map.mass_threshold(mass);
        let sum = |from: &dyn Fn(f32) -> bool| {
            map.values().iter().filter(|value| from(**value)).map(|value| f64::from(*value)).sum::<f64>()
        };
        let wanted = f64::from(mass) * sum(&|_| true);
        prop_assert!(sum(&|value| value >= threshold) >= wanted * (1.0 - 1e-6));
        prop_assert!(sum(&|value| value > threshold) <= wanted);
        prop_assert!(map.values().iter().any(|value| *value == threshold));
    }

    #[test]
    fn statistics_keep_their_promises(values in grid()) {
        let map = map(values.clone());
        let statistics = map.statistics();
        let ulp = 1e-5 * statistics.max.max(1.0);
        prop_assert!(statistics.min <= statistics.mean + ulp && statistics.mean <= statistics.max + ulp);
        let [x, y] = map.grid().pixel(statistics.peak);
        prop_assert_eq!(values[[y as usize, x as usize]], statistics.max);
        prop_assert!(statistics.centroid.iter().all(|position| *position > 0.0 && *position < 1.0));
        prop_assert!((0.0..=1.0).contains(&statistics.entropy));
        prop_assert!(statistics.coverage > 0.0 && statistics.coverage <= 0.5 + 1.0 / values.len() as f32);

        // Scaling changes none of the shape; mirroring moves it.
        let twice = self::map(&values * 2.0).statistics();
        prop_assert!((twice.entropy - statistics.entropy).abs() < 1e-5 && twice.coverage == statistics.coverage);
        let mirrored = self::map(values.slice(ndarray::s![.., ..;-1]).to_owned()).statistics();
        prop_assert!((mirrored.centroid[0] + statistics.centroid[0] - 1.0).abs() < 1e-5);
        prop_assert!((mirrored.centroid[1] - statistics.centroid[1]).abs() < 1e-5);
    }
}
