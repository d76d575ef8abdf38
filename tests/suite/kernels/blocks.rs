//! Inverted residual blocks, with and without a stem before them.

use cbam::kernels::{Axis, Clamp, Convolution, InvertedResidual, Map, Padding, Pointwise};
use tch::Tensor;

use super::{F32, assert_close, convolve, depthwise_of, map_of, on_each_arch, tensor_of, values_of};

#[test]
fn inverted_residuals_are_libtorchs() {
    on_each_arch(|arch| {
        for (kernel, stride, padding, channels, [height, width], residual) in [
            (3, 1, Padding::Same, [16, 96, 16], [13, 10], true),
            (3, 2, Padding::Same, [10, 60, 24], [16, 18], false),
            (5, 1, Padding::Same, [24, 144, 24], [21, 7], true),
            (5, 2, Padding::Same, [7, 42, 9], [15, 20], false),
            (3, 2, Padding::Each(1), [12, 72, 20], [17, 33], false),
            (3, 1, Padding::Each(1), [33, 33, 8], [40, 3], false),
            (5, 1, Padding::Same, [8, 48, 8], [1, 1], true),
            (3, 1, Padding::Same, [16, 16, 16], [9, 14], true), // one panel
            (5, 2, Padding::Same, [9, 27, 40], [12, 11], false),
        ] {
            let name = format!("{arch} {kernel} {stride} {padding:?} {channels:?} {height}x{width}");
            let [inputs, hidden, outputs] = channels;
            let axis = Axis { kernel, stride, padding };
            let xs = Tensor::randn([3, inputs, height, width], F32);
            let random = |size: &[i64]| (Tensor::randn(size, F32) * 0.3, Tensor::randn([size[0]], F32) * 0.3);
            let side = kernel as i64;
            let (expand, depthwise, project) =
                (random(&[hidden, inputs, 1, 1]), random(&[hidden, 1, side, side]), random(&[outputs, hidden, 1, 1]));
            let expands = hidden != inputs;
            let wide = if expands {
                xs.conv2d(&expand.0, Some(&expand.1), 1, 0, 1, 1).clamp(0.0, 6.0)
            } else {
                xs.shallow_clone()
            };
            let filtered = convolve(&wide, &depthwise.0, &depthwise.1, axis, hidden).clamp(0.0, 6.0);
            let branch = filtered.conv2d(&project.0, Some(&project.1), 1, 0, 1, 1);
            let pointwise =
                |(weight, bias): &(Tensor, Tensor), clamp| Pointwise::new(&values_of(weight), &values_of(bias), clamp);
            let block = InvertedResidual {
                expand: expands.then(|| pointwise(&expand, Clamp::RELU6)),
                depthwise: depthwise_of(&values_of(&depthwise.0), &values_of(&depthwise.1), axis),
                project: pointwise(&project, Clamp::NONE),
            };
            assert_eq!(block.inputs(), inputs as usize, "{name}");
            let map = map_of(&xs);
            let theirs = if residual { &branch + &xs } else { branch.shallow_clone() };
            assert_close(&name, &tensor_of(&block.forward(&map, residual)), &theirs);
            let wide = map_of(&wide);
            assert_close(&name, &tensor_of(&block.filter(&wide, None)), &branch);
            if residual {
                assert_close(&name, &tensor_of(&block.filter(&wide, Some(&map))), &theirs);
            }
        }
    });
}

#[test]
fn blocks_behind_a_stem_are_libtorchs() {
    on_each_arch(|arch| {
        let same = |kernel, stride| Axis { kernel, stride, padding: Padding::Same };
        let each = Axis { kernel: 3, stride: 2, padding: Padding::Each(1) };
        for (stem_axis, axis, wide, outputs, [height, width]) in [
            (same(3, 2), same(3, 1), 32, 16, [24, 37]),
            (each, Axis { stride: 1, ..each }, 20, 50, [33, 16]),
            (same(5, 1), same(3, 2), 70, 24, [10, 9]), // several panels
            (same(1, 1), same(5, 1), 7, 3, [6, 5]),    // without padding
        ] {
            let name = format!("{arch} {stem_axis:?} {wide} {outputs} {height}x{width}");
            let xs = Tensor::randn([2, 3, height, width], F32);
            let random = |size: &[i64]| (Tensor::randn(size, F32) * 0.3, Tensor::randn([size[0]], F32) * 0.3);
            let sides = [stem_axis.kernel as i64, axis.kernel as i64];
            let stem = random(&[wide, 3, sides[0], sides[0]]);
            let (depthwise, project) = (random(&[wide, 1, sides[1], sides[1]]), random(&[outputs, wide, 1, 1]));
            let features = convolve(&xs, &stem.0, &stem.1, stem_axis, 1).clamp(0.0, 6.0);
            let filtered = convolve(&features, &depthwise.0, &depthwise.1, axis, wide).clamp(0.0, 6.0);
            let theirs = filtered.conv2d(&project.0, Some(&project.1), 1, 0, 1, 1);
            let (weight, row) = (values_of(&stem.0), 3 * stem_axis.kernel * stem_axis.kernel);
            let stem = Convolution::of(3, &values_of(&stem.1), |o, i| weight[o * row + i], stem_axis, Clamp::RELU6);
            let block = InvertedResidual {
                expand: None,
                depthwise: depthwise_of(&values_of(&depthwise.0), &values_of(&depthwise.1), axis),
                project: Pointwise::new(&values_of(&project.0), &values_of(&project.1), Clamp::NONE),
            };
            let map = map_of(&xs);
            assert_close(&name, &tensor_of(&block.behind(&stem, &map)), &theirs);
            let one = map.part(1..2);
            assert_close(&name, &tensor_of(&block.behind(&stem, &one)), &theirs.narrow(0, 1, 1));
        }
    });
}

#[test]
fn one_image_and_many_on_any_number_of_threads_are_the_same() {
    let axis = Axis { kernel: 5, stride: 1, padding: Padding::Same };
    let random = |size: &[i64]| values_of(&(Tensor::randn(size, F32) * 0.2));
    let block = InvertedResidual {
        expand: Some(Pointwise::new(&random(&[144, 24]), &random(&[144]), Clamp::RELU6)),
        depthwise: depthwise_of(&random(&[144, 25]), &random(&[144]), axis),
        project: Pointwise::new(&random(&[24, 144]), &random(&[24]), Clamp::NONE),
    };
    let xs = map_of(&Tensor::randn([8, 24, 28, 28], F32));
    let run = |xs: &Map| block.forward(xs, true);
    let (all, one) = (run(&xs), xs.part(3..4));
    for threads in [1, 2, 3, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let maps = pool.install(|| [run(&xs), run(&one)]);
        assert!(maps[0] == all, "{threads} threads");
        assert!(maps[1] == all.part(3..4), "{threads} threads, one image");
    }
}
