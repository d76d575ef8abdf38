//! Inverted residual blocks, and the depthwise convolution in them.

use cbam_core::kernels::{Axis, Clamp, Convolution, Depthwise, InvertedResidual, Padding, Pointwise};

use super::{Plain, convolve, few, map, maps_close, numbers, on_each_arch};

/// A layer's numbers: `[outputs, inputs]`, and its biases.
struct Layer {
    inputs: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    fn of(inputs: usize, outputs: usize, seed: u32) -> Self {
        let scaled = |count, seed| numbers(count, seed).into_iter().map(|x| x / 2.0).collect();
        Self { inputs, weight: scaled(inputs * outputs, seed), bias: scaled(outputs, seed + 1) }
    }

    fn at(&self, output: usize, input: usize) -> f32 {
        self.weight[output * self.inputs + input]
    }

    fn plain(&self, xs: &Plain, axis: Axis, groups: usize) -> Plain {
        convolve(xs, &|output, index| self.at(output, index), &self.bias, axis, groups, 1)
    }
}

/// Limits that many features reach, on both sides.
const TIGHT: Clamp = Clamp { low: -0.1, high: 0.3 };
const ONE: Axis = Axis { kernel: 1, stride: 1, padding: Padding::Same };

#[test]
fn inverted_residuals_are_those_of_plain_loops() {
    use Padding::{Beyond, Each, Same};
    // Kernel, stride, padding; channels: of the input, widened, of the output; images, height, width.
    let cases = [
        (3, 1, Same, [1, 1, 1], [1, 1, 1]),
        (3, 1, Same, [7, 33, 7], [1, 5, 7]),
        (5, 2, Same, [7, 42, 9], [2, 5, 7]),
        (5, 1, Same, [17, 65, 17], [1, 3, 10]),
        (3, 2, Each(1), [12, 70, 40], [1, 17, 9]),
        (3, 2, Each(0), [4, 24, 33], [2, 5, 7]), // one panel, with a pointwise layer behind each row
        (3, 1, Each(3), [5, 5, 5], [1, 2, 1]),
        (5, 1, Same, [33, 33, 1], [1, 1, 9]),
        (3, 2, Beyond, [3, 40, 2], [1, 8, 6]),
        (3, 1, Same, [3, 32, 3], [1, 24, 11]), // several ranges of rows
    ];
    on_each_arch(|arch| {
        for (seed, (kernel, stride, padding, [inputs, wide, outputs], [images, height, width])) in (1..).zip(few(cases))
        {
            let name = format!("{arch} {kernel} {stride} {padding:?} {inputs} {wide} {outputs} {height}x{width}");
            let axis = Axis { kernel, stride, padding };
            let xs = map([images, height, width, inputs], seed);
            let (expand, filter, project) = (
                Layer::of(inputs, wide, seed + 10),
                Layer::of(kernel * kernel, wide, seed + 20),
                Layer::of(wide, outputs, seed + 30),
            );
            let pointwise = |layer: &Layer, clamp| Pointwise::new(&layer.weight, &layer.bias, clamp);
            let block = |expands: bool| InvertedResidual {
                expand: expands.then(|| pointwise(&expand, Clamp::RELU6)),
                depthwise: Depthwise::of(&filter.bias, |channel, tap| filter.at(channel, tap), axis, TIGHT),
                project: pointwise(&project, Clamp::NONE),
            };
            let filtered = |wide: &Plain| {
                let filtered = filter.plain(wide, axis, wide.shape[3]).clamped(TIGHT);
                project.plain(&filtered, ONE, 1)
            };
            let branch = filtered(&expand.plain(&Plain::of(&xs), ONE, 1).clamped(Clamp::RELU6));
            maps_close(&name, &block(true).forward(&xs, false), &branch);
            if branch.shape == xs.shape() {
                maps_close(&name, &block(true).forward(&xs, true), &branch.add(&Plain::of(&xs)));
            }
            let expanded = map([images, height, width, wide], seed + 40);
            let branch = filtered(&Plain::of(&expanded));
            let residual = map(branch.shape, seed + 50);
            maps_close(&name, &block(false).forward(&expanded, false), &branch);
            let onto = branch.add(&Plain::of(&residual));
            maps_close(&name, &block(true).filter(&expanded, Some(&residual)), &onto);
        }
    });
}

#[test]
fn blocks_behind_a_stem_are_those_of_plain_loops() {
    let stem_axis = Axis { kernel: 3, stride: 2, padding: Padding::Each(1) };
    let cases = [
        (stem_axis, 3, Padding::Each(1), [3, 32, 16], [1, 9, 12]),
        (Axis { padding: Padding::Same, ..stem_axis }, 5, Padding::Same, [1, 40, 7], [2, 5, 7]),
        (ONE, 3, Padding::Same, [7, 17, 33], [1, 5, 7]),
    ];
    on_each_arch(|arch| {
        for (seed, (stem_axis, kernel, padding, [inputs, wide, outputs], [images, height, width])) in
            (1..).zip(few(cases))
        {
            let name = format!("{arch} {stem_axis:?} {kernel} {wide} {height}x{width}");
            let (taps, axis) = (stem_axis.kernel * stem_axis.kernel, Axis { kernel, stride: 1, padding });
            let xs = map([images, height, width, inputs], seed);
            let stem = Layer::of(inputs * taps, wide, seed + 10);
            let (filter, project) = (Layer::of(kernel * kernel, wide, seed + 20), Layer::of(wide, outputs, seed + 30));
            let wide_features = stem.plain(&Plain::of(&xs), stem_axis, 1).clamped(Clamp::RELU6);
            let filtered = filter.plain(&wide_features, axis, wide).clamped(Clamp::RELU6);
            let block = InvertedResidual {
                expand: None,
                depthwise: Depthwise::of(&filter.bias, |channel, tap| filter.at(channel, tap), axis, Clamp::RELU6),
                project: Pointwise::new(&project.weight, &project.bias, Clamp::NONE),
            };
            let weight = |output: usize, index: usize| stem.at(output, index);
            let stem = Convolution::of(inputs, &stem.bias, weight, stem_axis, Clamp::RELU6);
            maps_close(&name, &block.behind(&stem, &xs), &project.plain(&filtered, ONE, 1));
        }
    });
}
