//! Layers in bfloat16, on every unit that this machine has for it; on a machine without one these tests have nothing to look at.

use cbam_core::kernels::bf16::{Unit, units};
use cbam_core::kernels::{Axis, Clamp, Convolution, Depthwise, InvertedResidual, Map, Padding, Pointwise};
use half::bf16;

use super::{Plain, convolve, map, maps_close, numbers};

const ONE: Axis = Axis { kernel: 1, stride: 1, padding: Padding::Same };
const TIGHT: Clamp = Clamp { low: -0.1, high: 0.3 };

fn on_each_unit(test: impl Fn(Unit)) {
    for unit in units() {
        test(*unit);
    }
}

fn rounded(x: f32) -> f32 {
    bf16::from_f32(x).to_f32()
}

/// Numbers that bfloat16 has, so that products are exact.
fn brief(count: usize, seed: u32) -> Vec<f32> {
    numbers(count, seed).into_iter().map(rounded).collect()
}

fn brief_map(shape: [usize; 4], seed: u32) -> Map {
    Map::new(shape, brief(shape.iter().product(), seed)).unwrap()
}

#[test]
fn pointwise_layers_are_those_of_plain_loops() {
    // Inputs, outputs; images, height, width: of one tile and of two, of part of a tile, of several blocks of positions.
    let cases = [
        (1, 1, [1, 1, 1]),
        (7, 33, [2, 5, 7]),
        (33, 7, [1, 5, 7]),
        (32, 16, [1, 4, 4]),
        (64, 48, [3, 4, 8]),
        (100, 65, [3, 1, 17]),
        (31, 40, [1, 19, 21]),
    ];
    on_each_unit(|unit| {
        for (seed, (inputs, outputs, [images, height, width])) in (1..).zip(cases) {
            let name = format!("{unit:?} {inputs} {outputs} {images}x{height}x{width}");
            let (weight, bias) = (brief(inputs * outputs, seed), numbers(outputs, seed + 100));
            let xs = brief_map([images, height, width, inputs], seed + 200);
            let of = |output: usize, input: usize| weight[output * inputs + input];
            let plain = convolve(&Plain::of(&xs), &of, &bias, ONE, 1, 1);
            let ours = Pointwise::new(&weight, &bias, TIGHT).in_bf16(unit);
            maps_close(&name, &ours.forward(&xs), &plain.clamped(TIGHT));
            let residual = map(plain.shape, seed + 300);
            let onto = plain.add(&Plain::of(&residual)).clamped(TIGHT);
            maps_close(&name, &ours.forward_onto(&xs, Some(&residual)), &onto);
        }
    });
}

/// To the nearest, of two as near the even one; and what lies behind the last position plays no part, whatever it is.
#[test]
fn numbers_are_rounded() {
    let (inputs, outputs) = (40, 20);
    let xs = map([1, 3, 5, inputs], 1);
    let weight = numbers(inputs * outputs, 2);
    let fine = Plain::from(xs.shape(), |at| f64::from(rounded(Plain::of(&xs).at(at) as f32)));
    let of = |output: usize, input: usize| rounded(weight[output * inputs + input]);
    let plain = convolve(&fine, &of, &[0.0; 20], ONE, 1, 1);
    let spoilt = Map::new([1, 40, 1, inputs], vec![f32::NAN; 40 * inputs]).unwrap();
    on_each_unit(|unit| {
        let ours = Pointwise::new(&weight, &[0.0; 20], Clamp::NONE).in_bf16(unit);
        assert!(ours.forward(&spoilt).numbers().iter().all(|x| x.is_nan()), "{unit:?}");
        maps_close(&format!("{unit:?}"), &ours.forward(&xs), &plain);
    });
}

#[test]
fn convolutions_are_those_of_plain_loops() {
    use Padding::{Each, Same};
    let axis = |kernel, stride, padding| Axis { kernel, stride, padding };
    // The axis; channels, groups, outputs; dilation; images, height, width.
    let cases = [
        (axis(3, 1, Each(1)), [16, 1, 33], 1, [2, 5, 7]),
        (axis(3, 2, Each(1)), [64, 1, 40], 1, [1, 9, 40]),
        (axis(1, 2, Each(0)), [33, 1, 7], 1, [1, 5, 7]),
        (axis(7, 2, Each(3)), [17, 1, 16], 1, [1, 11, 6]),
        (axis(3, 1, Each(4)), [20, 1, 17], 4, [1, 5, 7]),
        (axis(5, 2, Same), [32, 1, 65], 1, [3, 5, 19]),
        (axis(3, 1, Same), [3, 1, 33], 1, [1, 5, 7]), // these two stay as they are
        (axis(3, 1, Each(1)), [64, 8, 64], 1, [1, 5, 7]),
    ];
    on_each_unit(|unit| {
        for (seed, (axis, [channels, groups, outputs], dilation, [images, height, width])) in (1..).zip(cases) {
            let name = format!("{unit:?} {axis:?} {channels}/{groups} {outputs} {dilation} {height}x{width}");
            let xs = brief_map([images, height, width, channels], seed);
            let inputs = channels / groups * axis.kernel * axis.kernel;
            let (weight, bias) = (brief(outputs * inputs, seed + 100), numbers(outputs, seed + 200));
            let weight = |output: usize, index: usize| weight[output * inputs + index];
            let plain = convolve(&Plain::of(&xs), &weight, &bias, axis, groups, dilation);
            let ours = Convolution::grouped([channels, groups], &bias, weight, axis, TIGHT);
            let ours = ours.dilated(dilation).in_bf16(unit);
            maps_close(&name, &ours.forward(&xs, None), &plain.clamped(TIGHT));
            let residual = map(plain.shape, seed + 300);
            let onto = plain.add(&Plain::of(&residual)).clamped(TIGHT);
            maps_close(&name, &ours.forward(&xs, Some(&residual)), &onto);
        }
    });
}

#[test]
fn inverted_residuals_are_those_of_plain_loops() {
    use Padding::{Each, Same};
    // Kernel, stride, padding; channels: of the input, widened, of the output; images, height, width.
    let cases = [
        (3, 1, Same, [16, 96, 24], [2, 7, 20]),
        (5, 2, Same, [24, 42, 9], [1, 9, 17]),
        (5, 1, Each(2), [17, 65, 17], [3, 3, 10]),
        (3, 2, Each(1), [4, 24, 33], [1, 17, 40]),
    ];
    on_each_unit(|unit| {
        for (seed, (kernel, stride, padding, [inputs, wide, outputs], [images, height, width])) in (1..).zip(cases) {
            let name = format!("{unit:?} {kernel} {stride} {padding:?} {inputs} {wide} {outputs} {height}x{width}");
            let axis = Axis { kernel, stride, padding };
            let xs = brief_map([images, height, width, inputs], seed);
            let layer = |count: usize, outputs: usize, seed: u32| (brief(count, seed), numbers(outputs, seed + 1));
            let (expand, expand_bias) = layer(inputs * wide, wide, seed + 10);
            let (filter, filter_bias) = layer(kernel * kernel * wide, wide, seed + 20);
            let (project, project_bias) = layer(wide * outputs, outputs, seed + 30);
            let taps = kernel * kernel;
            let of = |weight: &[f32], row: usize, output: usize, input: usize| weight[output * row + input];
            let block = |expands: bool| {
                let tap = |channel, tap| of(&filter, taps, channel, tap);
                let block = InvertedResidual {
                    expand: expands.then(|| Pointwise::new(&expand, &expand_bias, Clamp::RELU6)),
                    depthwise: Depthwise::of(&filter_bias, tap, axis, TIGHT),
                    project: Pointwise::new(&project, &project_bias, Clamp::NONE),
                };
                block.in_bf16(unit)
            };
            let branch = |wide: &Plain| {
                let filtered = convolve(wide, &|o, i| of(&filter, taps, o, i), &filter_bias, axis, wide.shape[3], 1);
                let filtered = filtered.clamped(TIGHT);
                let filtered = Plain::from(filtered.shape, |at| f64::from(rounded(filtered.at(at) as f32)));
                convolve(&filtered, &|o, i| of(&project, wide.shape[3], o, i), &project_bias, ONE, 1, 1)
            };
            // What is filtered is rounded, here of f64 and there of f32: now and then to the other side.
            let near = |ours: &Map, theirs: &Plain| {
                assert_eq!(ours.shape(), theirs.shape, "{name}");
                for (ours, theirs) in ours.numbers().iter().zip(&theirs.numbers) {
                    assert!((f64::from(*ours) - theirs).abs() < 3e-3, "{name}: {ours}, not {theirs}");
                }
            };
            let expanded = convolve(&Plain::of(&xs), &|o, i| of(&expand, inputs, o, i), &expand_bias, ONE, 1, 1);
            let plain = branch(&expanded.clamped(Clamp::RELU6));
            near(&block(true).forward(&xs, false), &plain);
            if plain.shape == xs.shape() {
                near(&block(true).forward(&xs, true), &plain.add(&Plain::of(&xs)));
            }
            let given = brief_map([images, height, width, wide], seed + 40);
            near(&block(false).forward(&given, false), &branch(&Plain::of(&given)));
        }
    });
}
