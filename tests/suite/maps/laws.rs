//! What holds of every map.

use cbam::maps::{
    AttentionMap, Ground, MapRange, Resample, Scale, ScaleLimits, attended, fuse, gated, likeness, object,
};
use cbam::photo::ImageSize;
use ndarray::Array2;
use proptest::prelude::*;

use super::map;

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
        for map in [attended(std::slice::from_ref(&patch), &class), gated(&[&gate], &class)] {
            let (rows, columns) = map.dim();
            let features = Array2::from_shape_fn((rows * columns, 4), |(cell, channel)| ((cell * 7 + channel) % 5) as f32 - 1.0);
            let alike = likeness(&map, &Ground { grid: [rows, columns], features });
            prop_assert!(alike.iter().all(|value| (0.0..=1.0).contains(value)));
            for alike in [None, Some(&alike)] {
                prop_assert!(AttentionMap::new(fuse(&map, alike), MapRange::Positive).is_ok());
                let object = object(&map, alike);
                prop_assert_eq!(object.dim(), map.dim());
                prop_assert!(object.iter().all(|value| *value < 1.0));
                prop_assert!(AttentionMap::new(object, MapRange::Unit).is_ok());
            }
            // Something is under the mean, or everything is at it.
            prop_assert!(fuse(&map, None).iter().any(|value| *value < 1e-5));
        }
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
        let twice = super::map(&values * 2.0).statistics();
        prop_assert!((twice.entropy - statistics.entropy).abs() < 1e-5 && twice.coverage == statistics.coverage);
        let mirrored = super::map(values.slice(ndarray::s![.., ..;-1]).to_owned()).statistics();
        prop_assert!((mirrored.centroid[0] + statistics.centroid[0] - 1.0).abs() < 1e-5);
        prop_assert!((mirrored.centroid[1] - statistics.centroid[1]).abs() < 1e-5);
    }
}
