//! What does not fit is refused, nothing gives nothing, and the bits do not depend on the threads.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cbam::kernels::{
    Axis, Clamp, Convolution, FeatureMap, Gated, Gates, Heads, InvertedResidual, Layout, Map, Padding, Pointwise,
    SpatialGate, max_pool, sigmoid,
};
use ndarray::Array4;
use tch::Tensor;

use super::{F32, depthwise_of, features_of, gated, layouts, map_of, on_each_arch, tensor_of};

/// A channel gate of the pools alone.
fn of_pools(_: &[f32], [means, maxima]: [&[f32]; 2], logits: &mut [f32]) {
    for ((mean, maximum), logit) in means.iter().zip(maxima).zip(logits) {
        *logit = mean + maximum;
    }
}

/// A map of ones.
fn ones(shape: [usize; 4]) -> Map {
    Map::new(shape, vec![1.0; shape.iter().product()]).unwrap()
}

fn refuses<R>(work: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

#[test]
fn maps_of_another_kind_or_shape_are_refused() {
    assert!(Map::new([1, 3, 3, 4], vec![0.0; 36]).is_ok());
    for (shape, count) in [
        ([1, 3, 3, 4], 35),
        ([1, 3, 3, 4], 37),
        ([2, 3, 3, 4], 36),
        ([1, 3, 3, 4], 0),
        ([1, 0, 3, 4], 0),
        ([1, 3, 0, 4], 0),
        ([1, 3, 3, 0], 0),
        ([usize::MAX / 4 + 1, 1, 1, 4], 0), // too many to be counted
        ([0, 3, 3, 4], 36),
    ] {
        let error = Map::new(shape, vec![0.0; count]).unwrap_err().to_string();
        assert!(error.contains(&format!("{count} numbers")), "{shape:?}: {error}");
    }
    assert!(Map::filled([2, 3, 3, 0], |_, _| Ok(())).is_err());
}

#[test]
fn maps_hold_what_a_tensor_of_any_layout_does() {
    let xs = Tensor::randn([2, 5, 3, 4], F32);
    let [planes, pixels] = layouts(&xs);
    for xs in [planes, pixels.slice(3, 1, 4, 1), pixels, xs.slice(1, 0, 5, 2), xs.transpose(2, 3)] {
        let map = map_of(&xs);
        let [images, height, width, channels] = map.shape();
        assert_eq!(xs.size(), [images, channels, height, width].map(|side| side as i64));
        assert!(tensor_of(&map).equal(&xs), "{:?}", xs.size());
        assert_eq!(Map::of(map.clone().into_array().view()).unwrap(), map);
        assert_eq!(map.part(1..2).numbers(), map.image(1));
        let filled = Map::filled(map.shape(), |image, to| {
            to.copy_from_slice(map.image(image));
            Ok(())
        });
        assert_eq!(filled.unwrap(), map);
    }
}

#[test]
fn a_batch_of_nothing_gives_nothing() {
    let none = Tensor::zeros([0, 40, 5, 6], F32);
    assert!(map_of(&none).numbers().is_empty());
    let map = || Map::new([0, 5, 6, 40], Vec::new()).unwrap();
    assert_eq!(map(), map_of(&none));
    let (weight, bias) = (vec![0.5; 24 * 40], vec![0.25; 24]);
    let pointwise = Pointwise::new(&weight, &bias, Clamp::RELU6);
    assert_eq!(pointwise.forward(&map()).shape(), [0, 5, 6, 24]);
    let axis = Axis { kernel: 3, stride: 2, padding: Padding::Each(1) };
    let convolution = Convolution::of(40, &bias, |_, _| 0.5, axis, Clamp::RELU);
    assert_eq!(convolution.forward(&map(), None).shape(), [0, 3, 3, 24]);
    let convolution = Convolution::grouped([40, 4], &bias, |_, _| 0.5, axis, Clamp::RELU).dilated(2);
    assert_eq!(convolution.forward(&map(), None).shape(), [0, 2, 2, 24]);
    assert_eq!(max_pool(&map(), axis).shape(), [0, 3, 3, 40]);
    assert_eq!(map().add(&map(), Clamp::NONE).clamped(Clamp::RELU).mean().shape(), [0, 1, 1, 40]);
    let taps = vec![1.0; 40 * 9];
    let block = InvertedResidual { expand: None, depthwise: depthwise_of(&taps, &[0.0; 40], axis), project: pointwise };
    assert_eq!(block.forward(&map(), false).shape(), [0, 3, 3, 24]);
    let tokens = Map::new([0, 1, 30, 40], Vec::new()).unwrap();
    let heads = Heads { query: &tokens, key: &tokens, value: &tokens, count: 4 };
    assert_eq!((heads.weights(), heads.attend(&mut []).shape()), (0, [0, 1, 30, 40]));
    sigmoid(&mut []);
    assert!(Map::filled([0, 2, 2, 3], |_, _| unreachable!()).is_ok());
    // Nothing to look at is another matter: no kernel has an output for it.
    for empty in [[2, 0, 6, 40], [2, 5, 0, 40], [0, 0, 0, 40]] {
        assert!(Map::new(empty, Vec::new()).is_err(), "{empty:?}");
        let [n, h, w, c] = empty;
        assert!(Map::of(Array4::zeros([n, c, h, w]).view()).is_err(), "{empty:?}");
    }
    assert!(Map::new([2, 1, 0, 4], Vec::new()).is_err());
    let (numbers, layout) = features_of(&none);
    let gates = Gates { channel: Some(&|_, _, logits| logits.fill(0.0)), spatial: None, gain: 1.0 };
    assert!(gated(&gates, FeatureMap { numbers: &numbers, layout, shape: [0, 40, 5, 6] }).is_err());
}

#[test]
fn gates_of_another_number_of_numbers_are_refused() {
    let gates = Gates { channel: Some(&of_pools), spatial: None, gain: 1.0 };
    let shape @ [n, c, h, w] = [2, 3, 4, 5];
    let right = [n * c * h * w, n * c * h * w, n * c, n * h * w];
    let run = |shape, counts: [usize; 4]| {
        let [numbers, mut features, mut channel, mut spatial] = counts.map(|count| vec![1.0; count]);
        let to = Gated { features: &mut features, channel: &mut channel, spatial: &mut spatial };
        gates.forward(FeatureMap { numbers: &numbers, layout: Layout::Planes, shape }, to)
    };
    assert!(run(shape, right).is_ok());
    for wrong in 0..4 {
        for count in [0, right[wrong] - 1, right[wrong] + 1] {
            let mut counts = right;
            counts[wrong] = count;
            assert!(run(shape, counts).is_err(), "{counts:?}");
        }
        let mut empty = shape;
        empty[wrong] = 0;
        let [n, c, h, w] = empty;
        assert!(run(empty, right).is_err(), "{empty:?}");
        assert!(run(empty, [n * c * h * w, n * c * h * w, n * c, n * h * w]).is_err(), "{empty:?}");
    }
}

#[test]
fn maps_of_other_channels_or_another_size_are_refused() {
    let axis = Axis { kernel: 3, stride: 1, padding: Padding::Same };
    let (right, other) = (ones([1, 4, 4, 32]), ones([1, 4, 4, 31]));
    let pointwise = || Pointwise::new(&[0.5; 8 * 32], &[0.0; 8], Clamp::NONE);
    assert!(!refuses(|| pointwise().forward(&right)) && refuses(|| pointwise().forward(&other)));
    for residual in [ones([1, 4, 4, 9]), ones([1, 4, 3, 8]), ones([2, 4, 4, 8])] {
        assert!(refuses(|| pointwise().forward_onto(&right, Some(&residual))), "{:?}", residual.shape());
        let convolution = Convolution::of(32, &[0.0; 8], |_, _| 0.5, axis, Clamp::NONE);
        assert!(!refuses(|| convolution.forward(&right, None)) && refuses(|| convolution.forward(&other, None)));
        assert!(refuses(|| convolution.forward(&right, Some(&residual))), "{:?}", residual.shape());
        assert!(refuses(|| right.clone().add(&residual, Clamp::NONE)), "{:?}", residual.shape());
    }
    assert!(refuses(|| pointwise().backward(&[1.0; 7])) && refuses(|| pointwise().backward(&[1.0; 9])));
    let depthwise = depthwise_of(&[1.0; 32 * 9], &[0.0; 32], axis);
    let block = InvertedResidual { expand: None, depthwise, project: pointwise() };
    assert!(!refuses(|| block.forward(&right, false)) && refuses(|| block.forward(&other, false)));
    assert!(refuses(|| block.forward(&right, true)), "8 channels have no residual of 32");
    let stem = |outputs: usize| Convolution::of(3, &vec![0.0; outputs], |_, _| 0.5, axis, Clamp::NONE);
    let picture = ones([1, 4, 4, 3]);
    assert!(!refuses(|| block.behind(&stem(32), &picture)));
    assert!(refuses(|| block.behind(&stem(31), &picture)) && refuses(|| block.behind(&stem(32), &right)));
    let attend = |[query, key, value]: [[usize; 4]; 3], count: usize, more: usize| {
        let [query, key, value] = [query, key, value].map(ones);
        let heads = Heads { query: &query, key: &key, value: &value, count };
        refuses(|| heads.attend(&mut vec![0.0; heads.weights() + more]))
    };
    let (queries, keys) = ([2, 1, 3, 8], [2, 1, 5, 8]);
    assert!(!attend([queries, keys, keys], 4, 0));
    assert!(attend([queries, keys, keys], 4, 1) && attend([queries, keys, keys], 3, 0));
    for wrong in [[1, 1, 5, 8], [2, 1, 5, 7], [2, 5, 1, 8]] {
        assert!(attend([queries, wrong, keys], 4, 0) && attend([queries, keys, wrong], 4, 0), "{wrong:?}");
    }
    assert!(attend([queries, keys, queries], 4, 0), "fewer values than keys");
}

#[test]
fn groups_that_fill_no_panels_are_refused() {
    let axis = Axis { kernel: 3, stride: 1, padding: Padding::Same };
    for (channels, groups, outputs, fits) in [
        (64, 2, 64, true),
        (96, 4, 96, false),  // 24 outputs each
        (40, 40, 40, false), // one output each
        (10, 3, 12, false),  // channels left over
        (12, 3, 10, false),  // outputs left over
    ] {
        let bias = vec![0.0; outputs];
        let refused = refuses(|| Convolution::grouped([channels, groups], &bias, |_, _| 0.5, axis, Clamp::NONE));
        assert_eq!(refused, !fits, "{channels} in {groups} groups to {outputs}");
    }
}

#[test]
fn an_axis_narrower_than_its_kernel_does_not_fit() {
    let axis = |kernel, stride, padding| Axis { kernel, stride, padding };
    for (axis, size, fits) in [
        (axis(2, 2, Padding::Each(0)), 1, false),
        (axis(2, 2, Padding::Each(0)), 2, true),
        (axis(3, 1, Padding::Each(1)), 1, true),
        (axis(7, 2, Padding::Each(3)), 0, false),
        (axis(7, 2, Padding::Each(2)), 2, false),
        (axis(5, 2, Padding::Same), 1, true),
        (axis(5, 2, Padding::Same), 0, false),
        (axis(1, 0, Padding::Same), 4, false),
        (axis(3, 2, Padding::Beyond), 1, false),
        (axis(3, 2, Padding::Beyond), 2, true), // one cell, as PyTorch has it
        (axis(3, 2, Padding::Beyond), 3, true),
        (axis(3, 0, Padding::Beyond), 3, false),
    ] {
        assert_eq!(axis.fits(size), fits, "{size} under {axis:?}");
        assert_eq!(catch_unwind(|| axis.cells(size)).is_ok(), fits, "{size} under {axis:?}");
    }
}

#[test]
#[should_panic(expected = "channels to project")]
fn a_projection_of_another_width_is_refused() {
    let axis = Axis { kernel: 3, stride: 1, padding: Padding::Same };
    let project = Pointwise::new(&[0.5; 8 * 64], &[0.0; 8], Clamp::NONE);
    let block = InvertedResidual { expand: None, depthwise: depthwise_of(&[1.0; 32 * 9], &[0.0; 32], axis), project };
    block.forward(&ones([1, 4, 4, 32]), false);
}

#[test]
fn gates_of_a_picture_are_the_same_bits_in_any_batch_and_with_any_threads() {
    let xs = Tensor::randn([5, 96, 37, 41], F32);
    let spatial = SpatialGate { weight: vec![0.01; 2 * 49], bias: 0.5, side: 7, replicate: false };
    let gates = Gates { channel: Some(&of_pools), spatial: Some(&spatial), gain: 4.0 };
    on_each_arch(|arch| {
        for xs in layouts(&xs) {
            let (numbers, layout) = features_of(&xs);
            // What becomes of the first of so many.
            let first_of = |images: usize| {
                let xs =
                    FeatureMap { numbers: &numbers[..images * numbers.len() / 5], layout, shape: [images, 96, 37, 41] };
                gated(&gates, xs).unwrap().map(|all| all[..all.len() / images].to_vec())
            };
            let alone = first_of(1);
            for threads in [1, 2, 3, 8] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                for images in 1..=5 {
                    let first = pool.install(|| first_of(images));
                    assert!(first == alone, "{arch}, {threads} threads, {images} images");
                }
            }
        }
    });
}

#[test]
fn what_is_no_number_stays_none_through_every_clamp() {
    on_each_arch(|arch| {
        let xs = || Map::new([1, 5, 5, 40], vec![f32::NAN; 5 * 5 * 40]).unwrap();
        let axis = Axis { kernel: 3, stride: 1, padding: Padding::Each(1) };
        let pointwise = Pointwise::new(&[1.0; 24 * 40], &[0.0; 24], Clamp::RELU6).forward(&xs());
        let convolution = Convolution::of(40, &[0.0; 8], |_, _| 1.0, axis, Clamp::RELU).forward(&xs(), None);
        let block = InvertedResidual {
            expand: None,
            depthwise: depthwise_of(&[1.0; 40 * 9], &[0.0; 40], axis),
            project: Pointwise::new(&[1.0; 8 * 40], &[0.0; 8], Clamp::NONE),
        };
        for ys in [pointwise, convolution, block.forward(&xs(), false)] {
            assert!(ys.numbers().iter().all(|y| y.is_nan()), "{arch}: {:?}", ys.shape());
        }
        let mut gates = vec![f32::NAN; 37];
        sigmoid(&mut gates);
        assert!(gates.iter().all(|gate| gate.is_nan()), "{arch}");
    });
}

#[test]
fn a_window_over_nothing_holds_the_least_number() {
    let xs = Map::new([1, 1, 1, 3], vec![1.0, 2.0, 3.0]).unwrap();
    let ys = max_pool(&xs, Axis { kernel: 1, stride: 1, padding: Padding::Each(1) });
    assert_eq!(ys.shape(), [1, 3, 3, 3]);
    let inside = |index: usize| (4 * 3..5 * 3).contains(&index);
    assert!(ys.numbers().iter().enumerate().all(|(index, y)| inside(index) != (*y == f32::NEG_INFINITY)));
    let beyond = |size, stride| {
        let xs = Map::new([1, size, 2, 1], vec![1.0; size * 2]).unwrap();
        max_pool(&xs, Axis { kernel: 2, stride, padding: Padding::Beyond }).height()
    };
    assert_eq!((beyond(4, 5), beyond(6, 5), beyond(2, 2)), (1, 2, 1), "no window begins behind the end");
}
