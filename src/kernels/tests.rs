//! Every kernel against libtorch, on every instruction set that this machine has, on sizes that fit no vector.

mod bounds;

use std::sync::{Mutex, PoisonError};

use tch::{Device, IndexOp, Kind, Tensor};

use super::*;

const F32: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Held while an instruction set is chosen, which holds for all threads.
static CHOICE: Mutex<()> = Mutex::new(());

/// Runs `test` on each instruction set.
fn on_each_arch(test: impl Fn(&str)) {
    let _held = CHOICE.lock().unwrap_or_else(PoisonError::into_inner);
    for arch in archs() {
        choose(arch);
        test(&format!("{arch:?}").chars().take_while(|c| c.is_alphanumeric()).collect::<String>());
    }
    choose(pulp::Arch::new());
}

fn archs() -> Vec<pulp::Arch> {
    let mut archs = vec![pulp::Arch::Scalar, pulp::Arch::new()];
    #[cfg(target_arch = "x86_64")]
    archs.extend(pulp::x86::V3::try_new().map(pulp::Arch::V3));
    archs
}

fn values_of(tensor: &Tensor) -> Vec<f32> {
    values(&tensor.contiguous()).unwrap().to_vec()
}

fn depthwise_of(weight: &[f32], bias: &[f32], axis: Axis) -> Depthwise {
    let taps = axis.kernel * axis.kernel;
    Depthwise::of(bias, |channel, tap| weight[channel * taps + tap], axis, Clamp::RELU6)
}

fn assert_close(name: &str, ours: &Tensor, theirs: &Tensor) {
    assert_eq!(ours.size(), theirs.size(), "{name}");
    let (off, scale) = ((ours - theirs).abs().max(), theirs.abs().max());
    let (off, scale) = (off.double_value(&[]), scale.double_value(&[]));
    assert!(off <= 2e-5 * scale.max(1.0), "{name}: {off} off, of {scale}");
}

/// As PyTorch lays it out, or with the channels together.
fn layouts(xs: &Tensor) -> [Tensor; 2] {
    [xs.shallow_clone(), xs.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])]
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
                let ys = ours.forward(&Map::of("test", &xs, inputs as usize).unwrap()).tensor();
                assert_close(&format!("{arch} {inputs} to {outputs}"), &ys, &theirs);
            }
        }
    });
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
            let map = Map::of("test", &xs, channels as usize).unwrap();
            assert_close(&name, &ours.forward(&map, None).tensor(), &theirs.relu());
            let residual = Tensor::randn_like(&theirs);
            let added = Map::of("test", &residual, outputs as usize).unwrap();
            assert_close(&name, &ours.forward(&map, Some(&added)).tensor(), &(theirs + residual).relu());
        }
    });
}

#[test]
fn maxima_are_libtorchs() {
    for (size, kernel, stride, zeros) in [([112, 90], 3, 2, 1), ([9, 14], 2, 2, 0), ([7, 7], 3, 2, 1)] {
        let xs = Tensor::randn([2, 19, size[0], size[1]], F32) - 3.0;
        let theirs = xs.max_pool2d(kernel, stride, zeros, 1, false);
        let axis = Axis { kernel: kernel as usize, stride: stride as usize, padding: Padding::Each(zeros as usize) };
        let ours = max_pool(&Map::of("test", &xs, 19).unwrap(), axis);
        assert!(ours.tensor().equal(&theirs), "{size:?}");
    }
}

/// A convolution of a square kernel, with what its axis says of padding.
fn convolve(xs: &Tensor, weight: &Tensor, bias: &Tensor, axis: Axis, groups: i64) -> Tensor {
    let size = xs.size();
    let [rows, columns] = [size[2], size[3]].map(|side| {
        let (cells, before) = axis.cells(side as usize);
        [before as i64, ((cells - 1) * axis.stride + axis.kernel) as i64 - side - before as i64]
    });
    // What a stride leaves over at the end is cut off, not padded.
    let padded = xs.constant_pad_nd([columns[0], columns[1], rows[0], rows[1]]);
    padded.conv2d(weight, Some(bias), axis.stride as i64, 0, 1, groups)
}

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
            let map = Map::of("test", &xs, inputs as usize).unwrap();
            let theirs = if residual { &branch + &xs } else { branch.shallow_clone() };
            assert_close(&name, &block.forward(&map, residual).tensor(), &theirs);
            let wide = Map::of("test", &wide, hidden as usize).unwrap();
            assert_close(&name, &block.filter(&wide, None).tensor(), &branch);
            if residual {
                assert_close(&name, &block.filter(&wide, Some(&map)).tensor(), &theirs);
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
            let map = Map::of("test", &xs, 3).unwrap();
            assert_close(&name, &block.behind(&stem, &map).tensor(), &theirs);
            let one = Map::of("test", &xs.i(1..2), 3).unwrap();
            assert_close(&name, &block.behind(&stem, &one).tensor(), &theirs.i(1..2));
        }
    });
}

#[test]
fn one_image_and_many_on_any_number_of_threads_are_the_same() {
    let _held = CHOICE.lock().unwrap_or_else(PoisonError::into_inner);
    let axis = Axis { kernel: 5, stride: 1, padding: Padding::Same };
    let random = |size: &[i64]| values_of(&(Tensor::randn(size, F32) * 0.2));
    let block = &InvertedResidual {
        expand: Some(Pointwise::new(&random(&[144, 24]), &random(&[144]), Clamp::RELU6)),
        depthwise: depthwise_of(&random(&[144, 25]), &random(&[144]), axis),
        project: Pointwise::new(&random(&[24, 144]), &random(&[24]), Clamp::NONE),
    };
    let xs = Tensor::randn([8, 24, 28, 28], F32);
    let run = |xs: &Tensor| block.forward(&Map::of("test", xs, 24).unwrap(), true).tensor();
    let all = run(&xs);
    for threads in [1, 2, 3, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (xs, one) = (xs.copy(), xs.i(3..4).copy());
        let values: [Vec<f32>; 2] = pool.install(move || [run_values(block, &xs), run_values(block, &one)]);
        assert_eq!(values[0], values_of(&all), "{threads} threads");
        assert_eq!(values[1], values_of(&all.i(3..4)), "{threads} threads, one image");
    }
}

fn run_values(block: &InvertedResidual, xs: &Tensor) -> Vec<f32> {
    values_of(&block.forward(&Map::of("test", xs, 24).unwrap(), true).tensor())
}

#[test]
fn gates_are_libtorchs() {
    on_each_arch(|arch| {
        for (images, channels, height, width, replicate) in
            [(1, 5, 3, 2, true), (2, 37, 9, 13, false), (3, 64, 20, 31, true), (1, 130, 7, 7, false)]
        {
            let name = format!("{arch} {images}x{channels}x{height}x{width}");
            let xs = Tensor::randn([images, channels, height, width], F32);
            let weight = Tensor::randn([1, 2, 7, 7], F32) * 0.2;
            let [means, maxima] = [xs.mean_dim(&[2i64, 3][..], false, None), xs.amax([2i64, 3], false)];
            let channel = &means * 2.0 + &maxima * 0.5 - 1.0;
            let refined = &xs * channel.sigmoid().unsqueeze(-1).unsqueeze(-1);
            let pools = [refined.amax([1i64], true), refined.mean_dim(&[1i64][..], true, None)];
            let pools = Tensor::cat(&pools, 1);
            let pools = if replicate { pools.replication_pad2d([3; 4]) } else { pools.constant_pad_nd([3; 4]) };
            let spatial = pools.conv2d(&weight, Some(&Tensor::from_slice(&[0.25f32])), 1, 0, 1, 1);
            let features = refined * spatial.sigmoid() * 4.0;
            let kernel = Gates {
                channel: &|means, maxima, logits| {
                    for ((mean, maximum), logit) in means.iter().zip(maxima).zip(logits) {
                        *logit = 2.0 * mean + 0.5 * maximum - 1.0;
                    }
                },
                spatial: Some(SpatialGate { weight: values_of(&weight), bias: 0.25, side: 7, replicate }),
                gain: 4.0,
            };
            for xs in layouts(&xs) {
                let ours = kernel.forward(&xs).unwrap();
                assert_close(&name, &ours.channel, &channel);
                assert_close(&name, &ours.spatial.unwrap(), &spatial.squeeze_dim(1));
                assert_close(&name, &ours.features, &features);
            }
        }
    });
}

#[test]
fn heads_are_libtorchs() {
    on_each_arch(|arch| {
        for (images, heads, queries, keys, width) in
            [(1, 1, 1, 1, 4), (2, 4, 49, 49, 16), (1, 3, 70, 33, 5), (1, 2, 5, 200, 40)]
        {
            let inner = heads * width;
            let random = |tokens: i64| Tensor::randn([images, tokens, inner], F32);
            let (q, k, v) = (random(queries), random(keys), random(keys));
            let split = |xs: &Tensor| xs.unflatten(2, [heads, width]).transpose(1, 2);
            let scores = split(&q).matmul(&split(&k).transpose(-2, -1)) / (width as f64).sqrt();
            let weights = scores.softmax(-1, None);
            let context = weights.matmul(&split(&v)).transpose(1, 2).flatten(2, 3);
            let [query, key, value] = [&q, &k, &v].map(|xs| Map::of_tokens(xs).unwrap());
            let heads = Heads { query: &query, key: &key, value: &value, count: heads as usize };
            let (ours, our_weights) = heads.attend();
            let name = format!("{arch} {queries} to {keys}");
            assert_close(&name, &our_weights, &weights);
            assert_close(&name, &ours.tokens(), &context);
        }
    });
}

#[test]
fn perceptrons_are_libtorchs() {
    on_each_arch(|arch| {
        for (channels, hidden, biases) in [(5, 1, true), (64, 4, false), (112, 14, true), (333, 21, true)] {
            let (first, second) = (Tensor::randn([hidden, channels], F32), Tensor::randn([channels, hidden], F32));
            let (of_first, of_second) = (Tensor::randn([hidden], F32), Tensor::randn([channels], F32));
            let [a, b] = [0, 1].map(|_| Tensor::randn([1, channels], F32));
            let layer = |xs: &Tensor, weight: &Tensor, bias: &Tensor| xs.linear(weight, biases.then_some(bias));
            let whole = |xs: &Tensor| layer(&layer(xs, &first, &of_first).relu(), &second, &of_second);
            let theirs = whole(&a) + whole(&b);
            let mlp = Mlp {
                first: values(&first).unwrap(),
                first_bias: values(&of_first).filter(|_| biases),
                second: values(&second).unwrap(),
                second_bias: values(&of_second).filter(|_| biases),
            };
            let mut ours = vec![0.0; channels as usize];
            mlp.sum(&[values(&a).unwrap(), values(&b).unwrap()], &mut ours);
            assert_close(&format!("{arch} {channels}"), &Tensor::from_slice(&ours).unsqueeze(0), &theirs);
        }
    });
}
