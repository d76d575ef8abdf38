//! Convolutions of every kind, and pooling.

use cbam::kernels::{Axis, Clamp, Convolution, Map, Padding, Pointwise, max_pool};
use tch::Tensor;

use super::{F32, assert_close, convolve, layouts, map_of, on_each_arch, tensor_of, values_of};

/// A convolution in groups of a PyTorch weight.
fn grouped(weight: &Tensor, bias: &Tensor, groups: i64, axis: Axis) -> Convolution {
    let channels = [weight.size()[1] * groups, groups].map(|count| count as usize);
    let (numbers, bias) = (values_of(weight), values_of(bias));
    let row = numbers.len() / bias.len();
    Convolution::grouped(channels, &bias, |output, index| numbers[output * row + index], axis, Clamp::RELU)
}

/// Compares a convolution, and one with a residual, with what libtorch makes of the map before its ReLU.
fn assert_convolves(name: &str, ours: &Convolution, map: &Map, theirs: &Tensor) {
    assert_close(name, &tensor_of(&ours.forward(map, None)), &theirs.relu());
    let residual = Tensor::randn_like(theirs);
    assert_close(name, &tensor_of(&ours.forward(map, Some(&map_of(&residual)))), &(theirs + residual).relu());
}

#[test]
fn pointwise_convolutions_are_libtorchs() {
    on_each_arch(|arch| {
        for (images, inputs, outputs, height, width) in
            [(1, 3, 5, 1, 1), (2, 17, 33, 3, 5), (1, 40, 24, 9, 11), (3, 8, 112, 14, 14), (1, 130, 70, 7, 7)]
        {
            let xs = Tensor::randn([images, inputs, height, width], F32);
            let (weight, bias) = (Tensor::randn([outputs, inputs, 1, 1], F32), Tensor::randn([outputs], F32));
            let theirs = xs.conv2d(&weight, Some(&bias), 1, 0, 1, 1).clamp(0.0, 6.0);
            let ours = Pointwise::new(&values_of(&weight), &values_of(&bias), Clamp::RELU6);
            for xs in layouts(&xs) {
                let ys = tensor_of(&ours.forward(&map_of(&xs)));
                assert_close(&format!("{arch} {inputs} to {outputs}"), &ys, &theirs);
            }
        }
    });
}

#[test]
fn what_goes_back_through_a_pointwise_convolution_is_libtorchs() {
    for (inputs, outputs) in [(3, 5), (17, 33), (40, 24), (1, 1), (130, 70), (64, 1000)] {
        let (weight, bias) = (Tensor::randn([outputs, inputs], F32), Tensor::randn([outputs], F32));
        let weights = Tensor::randn([outputs], F32);
        // Neither the bias nor the clamp is part of it.
        let ours = Pointwise::new(&values_of(&weight), &values_of(&bias), Clamp::RELU6);
        let back = Tensor::from_slice(&ours.backward(&values_of(&weights)));
        assert_close(&format!("{outputs} back to {inputs}"), &back, &weights.matmul(&weight));
    }
}

#[test]
fn convolutions_are_libtorchs() {
    on_each_arch(|arch| {
        for (channels, outputs, [height, width], kernel, stride, padding) in [
            (3, 20, [32, 48], 3, 2, Padding::Same),
            (3, 33, [33, 45], 3, 2, Padding::Same),
            (3, 64, [31, 50], 7, 2, Padding::Each(3)),
            (17, 40, [9, 14], 3, 1, Padding::Each(1)),
            (64, 70, [8, 7], 3, 2, Padding::Each(1)),
            (30, 35, [7, 9], 1, 2, Padding::Each(0)),
        ] {
            let name = format!("{arch} {channels} to {outputs}, {height}x{width} {kernel} {stride} {padding:?}");
            let side = kernel as i64;
            let xs = Tensor::randn([2, channels, height, width], F32);
            let (weight, bias) =
                (Tensor::randn([outputs, channels, side, side], F32) * 0.2, Tensor::randn([outputs], F32));
            let axis = Axis { kernel, stride, padding };
            let theirs = convolve(&xs, &weight, &bias, axis, 1);
            let numbers = values_of(&weight);
            let row = numbers.len() / outputs as usize;
            let weight = |output: usize, index: usize| numbers[output * row + index];
            let ours = Convolution::of(channels as usize, &values_of(&bias), weight, axis, Clamp::RELU);
            assert_eq!([ours.channels(), ours.outputs()], [channels, outputs].map(|count| count as usize), "{name}");
            assert_convolves(&name, &ours, &map_of(&xs), &theirs);
        }
    });
}

#[test]
fn convolutions_in_groups_are_libtorchs() {
    on_each_arch(|arch| {
        for (channels, groups, outputs, kernel) in [
            (128, 32, 128, 3),
            (512, 32, 512, 3),
            (1024, 32, 1024, 3),
            (2048, 32, 2048, 3),
            (24, 3, 24, 3),  // all groups in less than a panel
            (40, 5, 20, 3),  // the same, with fewer outputs
            (20, 2, 64, 3),  // a panel each, from no whole vectors
            (128, 8, 64, 5), // two panels of four groups each
            (64, 2, 128, 1), // several panels to a group, a kernel of one cell
        ] {
            for stride in [1, 2] {
                let name = format!("{arch} {channels} in {groups} groups to {outputs}, {kernel} {stride}");
                let side = kernel as i64;
                let xs = Tensor::randn([2, channels, 7, 5], F32);
                let (weight, bias) =
                    (Tensor::randn([outputs, channels / groups, side, side], F32) * 0.2, Tensor::randn([outputs], F32));
                let axis = Axis { kernel, stride, padding: Padding::Each(kernel / 2) };
                let theirs = xs.conv2d(&weight, Some(&bias), stride as i64, side / 2, 1, groups);
                let ours = grouped(&weight, &bias, groups, axis);
                assert_eq!([ours.channels(), ours.outputs()], [channels, outputs].map(|count| count as usize));
                assert_convolves(&name, &ours, &map_of(&xs), &theirs);
            }
        }
    });
}

#[test]
fn dilated_convolutions_are_libtorchs() {
    on_each_arch(|arch| {
        for (channels, groups, outputs, [height, width], stride, zeros, dilation) in [
            (40, 1, 70, [14, 14], 1, 4, 4),
            (64, 1, 32, [7, 9], 1, 4, 4), // most of the kernel is outside
            (17, 1, 33, [9, 14], 1, 2, 2),
            (40, 1, 24, [13, 10], 2, 2, 2),
            (12, 1, 20, [11, 12], 1, 0, 4), // without padding
            (128, 32, 128, [7, 7], 1, 2, 2),
            (64, 2, 64, [9, 8], 2, 4, 4),
        ] {
            let name = format!("{arch} {channels} to {outputs} of {height}x{width}, {stride}, {dilation} apart");
            let xs = Tensor::randn([2, channels, height, width], F32);
            let (weight, bias) =
                (Tensor::randn([outputs, channels / groups, 3, 3], F32) * 0.2, Tensor::randn([outputs], F32));
            let theirs = xs.conv2d(&weight, Some(&bias), stride, zeros, dilation, groups);
            let axis = Axis { kernel: 3, stride: stride as usize, padding: Padding::Each(zeros as usize) };
            let ours = grouped(&weight, &bias, groups, axis).dilated(dilation as usize);
            assert_convolves(&name, &ours, &map_of(&xs), &theirs);
        }
    });
}

#[test]
fn maxima_are_libtorchs() {
    for (size, kernel, stride, zeros) in [([112, 90], 3, 2, 1), ([9, 14], 2, 2, 0), ([7, 7], 3, 2, 1)] {
        let xs = Tensor::randn([2, 19, size[0], size[1]], F32) - 3.0;
        let theirs = xs.max_pool2d(kernel, stride, zeros, 1, false);
        let axis = Axis { kernel: kernel as usize, stride: stride as usize, padding: Padding::Each(zeros as usize) };
        let ours = max_pool(&map_of(&xs), axis);
        assert!(tensor_of(&ours).equal(&theirs), "{size:?}");
    }
}

#[test]
fn maxima_beyond_the_end_are_libtorchs() {
    let axis = Axis { kernel: 3, stride: 2, padding: Padding::Beyond };
    for size in (7..=14).flat_map(|height| (7..=14).map(move |width| [height, width])) {
        let xs = Tensor::randn([2, 19, size[0], size[1]], F32) - 3.0;
        let theirs = xs.max_pool2d(3, 2, 0, 1, true);
        let ours = tensor_of(&max_pool(&map_of(&xs), axis));
        assert_eq!(ours.size(), theirs.size(), "{size:?}");
        assert!(ours.equal(&theirs), "{size:?}");
    }
}
