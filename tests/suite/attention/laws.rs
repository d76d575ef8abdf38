//! What must hold for every input.

use cbam::attention::{
    Bam, BamConfig, BamForm, Cbam, CbamConfig, ChannelAttentionConfig, Eca, EcaConfig, MultiHeadAttention,
    MultiHeadConfig, Padding, PatchAttention, PatchAttentionConfig, Pool, PoolOrder, Score, ScoreConfig,
    SpatialAttentionConfig, SqueezeExcite, SqueezeExciteConfig, patchify, scaled_dot_product, scaled_dot_product_fused,
    sine_cosine_2d, unpatchify,
};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor, nn};

use super::{difference, set_parameters, waves};

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() }
}

fn is_gate(gate: &Tensor) -> bool {
    gate.min().double_value(&[]) >= 0.0 && gate.max().double_value(&[]) <= 1.0
}

/// How far the rows are from summing to 1.
fn row_error(weights: &Tensor) -> f64 {
    assert!(weights.min().double_value(&[]) >= 0.0);
    let sums = weights.sum_dim_intlist(&[-1_i64][..], false, None);
    difference(&sums, &sums.ones_like())
}

/// A boolean mask of about two thirds true.
fn mask(size: &[i64], seed: u32) -> Tensor {
    waves(size, seed).gt(-0.3)
}

fn map_size() -> impl Strategy<Value = [i64; 4]> {
    (1..3_i64, 4..9_i64, 1..10_i64, 1..10_i64).prop_map(|(n, c, h, w)| [n, c, h, w])
}

fn spatial_config() -> impl Strategy<Value = SpatialAttentionConfig> {
    let order = prop_oneof![Just(PoolOrder::MaxMean), Just(PoolOrder::MeanMax)];
    let padding = prop_oneof![Just(Padding::Zeros), Just(Padding::Replicate)];
    (prop_oneof![Just(3_i64), Just(7)], any::<bool>(), order, padding, any::<bool>()).prop_map(
        |(kernel_size, batch_norm, order, padding, bias)| SpatialAttentionConfig {
            kernel_size,
            batch_norm,
            order,
            padding,
            bias,
        },
    )
}

fn cbam_config() -> impl Strategy<Value = CbamConfig> {
    let pools = proptest::sample::subsequence(vec![Pool::Avg, Pool::Max, Pool::Lp, Pool::Lse], 1..=4);
    let channel = (pools, 1..4_i64, any::<bool>()).prop_map(|(pools, reduction, bias)| ChannelAttentionConfig {
        reduction,
        pools,
        bias,
    });
    (channel, proptest::option::of(spatial_config())).prop_map(|(channel, spatial)| CbamConfig { channel, spatial })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn gates_of_the_channels_multiply_the_input(size in map_size(), reduction in 1..4_i64, bias: bool, wide: bool) {
        let variables = nn::VarStore::new(Device::Cpu);
        let p = variables.root();
        let config = SqueezeExciteConfig::default().with_reduction(reduction).with_bias(bias);
        let se = SqueezeExcite::new(&p / "se", size[1], &config).unwrap();
        let eca = Eca::new(&p / "eca", size[1], &EcaConfig { kernel_size: wide.then_some(7) }).unwrap();
        set_parameters(&variables, 2);
        let xs = waves(&size, 1);
        let (se, eca) = (se.forward(&xs).unwrap(), eca.forward(&xs).unwrap());
        for (features, gate, logits) in [(se.features, se.gate, se.logits), (eca.features, eca.gate, eca.logits)] {
            prop_assert!(is_gate(&gate) && gate.size() == size[..2]);
            prop_assert!(difference(&gate, &logits.sigmoid()) == 0.0);
            prop_assert!(difference(&features, &(&xs * gate.view([size[0], size[1], 1, 1]))) == 0.0);
        }
    }

    #[test]
    fn bam_adds_its_gate_to_one(size in map_size(), reduction in 1..4_i64, dilation in 1..5_i64, sum: bool) {
        let variables = nn::VarStore::new(Device::Cpu);
        let form = if sum { BamForm::Sum } else { BamForm::Product };
        let config = BamConfig { reduction, dilation, form };
        let bam = Bam::new(variables.root(), size[1], &config).unwrap();
        set_parameters(&variables, 2);
        let xs = waves(&size, 1);
        let output = bam.forward(&xs, false).unwrap();
        prop_assert!(is_gate(&output.gate) && output.gate.size() == size);
        prop_assert!(difference(&output.features, &(&xs * (&output.gate + 1.0))) == 0.0);
        for (mean, axes, shape) in [
            (output.channel, [2, 3].as_slice(), &size[..2]),
            (output.spatial, [1].as_slice(), &[size[0], size[2], size[3]]),
        ] {
            prop_assert!(is_gate(&mean.gate) && mean.gate.size() == shape);
            prop_assert!(difference(&mean.gate, &output.gate.mean_dim(axes, false, None)) < 1e-6);
            prop_assert!(difference(&mean.gate, &mean.logits.sigmoid()) < 1e-5);
        }
    }

    #[test]
    fn gates_are_in_the_unit_interval(
        size in map_size(), config in cbam_config(), seed in any::<u32>(), scale in 0.01..1e4_f64, train in any::<bool>(),
    ) {
        let variables = nn::VarStore::new(Device::Cpu);
        let layer = Cbam::new(variables.root(), size[1], &config).unwrap();
        set_parameters(&variables, seed);
        let [n, _, h, w] = size;
        let xs = waves(&size, seed) * scale;
        let output = layer.forward(&xs, train && n * h * w > 1).unwrap();
        prop_assert_eq!(output.features.size(), size.to_vec());
        prop_assert!(is_gate(&output.channel.gate));
        prop_assert!(difference(&output.channel.logits.sigmoid(), &output.channel.gate) == 0.0);
        let mut gate = output.channel.gate.reshape([n, size[1], 1, 1]);
        if let Some(spatial) = output.spatial {
            prop_assert!(is_gate(&spatial.gate));
            prop_assert!(difference(&spatial.logits.sigmoid(), &spatial.gate) == 0.0);
            let over_channels = spatial.gate.reshape([n, 1, h, w]);
            gate = over_channels * gate;
        }
        prop_assert!(difference(&output.features, &(xs * gate)) <= 1e-5 * scale);
    }

    #[test]
    fn softmax_rows_sum_to_one(n in 1..3_i64, tq in 1..8_i64, tk in 1..8_i64, seed in any::<u32>(), scale in 0.01..100_f64) {
        let (q, k, v) = (waves(&[n, tq, 6], seed) * scale, waves(&[n, tk, 6], seed ^ 1), waves(&[n, tk, 3], seed ^ 2));
        let output = scaled_dot_product(&q, &k, &v, None).unwrap();
        prop_assert!(row_error(&output.weights) < 1e-5);

        let configs =
            [ScoreConfig::Additive { hidden: 5 }, ScoreConfig::Dot, ScoreConfig::General, ScoreConfig::Concat { hidden: 5 }];
        for config in configs {
            let variables = nn::VarStore::new(Device::Cpu);
            let score = Score::new(variables.root(), 6, 6, &config).unwrap();
            set_parameters(&variables, seed);
            prop_assert!(row_error(&score.forward(&q, &k, &v, None).unwrap().weights) < 1e-5);
        }

        let variables = nn::VarStore::new(Device::Cpu);
        let layer = MultiHeadAttention::new(variables.root(), 6, &MultiHeadConfig::default()).unwrap();
        prop_assert!(row_error(&layer.cross_attention(&q, &k).unwrap().weights) < 1e-5);
    }

    #[test]
    fn patch_weights_sum_to_one_and_received_averages_one(size in map_size(), p in 1..4_i64, seed in any::<u32>()) {
        let variables = nn::VarStore::new(Device::Cpu);
        let config = PatchAttentionConfig::default().with_patch_size(p).with_heads(2).with_head_dim(5);
        let layer = PatchAttention::new(variables.root(), size[1], &config).unwrap();
        set_parameters(&variables, seed);
        let output = layer.forward(&waves(&size, seed)).unwrap();
        let [rows, columns] = output.grid;
        prop_assert_eq!(output.weights.size(), [size[0], 2, rows * columns, rows * columns]);
        prop_assert!(row_error(&output.weights) < 1e-5);
        let received = output.received();
        prop_assert_eq!(received.size(), [size[0], 2, rows, columns]);
        let means = received.mean_dim(&[2_i64, 3][..], false, None);
        prop_assert!(difference(&means, &means.ones_like()) < 1e-5);
    }

    #[test]
    fn unpatchify_undoes_patchify(size in map_size(), p in 1..6_i64, seed in any::<u32>()) {
        let xs = waves(&size, seed);
        let (patches, [rows, columns]) = patchify(&xs, p).unwrap();
        let [n, c, h, w] = size;
        prop_assert_eq!(patches.size(), [n, rows * columns, c * p * p]);
        prop_assert!(rows * p >= h && (rows - 1) * p < h && columns * p >= w && (columns - 1) * p < w);
        prop_assert!(difference(&unpatchify(&patches, [c, h, w], p).unwrap(), &xs) == 0.0);
    }

    #[test]
    fn fused_and_explicit_agree(
        [n, heads, tq, tk] in [1..3_i64, 1..4_i64, 1..9_i64, 1..9_i64], seed in any::<u32>(), masked in 0..3_u8,
    ) {
        let leaf = |size: &[i64], seed| waves(size, seed).set_requires_grad(true);
        let (q, k, v) = (leaf(&[n, heads, tq, 8], seed), leaf(&[n, heads, tk, 8], seed ^ 1), leaf(&[n, heads, tk, 8], seed ^ 2));
        let mask = match masked {
            0 => None,
            1 => Some(mask(&[n, 1, tq, tk], seed)), // rows that lose every key among them
            _ => Some(waves(&[tq, tk], seed ^ 3)),
        };
        let cotangent = waves(&[n, heads, tq, 8], seed ^ 4);
        let gradients = |context: &Tensor| Tensor::run_backward(&[(context * &cotangent).sum(None)], &[&q, &k, &v], false, false);
        let explicit = scaled_dot_product(&q, &k, &v, mask.as_ref()).unwrap().context;
        let fused = scaled_dot_product_fused(&q, &k, &v, mask.as_ref()).unwrap();
        prop_assert!(difference(&explicit, &fused) < 1e-5);
        for (a, b) in gradients(&explicit).iter().zip(gradients(&fused)) {
            prop_assert!(difference(a, &b) < 1e-4);
        }
    }

    #[test]
    fn masked_keys_get_no_weight([n, tq, tk] in [1..3_i64, 1..6_i64, 1..6_i64], seed in any::<u32>()) {
        let (q, k, v) = (waves(&[n, tq, 4], seed), waves(&[n, tk, 4], seed ^ 1), waves(&[n, tk, 3], seed ^ 2));
        let allowed = mask(&[n, tq, tk], seed);
        let blocked = allowed.logical_not();
        let additive = Tensor::zeros([n, tq, tk], CPU).masked_fill(&blocked, f64::NEG_INFINITY);
        let variables = nn::VarStore::new(Device::Cpu);
        let score = Score::new(variables.root(), 4, 4, &ScoreConfig::Additive { hidden: 5 }).unwrap();
        for mask in [&allowed, &additive] {
            for output in [scaled_dot_product(&q, &k, &v, Some(mask)).unwrap(), score.forward(&q, &k, &v, Some(mask)).unwrap()] {
                prop_assert!(f64::try_from((&output.weights * &blocked).sum(None)).unwrap() == 0.0);
                // A query with a key left: its row sums to 1. Without: 0, not NaN.
                let expected = allowed.any_dim(-1, false).to_kind(Kind::Float);
                let sums = output.weights.sum_dim_intlist(&[-1_i64][..], false, None);
                prop_assert!(difference(&sums, &expected) < 1e-5);
            }
        }
    }

    #[test]
    fn an_identity_start_changes_nothing_but_a_known_factor(
        size in map_size(), config in cbam_config(), p in 1..4_i64, seed in any::<u32>(), train in any::<bool>(),
    ) {
        let xs = waves(&size, seed);
        let variables = nn::VarStore::new(Device::Cpu);
        let cbam = Cbam::new(variables.root() / "cbam", size[1], &config).unwrap();
        let patch_config = PatchAttentionConfig::default().with_patch_size(p);
        let patch = PatchAttention::new(variables.root() / "patch", size[1], &patch_config).unwrap();
        set_parameters(&variables, seed);
        cbam.identity_start().unwrap();
        patch.identity_start().unwrap();
        let factor = if config.spatial.is_some() { 0.25 } else { 0.5 };
        let train = train && size[0] * size[2] * size[3] > 1;
        prop_assert!(difference(&cbam.forward(&xs, train).unwrap().features, &(&xs * factor)) == 0.0);
        prop_assert!(difference(&patch.forward(&xs).unwrap().features, &xs) == 0.0);
        prop_assert!(difference(&patch.forward_fused(&xs).unwrap(), &xs) == 0.0);
    }

    #[test]
    fn positions_tell_every_cell_apart(rows in 1..12_i64, columns in 1..12_i64, dim in 4..40_i64) {
        let positions = sine_cosine_2d(rows, columns, dim, CPU).unwrap();
        prop_assert_eq!(positions.size(), [rows * columns, dim]);
        let apart = Tensor::cdist(&positions, &positions, 2.0, 1) + Tensor::eye(rows * columns, CPU);
        prop_assert!(apart.min().double_value(&[]) > 0.05);
    }
}
