//! Channel gates (a perceptron over pools as CBAM's and squeeze-and-excitation's, a sliding kernel as ECA's), spatial gates, both.

use cbam_core::kernels::{FeatureMap, Gated, Gates, Layout, Mlp, SpatialGate, sigmoid};

use super::{close, few, numbers, on_each_arch};

fn sigmoid_of(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn doubles(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().copied().map(f64::from).collect()
}

/// Which numbers stand where: `[C, H · W]` or `[H · W, C]`.
fn index(layout: Layout, [channels, positions]: [usize; 2], channel: usize, position: usize) -> usize {
    match layout {
        Layout::Planes => channel * positions + position,
        Layout::Pixels => position * channels + channel,
    }
}

/// A perceptron's numbers: both layers, both biases.
struct Perceptron([Vec<f32>; 4]);

impl Perceptron {
    fn of(channels: usize, hidden: usize, seed: u32) -> Self {
        let counts = [hidden * channels, channels * hidden, hidden, channels];
        let mut seeds = seed..;
        Self(counts.map(|count| numbers(count, seeds.next().unwrap_or_default())))
    }

    fn mlp(&self, biased: bool) -> Mlp<'_> {
        let [first, second, first_bias, second_bias] = self.0.each_ref().map(Vec::as_slice);
        let bias = |bias| biased.then_some(bias);
        Mlp { first, first_bias: bias(first_bias), second, second_bias: bias(second_bias) }
    }

    /// The sum over the inputs, in plain loops.
    fn plain(&self, biased: bool, inputs: &[Vec<f64>]) -> Vec<f64> {
        let [first, second, first_bias, second_bias] = self.0.each_ref().map(|numbers| doubles(numbers));
        let on = if biased { 1.0 } else { 0.0 };
        let (channels, hidden) = (second_bias.len(), first_bias.len());
        let mut sums = vec![0.0; channels];
        for input in inputs {
            let hidden: Vec<f64> = (0..hidden)
                .map(|row| {
                    let sum: f64 = (0..channels).map(|i| first[row * channels + i] * input[i]).sum();
                    (sum + on * first_bias[row]).max(0.0)
                })
                .collect();
            for (row, sum) in sums.iter_mut().enumerate() {
                let own: f64 = hidden.iter().enumerate().map(|(i, x)| second[row * hidden.len() + i] * x).sum();
                *sum += own + on * second_bias[row];
            }
        }
        sums
    }
}

/// The logits of a spatial gate, in plain loops, from the maxima and the means over the channels.
fn convolved(gate: &SpatialGate, pools: &[Vec<f64>; 2], [height, width]: [usize; 2]) -> Vec<f64> {
    let (side, margin) = (gate.side, gate.side as isize / 2);
    let mut logits = Vec::new();
    for place in 0..height * width {
        let mut sum = f64::from(gate.bias);
        for (plane, pool) in pools.iter().enumerate() {
            for tap in 0..side * side {
                let y = (place / width) as isize + (tap / side) as isize - margin;
                let x = (place % width) as isize + (tap % side) as isize - margin;
                let [inner_y, inner_x] = [y.clamp(0, height as isize - 1), x.clamp(0, width as isize - 1)];
                if gate.replicate || (inner_y, inner_x) == (y, x) {
                    let value = pool[inner_y as usize * width + inner_x as usize];
                    sum += f64::from(gate.weight[plane * side * side + tap]) * value;
                }
            }
        }
        logits.push(sum);
    }
    logits
}

#[test]
fn gates_are_those_of_plain_loops() {
    // Images, channels, height, width; the side of the spatial kernel, and whether it replicates.
    let cases = [
        ([1, 1, 1, 1], 7, true),
        ([1, 7, 5, 7], 3, false),
        ([2, 17, 1, 9], 7, false),
        ([3, 33, 5, 7], 7, true),
        ([1, 64, 2, 33], 5, true),
        ([1, 130, 24, 23], 7, false), // several ranges
    ];
    on_each_arch(|arch| {
        for (seed, (shape, side, replicate)) in (1..).zip(few(cases)) {
            for layout in [Layout::Planes, Layout::Pixels] {
                for (channelwise, spatially) in [(true, true), (true, false), (false, true), (false, false)] {
                    let name = format!("{arch} {shape:?} {side} {layout:?} {channelwise} {spatially}");
                    let weight = numbers(2 * side * side, seed + 10);
                    let gate = SpatialGate { weight, bias: 0.25, side, replicate };
                    check(&name, shape, layout, channelwise, spatially.then_some(&gate), seed);
                }
            }
        }
    });
}

fn check(name: &str, shape: [usize; 4], layout: Layout, channelwise: bool, spatial: Option<&SpatialGate>, seed: u32) {
    const GAIN: f32 = 1.5;
    let [images, channels, height, width] = shape;
    let (positions, count) = (height * width, channels * height * width);
    let xs = numbers(images * count, seed);
    let perceptron = Perceptron::of(channels, channels.div_ceil(4), seed + 20);
    let gate = |_: &[f32], pools: [&[f32]; 2], logits: &mut [f32]| perceptron.mlp(true).sum(&pools, logits);
    let (mut features, mut of_channels, mut of_positions) =
        (vec![f32::NAN; images * count], vec![f32::NAN; images * channels], vec![f32::NAN; images * positions]);
    let gates = Gates { channel: if channelwise { Some(&gate) } else { None }, spatial, gain: GAIN };
    let to = Gated { features: &mut features, channel: &mut of_channels, spatial: &mut of_positions };
    gates.forward(FeatureMap { numbers: &xs, layout, shape }, to).unwrap();
    for image in 0..images {
        let xs = doubles(&xs[image * count..][..count]);
        let at = |channel, position| index(layout, [channels, positions], channel, position);
        let x = |channel, position| xs[at(channel, position)];
        let row = |channel: usize| (0..positions).map(move |position| x(channel, position));
        let means: Vec<f64> = (0..channels).map(|channel| row(channel).sum::<f64>() / positions as f64).collect();
        let maxima: Vec<f64> = (0..channels).map(|channel| row(channel).fold(f64::NEG_INFINITY, f64::max)).collect();
        let mut channel_gate = vec![1.0; channels];
        if channelwise {
            let logits = perceptron.plain(true, &[means, maxima]);
            close(name, &of_channels[image * channels..][..channels], &logits);
            channel_gate = logits.into_iter().map(sigmoid_of).collect();
        }
        let refined = |channel: usize, position| x(channel, position) * channel_gate[channel];
        let mut position_gate = vec![f64::from(GAIN); positions];
        if let Some(gate) = spatial {
            let column = |position: usize| (0..channels).map(move |channel| (channel, position));
            let maximum = |position| column(position).fold(f64::NEG_INFINITY, |most, (c, p)| most.max(refined(c, p)));
            let mean = |position| column(position).map(|(c, p)| refined(c, p)).sum::<f64>() / channels as f64;
            let pools = [(0..positions).map(maximum).collect(), (0..positions).map(mean).collect()];
            let logits = convolved(gate, &pools, [height, width]);
            close(name, &of_positions[image * positions..][..positions], &logits);
            position_gate = logits.into_iter().map(|logit| sigmoid_of(logit) * f64::from(GAIN)).collect();
        }
        let mut gated = vec![0.0; count];
        for channel in 0..channels {
            for position in 0..positions {
                gated[at(channel, position)] = refined(channel, position) * position_gate[position];
            }
        }
        close(name, &features[image * count..][..count], &gated);
    }
    let untouched = |logits: &[f32]| logits.iter().all(|logit| logit.is_nan());
    assert!(channelwise || untouched(&of_channels), "{name}");
    assert!(spatial.is_some() || untouched(&of_positions), "{name}");
}

#[test]
fn perceptrons_are_those_of_plain_loops() {
    on_each_arch(|arch| {
        for (channels, hidden) in [(1, 1), (7, 3), (17, 17), (33, 2), (100, 7)] {
            for biased in [true, false] {
                let perceptron = Perceptron::of(channels, hidden, 3);
                let inputs: [Vec<f32>; 2] = [1, 2].map(|seed| numbers(channels, seed));
                for inputs in [&inputs[..1], &inputs[..]] {
                    let mut outputs = vec![f32::NAN; channels];
                    let slices: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
                    perceptron.mlp(biased).sum(&slices, &mut outputs);
                    let plain: Vec<Vec<f64>> = inputs.iter().map(|input| doubles(input)).collect();
                    let name = format!("{arch} {channels} {hidden} {biased}");
                    close(&name, &outputs, &perceptron.plain(biased, &plain));
                }
            }
        }
    });
}

#[test]
fn sigmoids_are_those_of_f64() {
    on_each_arch(|arch| {
        for count in [0, 1, 7, 16, 17, 33] {
            let xs: Vec<f32> = numbers(count, 5).into_iter().map(|x| 90.0 * x).collect();
            let mut ys = xs.clone();
            sigmoid(&mut ys);
            close(&format!("{arch} {count}"), &ys, &doubles(&xs).into_iter().map(sigmoid_of).collect::<Vec<_>>());
        }
    });
}
