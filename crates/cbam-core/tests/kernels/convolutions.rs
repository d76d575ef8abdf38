//! Convolutions of every kind, and pooling.

use cbam_core::kernels::{Axis, Clamp, Convolution, Map, Padding, Pointwise, max_pool};

use super::{Plain, cells, close, convolve, few, map, maps_close, numbers, on_each_arch};

const fn axis(kernel: usize, stride: usize, padding: Padding) -> Axis {
    Axis { kernel, stride, padding }
}

#[test]
fn convolutions_are_those_of_plain_loops() {
    use Padding::{Each, Same};
    // The axis; channels, groups, outputs; dilation; images, height, width.
    let cases = [
        (axis(3, 1, Same), [1, 1, 1], 1, [1, 1, 1]),
        (axis(3, 2, Each(1)), [3, 1, 33], 1, [2, 5, 7]),
        (axis(7, 2, Each(3)), [3, 1, 17], 1, [1, 11, 6]),
        (axis(5, 2, Same), [7, 1, 7], 1, [1, 5, 7]),
        (axis(2, 1, Same), [17, 1, 40], 1, [1, 4, 3]),
        (axis(3, 1, Each(0)), [33, 1, 65], 1, [1, 3, 9]),
        (axis(1, 1, Each(0)), [7, 1, 33], 1, [2, 5, 7]),
        (axis(1, 2, Each(0)), [17, 1, 7], 1, [1, 5, 7]),
        (axis(1, 1, Each(2)), [3, 1, 5], 1, [1, 2, 1]),
        (axis(3, 1, Each(4)), [7, 1, 17], 4, [1, 5, 7]), // as BAM's
        (axis(3, 2, Each(1)), [5, 1, 33], 3, [1, 9, 8]),
        (axis(3, 1, Same), [9, 1, 1], 2, [2, 1, 5]),
        (axis(3, 1, Each(1)), [14, 7, 21], 1, [1, 5, 7]), // all groups in one panel
        (axis(3, 2, Each(1)), [64, 8, 64], 1, [1, 5, 7]), // four groups a panel
        (axis(3, 1, Each(2)), [66, 2, 64], 2, [1, 5, 4]), // a panel a group
        (axis(1, 1, Same), [34, 17, 17], 1, [1, 3, 5]),
        (axis(3, 1, Each(9)), [1, 1, 7], 1, [1, 1, 1]), // more padding than map
    ];
    on_each_arch(|arch| {
        for (seed, (axis, [channels, groups, outputs], dilation, [images, height, width])) in (1..).zip(few(cases)) {
            let name = format!("{arch} {axis:?} {channels}/{groups} {outputs} {dilation} {height}x{width}");
            let (taps, xs) = (axis.kernel * axis.kernel, map([images, height, width, channels], seed));
            let inputs = channels / groups * taps;
            let (weight, bias) = (numbers(outputs * inputs, seed + 100), numbers(outputs, seed + 200));
            let weight = |output: usize, index: usize| weight[output * inputs + index];
            let plain = convolve(&Plain::of(&xs), &weight, &bias, axis, groups, dilation);
            for clamp in [Clamp::NONE, Clamp::RELU, Clamp { low: -0.5, high: 0.25 }] {
                let ours = Convolution::grouped([channels, groups], &bias, weight, axis, clamp).dilated(dilation);
                maps_close(&name, &ours.forward(&xs, None), &plain.clamped(clamp));
                let residual = map(plain.shape, seed + 300);
                let onto = plain.add(&Plain::of(&residual)).clamped(clamp);
                maps_close(&name, &ours.forward(&xs, Some(&residual)), &onto);
            }
        }
    });
}

#[test]
fn pointwise_layers_are_those_of_plain_loops() {
    let cases = [
        (1, 1, [1, 1, 1]),
        (7, 33, [2, 5, 7]),
        (33, 7, [1, 5, 7]),
        (17, 65, [3, 1, 13]),
        (64, 31, [1, 16, 9]), // more than one block of positions
        (600, 40, [1, 1, 3]), // several parts on the way back
    ];
    on_each_arch(|arch| {
        for (seed, (inputs, outputs, [images, height, width])) in (1..).zip(few(cases)) {
            let name = format!("{arch} {inputs} {outputs} {images}x{height}x{width}");
            let (weight, bias) = (numbers(inputs * outputs, seed), numbers(outputs, seed + 100));
            let xs = map([images, height, width, inputs], seed + 200);
            let of = |output: usize, input: usize| weight[output * inputs + input];
            let plain = convolve(&Plain::of(&xs), &of, &bias, axis(1, 1, Padding::Same), 1, 1);
            let ours = Pointwise::new(&weight, &bias, Clamp::RELU6);
            maps_close(&name, &ours.forward(&xs), &plain.clamped(Clamp::RELU6));
            let residual = map(plain.shape, seed + 300);
            let onto = plain.add(&Plain::of(&residual)).clamped(Clamp::RELU6);
            maps_close(&name, &ours.forward_onto(&xs, Some(&residual)), &onto);
            // Of every output, and of some of them alone.
            let all = numbers(outputs, seed + 400);
            let some = all.iter().enumerate().map(|(output, x)| if output % 5 == 2 { *x } else { 0.0 }).collect();
            for weights in [all.clone(), some] {
                let back = |input| (0..outputs).map(|o| f64::from(of(o, input)) * f64::from(weights[o])).sum();
                close(&name, &ours.backward(&weights), &(0..inputs).map(back).collect::<Vec<f64>>());
            }
        }
    });
}

#[test]
fn pooling_is_that_of_plain_loops() {
    use Padding::{Beyond, Each, Same};
    let cases = [
        (axis(3, 2, Each(1)), [2, 5, 7, 33]),
        (axis(3, 2, Beyond), [1, 6, 7, 7]),
        (axis(2, 2, Beyond), [1, 5, 4, 17]),
        (axis(1, 3, Beyond), [1, 5, 8, 1]),
        (axis(3, 1, Same), [1, 1, 1, 1]),
        (axis(2, 2, Each(0)), [1, 5, 7, 40]),
        (axis(2, 1, Each(3)), [1, 1, 2, 3]), // windows without a cell of the map
    ];
    on_each_arch(|arch| {
        for (seed, (axis, shape)) in (1..).zip(few(cases)) {
            let xs = map(shape, seed);
            let plain = Plain::of(&xs);
            let [(rows, above), (columns, left)] = [shape[1], shape[2]].map(|side| cells(axis, axis.kernel, side));
            let pooled = Plain::from([shape[0], rows, columns, shape[3]], |[image, y, x, channel]| {
                let under = |cell: usize, tap: usize, before: usize| (cell * axis.stride + tap).checked_sub(before);
                let taps = (0..axis.kernel * axis.kernel).filter_map(|tap| {
                    let place = [under(y, tap / axis.kernel, above), under(x, tap % axis.kernel, left)];
                    plain.inside(image, place, channel)
                });
                taps.fold(f64::NEG_INFINITY, f64::max)
            });
            let ours = max_pool(&xs, axis);
            assert_eq!(ours.shape(), pooled.shape, "{arch} {axis:?}");
            assert!(ours.numbers().iter().zip(&pooled.numbers).all(|(ours, theirs)| f64::from(*ours) == *theirs));
        }
    });
}

#[test]
fn maps_add_and_average_as_plain_loops_do() {
    let (xs, other) = (map([2, 5, 7, 33], 1), map([2, 5, 7, 33], 2));
    let (plain, sum) = (Plain::of(&xs), Plain::of(&xs).add(&Plain::of(&other)));
    let mean = Plain::from([2, 1, 1, 33], |[image, _, _, channel]| {
        (0..35).map(|place| plain.at([image, place / 7, place % 7, channel])).sum::<f64>() / 35.0
    });
    maps_close("mean", &xs.mean(), &mean);
    maps_close("clamped", &xs.clone().clamped(Clamp::RELU), &plain.clamped(Clamp::RELU));
    maps_close("sum", &Map::add(xs, &other, Clamp::RELU), &sum.clamped(Clamp::RELU));
}
