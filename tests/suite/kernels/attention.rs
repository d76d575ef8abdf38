//! Gates, attention heads and what they are made of.

use cbam::kernels::{Gates, Heads, Map, Mlp, SpatialGate, sigmoid};
use tch::Tensor;

use super::{F32, assert_close, gated_tensors, layouts, on_each_arch, sides, tensor_from, tensor_of, values_of};

/// The cases of gates: images, channels, height, width, and whether the border is replicated.
const CASES: [(i64, i64, i64, i64, bool); 4] =
    [(1, 5, 3, 2, true), (2, 37, 9, 13, false), (3, 64, 20, 31, true), (1, 130, 7, 7, false)];

/// A channel gate of the pools alone.
fn of_pools(_: &[f32], [means, maxima]: [&[f32]; 2], logits: &mut [f32]) {
    for ((mean, maximum), logit) in means.iter().zip(maxima).zip(logits) {
        *logit = 2.0 * mean + 0.5 * maximum - 1.0;
    }
}

/// A spatial gate of some weight, and the same by libtorch: features to logits `[N, 1, H, W]`.
fn spatial_gate(replicate: bool) -> (SpatialGate, impl Fn(&Tensor) -> Tensor) {
    let weight = Tensor::randn([1, 2, 7, 7], F32) * 0.2;
    let ours = SpatialGate { weight: values_of(&weight), bias: 0.25, side: 7, replicate };
    let theirs = move |features: &Tensor| {
        let pools = [features.amax([1i64], true), features.mean_dim(&[1i64][..], true, None)];
        let pools = Tensor::cat(&pools, 1);
        let pools = if replicate { pools.replication_pad2d([3; 4]) } else { pools.constant_pad_nd([3; 4]) };
        pools.conv2d(&weight, Some(&Tensor::from_slice(&[0.25f32])), 1, 0, 1, 1)
    };
    (ours, theirs)
}

#[test]
fn gates_are_libtorchs() {
    on_each_arch(|arch| {
        for (images, channels, height, width, replicate) in CASES {
            let name = format!("{arch} {images}x{channels}x{height}x{width}");
            let xs = Tensor::randn([images, channels, height, width], F32);
            let (gate, logits) = spatial_gate(replicate);
            let [means, maxima] = [xs.mean_dim(&[2i64, 3][..], false, None), xs.amax([2i64, 3], false)];
            let channel = &means * 2.0 + &maxima * 0.5 - 1.0;
            let refined = &xs * channel.sigmoid().unsqueeze(-1).unsqueeze(-1);
            let spatial = logits(&refined);
            let features = refined * spatial.sigmoid() * 4.0;
            let kernel = Gates { channel: Some(&of_pools), spatial: Some(&gate), gain: 4.0 };
            for xs in layouts(&xs) {
                let [ours, our_channel, our_spatial] = gated_tensors(&kernel, &xs);
                assert_close(&name, &our_channel, &channel);
                assert_close(&name, &our_spatial, &spatial.squeeze_dim(1));
                assert_close(&name, &ours, &features);
            }
        }
    });
}

#[test]
fn gates_without_a_channel_gate_are_libtorchs() {
    on_each_arch(|arch| {
        for (images, channels, height, width, replicate) in CASES {
            let name = format!("{arch} {images}x{channels}x{height}x{width}");
            let xs = Tensor::randn([images, channels, height, width], F32);
            let (gate, logits) = spatial_gate(replicate);
            let spatial = logits(&xs);
            let kernel = Gates { channel: None, spatial: Some(&gate), gain: 2.0 };
            let neither = Gates { spatial: None, ..kernel };
            let untouched = |logits: &Tensor| bool::try_from(logits.isnan().all()).unwrap();
            for xs in layouts(&xs) {
                let [features, our_channel, our_spatial] = gated_tensors(&kernel, &xs);
                assert_close(&name, &features, &(&xs * spatial.sigmoid() * 2.0));
                assert_close(&name, &our_spatial, &spatial.squeeze_dim(1));
                assert!(untouched(&our_channel), "{name}");
                let [features, our_channel, our_spatial] = gated_tensors(&neither, &xs);
                assert_close(&name, &features, &(&xs * 2.0));
                assert!(untouched(&our_channel) && untouched(&our_spatial), "{name}");
            }
        }
    });
}

#[test]
fn gates_without_a_spatial_gate_are_libtorchs() {
    on_each_arch(|arch| {
        for (images, channels, height, width, _) in CASES {
            let name = format!("{arch} {images}x{channels}x{height}x{width}");
            let xs = Tensor::randn([images, channels, height, width], F32);
            // All channels have the mean of their image's numbers, in whatever order these are.
            let whole = |numbers: &[f32], _: [&[f32]; 2], logits: &mut [f32]| {
                logits.fill(numbers.iter().sum::<f32>() / numbers.len() as f32);
            };
            let mean = xs.mean_dim(&[1i64, 2, 3][..], false, None).unsqueeze(1).expand([images, channels], false);
            let kernel = Gates { channel: Some(&whole), spatial: None, gain: 2.0 };
            for xs in layouts(&xs) {
                let [features, channel, spatial] = gated_tensors(&kernel, &xs);
                assert_close(&name, &channel, &mean);
                assert_close(&name, &features, &(&xs * mean.sigmoid().unsqueeze(-1).unsqueeze(-1) * 2.0));
                assert!(bool::try_from(spatial.isnan().all()).unwrap(), "{name}");
            }
        }
    });
}

/// Tokens `[N, T, C]` as a map of one row.
fn tokens_of(xs: &Tensor) -> Map {
    let [images, tokens, channels] = sides(xs);
    Map::new([images, 1, tokens, channels], values_of(xs)).unwrap()
}

/// The context `[N, Tq, heads · width]` and the weights `[N, heads, Tq, Tk]`.
fn attend(heads: &Heads<'_>) -> [Tensor; 2] {
    let mut weights = vec![f32::NAN; heads.weights()];
    let context = heads.attend(&mut weights);
    assert_eq!(context.height(), 1);
    let shape = [context.images(), heads.count, heads.query.width(), heads.key.width()];
    [tensor_of(&context).squeeze_dim(2).transpose(1, 2), tensor_from(&weights, &shape)]
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
            let [query, key, value] = [&q, &k, &v].map(tokens_of);
            let heads = Heads { query: &query, key: &key, value: &value, count: heads as usize };
            let [ours, our_weights] = attend(&heads);
            let name = format!("{arch} {queries} to {keys}");
            assert_close(&name, &our_weights, &weights);
            assert_close(&name, &ours, &context);
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
            let [first, of_first, second, of_second, a, b] =
                [&first, &of_first, &second, &of_second, &a, &b].map(values_of);
            let mlp = Mlp {
                first: &first,
                first_bias: biases.then_some(&of_first),
                second: &second,
                second_bias: biases.then_some(&of_second),
            };
            let mut ours = vec![0.0; channels as usize];
            mlp.sum(&[&a, &b], &mut ours);
            assert_close(&format!("{arch} {channels}"), &Tensor::from_slice(&ours).unsqueeze(0), &theirs);
        }
    });
}

#[test]
fn sigmoids_are_libtorchs() {
    on_each_arch(|arch| {
        for count in [1, 7, 16, 33, 100, 1000] {
            let xs = Tensor::randn([count], F32) * 20.0;
            let mut ours = values_of(&xs);
            sigmoid(&mut ours);
            assert_close(&format!("{arch} {count}"), &Tensor::from_slice(&ours), &xs.sigmoid());
        }
    });
}
