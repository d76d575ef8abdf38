//! Goldens, and maps of which the answer is known.

use cbam::maps::{
    AttentionMap, Ground, MapRange, Resample, Scale, ScaleLimits, attended, fuse, gated, likeness, object,
};
use cbam::photo::ImageSize;
use ndarray::{Array2, array};

use super::map;
use crate::photo::golden;

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
            assert!(matches!(new(value, range), Err(cbam::ErrorKind::Input { .. })), "{value} {range:?}");
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

fn close(got: &Array2<f32>, expected: &Array2<f32>) {
    assert_eq!(got.dim(), expected.dim());
    assert!((got - expected).iter().all(|difference| difference.abs() < 1e-5), "{got} {expected}");
}

#[test]
fn what_is_attended_is_as_defined() {
    let patch = array![[1.0, 4.0], [0.25, 0.0]];
    let class = array![[3.0]]; // one cell: the same everywhere
    close(&attended(std::slice::from_ref(&patch), &class), &patch.mapv(|p: f32| p.powf(0.75)));
    // The class activation is resampled to the patches' grid, linearly, and counts as a share of its peak.
    let flat = [Array2::ones((1, 4))];
    close(&attended(&flat, &array![[0.0, 7.0]]), &array![[0.0, 0.25, 0.75, 1.0]]);
    // Of several patch attentions the geometric mean counts, on the finest grid.
    let expected = array![[4.0_f32, 8.0], [2.0, 0.0]].mapv(|p| p.powf(0.75));
    close(&attended(&[array![[16.0]], patch.clone()], &class), &expected);
    let nothing = Array2::zeros((2, 2));
    close(&attended(std::slice::from_ref(&patch), &Array2::zeros((0, 0))), &nothing);
    close(&attended(&[patch], &array![[0.0]]), &nothing);
    assert_eq!(attended(&[], &class).len(), 0);
}

#[test]
fn gates_alone_count_on_the_grid_before_the_last() {
    let class = array![[0.0, 8.0]]; // over its peak, on two columns: 0 1; on four: 0 ¼ ¾ 1
    // m = √(a b) c, a the mean of the two on the finer grid, √b = ½: 0 ¼·√½·½ ¾·½·½ 1·½·1.
    let finer = [array![[1.0, 0.0, 0.5, 1.0]], array![[1.0, 1.0, 0.0, 1.0]]];
    let coarse = array![[0.25, 0.25]];
    let expected = array![[0.0, 0.25 * 0.5_f32.sqrt() * 0.5, 0.75 * 0.5 * 0.5, 0.5_f32]];
    close(&gated(&[&finer[0], &finer[1], &coarse], &class), &expected);
    // What is finer still does not count, and the order does not matter.
    let finest = Array2::from_shape_fn((2, 8), |(y, x)| (x + y) as f32 / 9.0);
    close(&gated(&[&coarse, &finest, &finer[1], &finer[0]], &class), &expected);
    // One grid alone: m = b c.
    close(&gated(&[&array![[0.5, 0.75]], &array![[0.5, 0.25]]], &class), &array![[0.0, 0.5]]);
    assert_eq!(gated(&[], &class).len(), 0);
    close(&gated(&[&coarse], &Array2::zeros((0, 0))), &array![[0.0, 0.0]]);
    close(&gated(&[&coarse], &array![[0.0]]), &array![[0.0, 0.0]]);
}

#[test]
fn likeness_fused_and_object_are_as_defined() {
    // Two cells of one kind and two of another, of different strengths.
    let features = array![[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [0.0, 5.0]];
    let ground = Ground { grid: [1, 4], features: features.clone() };
    let map = array![[0.5, 0.0, 0.0, 0.0]];
    // u = (1, 0), v = (1, 2)/3, so d = (1, -1)/√2.
    let [alike, unlike] = [1.0, -1.0].map(|side| f32::midpoint(1.0, side * 0.5_f32.sqrt()));
    let known = array![[alike, alike, unlike, unlike]];
    close(&likeness(&map, &ground), &known);
    let channels_first = features.t().as_standard_layout().into_owned().into_shape_with_order((2, 1, 4)).unwrap();
    assert_eq!(Ground::of_maps(channels_first.view()).features, features);
    // A map on a coarser grid: w is on that of the features, 0.5 0.375 0.125 0 times L⁴.
    let coarse = array![[0.5, 0.0]];
    let l = likeness(&coarse, &ground);
    assert_eq!(l.dim(), (1, 4));
    let w = array![[0.5 * l[[0, 0]].powi(4), 0.375 * l[[0, 1]].powi(4), 0.125 * l[[0, 2]].powi(4), 0.0]];
    close(&fuse(&coarse, Some(&l)), &w);
    let half = w.mean().unwrap() / 2.0;
    close(&object(&coarse, Some(&l)), &w.mapv(|w| w / (w + half)));
    // Without features: what is over the mean, and L = 1.
    close(&fuse(&map, None), &array![[0.375, 0.0, 0.0, 0.0]]);
    close(&object(&map, None), &array![[0.5 / (0.5 + 0.0625), 0.0, 0.0, 0.0]]);
    // Nothing stays nothing; where all is looked at, nothing is unlike it.
    let nothing = Array2::zeros((1, 4));
    close(&likeness(&nothing, &ground), &Array2::ones((1, 4)));
    close(&fuse(&nothing, Some(&known)), &nothing);
    close(&object(&nothing, Some(&known)), &nothing);
    let same = Ground { grid: [1, 4], features: Array2::ones((4, 3)) };
    close(&likeness(&Array2::ones((1, 4)), &same), &Array2::ones((1, 4)));
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
