//! The layers in use: chained and trained, in other kinds, given what they cannot take, as they start.

use cbam::attention::{
    Bam, BamConfig, BamForm, Cbam, CbamConfig, ChannelAttention, ChannelAttentionConfig, Eca, EcaConfig,
    MultiHeadAttention, MultiHeadConfig, Padding, PatchAttention, PatchAttentionConfig, Pool, Score, ScoreConfig,
    SpatialAttention, SpatialAttentionConfig, SqueezeExcite, SqueezeExciteConfig, patchify, read_out,
    scaled_dot_product, scaled_dot_product_fused, sine_cosine_2d, unpatchify,
};
use cbam::{ErrorKind, Result};
use tch::nn::{self, ModuleT, OptimizerConfig};
use tch::{Device, Kind, Tensor};

use super::{difference, set_parameters, waves};

/// Every layer with one map, chained in front of a classifier.
fn network(p: &nn::Path) -> nn::SequentialT {
    let all = [Pool::Avg, Pool::Max, Pool::Lp, Pool::Lse];
    let channel = ChannelAttentionConfig::default().with_reduction(4).with_pools(all);
    let spatial = SpatialAttentionConfig::default().with_kernel_size(3).with_padding(Padding::Replicate);
    let cbam = CbamConfig::default().with_channel(channel.clone());
    nn::seq_t()
        .add(nn::conv2d(p / "conv", 3, 8, 3, nn::ConvConfig { padding: 1, ..Default::default() }))
        .add(ChannelAttention::new(p / "channel", 8, &channel).unwrap())
        .add(SpatialAttention::new(p / "spatial", &spatial).unwrap())
        .add(Cbam::new(p / "cbam", 8, &cbam).unwrap())
        .add(SqueezeExcite::new(p / "se", 8, &SqueezeExciteConfig::default().with_reduction(4)).unwrap())
        .add(Eca::new(p / "eca", 8, &EcaConfig::default()).unwrap())
        .add(Bam::new(p / "bam", 8, &BamConfig::default().with_reduction(4)).unwrap())
        .add(PatchAttention::new(p / "patch", 8, &PatchAttentionConfig::default().with_patch_size(2)).unwrap())
        .add_fn(|xs| xs.flatten(2, 3).transpose(1, 2))
        .add(MultiHeadAttention::new(p / "multi_head", 8, &MultiHeadConfig::default()).unwrap())
        .add_fn(|xs| xs.mean_dim(&[1_i64][..], false, None))
        .add(nn::linear(p / "head", 8, 4, nn::LinearConfig::default()))
}

#[test]
fn layers_chain_and_learn() {
    let variables = nn::VarStore::new(Device::Cpu);
    let network = network(&variables.root());
    set_parameters(&variables, 7);
    let (xs, labels) = (waves(&[6, 3, 5, 9], 1), Tensor::from_slice(&[0_i64, 1, 2, 3, 0, 1]));
    let before = variables.variables().into_iter().map(|(name, v)| (name, v.detach().copy())).collect::<Vec<_>>();
    let mut optimizer = nn::Adam::default().build(&variables, 3e-3).unwrap();
    let loss = |train| network.forward_t(&xs, train).cross_entropy_for_logits(&labels);
    let start = loss(true).double_value(&[]);
    for _ in 0..30 {
        optimizer.backward_step(&loss(true));
    }
    let end = loss(true).double_value(&[]);
    assert!(end < 0.8 * start, "{start} to {end}");
    let after = variables.variables();
    for (name, before) in before {
        // A bias before a softmax over the keys is added to every score alike.
        let inert = name.ends_with(".k.bias");
        assert!(inert || difference(&before, &after[&name]) > 0.0, "{name} did not move");
    }
}

#[test]
fn bf16_follows_f32() {
    let xs = waves(&[2, 8, 5, 9], 3);
    let run = |kind: Kind, train: bool| {
        let mut variables = nn::VarStore::new(Device::Cpu);
        let p = variables.root();
        let pools = [Pool::Avg, Pool::Max, Pool::Lp, Pool::Lse];
        let channel = ChannelAttentionConfig::default().with_reduction(4).with_pools(pools);
        let spatial = SpatialAttentionConfig::default().with_padding(Padding::Replicate);
        let cbam =
            Cbam::new(&p / "cbam", 8, &CbamConfig::default().with_channel(channel).with_spatial(spatial)).unwrap();
        let patch = PatchAttention::new(&p / "patch", 8, &PatchAttentionConfig::default().with_patch_size(2)).unwrap();
        let score = Score::new(&p / "score", 8, 8, &ScoreConfig::Concat { hidden: 6 }).unwrap();
        set_parameters(&variables, 11);
        variables.set_kind(kind);
        let xs = xs.detach().to_kind(kind).set_requires_grad(true);
        let gated = cbam.forward(&xs, train).unwrap();
        let patched = patch.forward(&gated.features).unwrap();
        let tokens = patched.features.flatten(2, 3).transpose(1, 2);
        let read = score.forward(&tokens, &tokens, &tokens, None).unwrap();
        let fused = patch.forward_fused(&gated.features).unwrap();
        let outputs = vec![
            gated.channel.gate,
            gated.spatial.unwrap().gate,
            patched.features,
            patched.weights,
            read.context,
            fused,
        ];
        (outputs[2].square().mean(None) + outputs[4].square().mean(None)).backward();
        for output in &outputs {
            assert_eq!(output.kind(), kind);
        }
        outputs.into_iter().chain([xs.grad()]).map(|t| t.detach()).collect::<Vec<_>>()
    };
    for train in [false, true] {
        for (index, (exact, rounded)) in run(Kind::Float, train).iter().zip(run(Kind::BFloat16, train)).enumerate() {
            let size = exact.abs().max().double_value(&[]);
            let off = difference(exact, &rounded) / size;
            assert!(off < 0.05, "output {index} of train {train}: {off}");
        }
    }
}

/// The layer and the sentence of an input error; anything else is a failure.
fn input_error<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::Input { .. }) => error.to_string(),
        other => panic!("expected an input error, got {other:?}"),
    }
}

fn argument_error<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::Argument { .. }) => error.to_string(),
        other => panic!("expected an argument error, got {other:?}"),
    }
}

#[test]
fn wrong_maps_are_errors() {
    let variables = nn::VarStore::new(Device::Cpu);
    let p = variables.root();
    let cbam = Cbam::new(&p / "cbam", 16, &CbamConfig::default()).unwrap();
    let spatial = SpatialAttention::new(&p / "spatial", &SpatialAttentionConfig::default()).unwrap();
    let patch = PatchAttention::new(&p / "patch", 16, &PatchAttentionConfig::default()).unwrap();
    let wrong = [
        waves(&[2, 8, 5, 7], 0),
        waves(&[16, 5, 7], 0),
        waves(&[2, 16, 5], 0),
        waves(&[0, 16, 5, 7], 0),
        waves(&[2, 16, 0, 7], 0),
        waves(&[2, 16, 5, 7], 0).to_kind(Kind::Double),
        waves(&[2, 16, 5, 7], 0).to_kind(Kind::Int64),
        Tensor::new(),
    ];
    for (index, xs) in wrong.iter().enumerate() {
        input_error(cbam.forward(xs, false));
        input_error(patch.forward(xs));
        input_error(patch.forward_fused(xs));
        if index > 0 {
            input_error(spatial.forward(xs, false)); // it takes any number of channels
        }
    }
    let message = input_error(cbam.forward(&wrong[0], false));
    assert_eq!(message, "ChannelAttention: expected a map [N, 16, H, W], none of them 0, got [2, 8, 5, 7]");
    let message = input_error(cbam.forward(&wrong[5], false));
    assert_eq!(message, "ChannelAttention: expected a map of kind Float on Cpu, got Double on Cpu");
    input_error(spatial.forward(&waves(&[1, 16, 1, 1], 0), true));
    assert!(spatial.forward(&waves(&[1, 16, 1, 1], 0), false).is_ok());
    argument_error(patchify(&waves(&[1, 2, 3, 4], 0), 0));
    input_error(patchify(&waves(&[2, 3, 4], 0), 1));
    argument_error(unpatchify(&waves(&[1, 6, 8], 0), [2, 4, 6], -1));
    input_error(unpatchify(&waves(&[1, 6, 8], 0), [2, 4, 4], 2));
    input_error(unpatchify(&waves(&[6, 8], 0), [2, 4, 6], 2));
}

#[test]
fn wrong_sequences_are_errors() {
    let (q, k, v) = (waves(&[2, 3, 4], 0), waves(&[2, 5, 4], 1), waves(&[2, 5, 6], 2));
    let masks = [
        waves(&[5, 3], 0),                          // transposed
        waves(&[2, 3, 5], 0).to_kind(Kind::Double), // of another kind
        waves(&[2, 2, 3, 5], 0),                    // of too many dimensions
        Tensor::ones([3, 4], (Kind::Bool, Device::Cpu)),
    ];
    for mask in &masks {
        input_error(scaled_dot_product(&q, &k, &v, Some(mask)));
        input_error(scaled_dot_product_fused(&q, &k, &v, Some(mask)));
        input_error(read_out(&waves(&[2, 3, 5], 0), &v, Some(mask)));
    }
    let whole = |xs: &Tensor| xs.to_kind(Kind::Int64);
    for (q, k, v) in [
        (&q, &v, &v),                                        // widths differ
        (&q, &k, &q),                                        // lengths differ
        (&q, &k.narrow(0, 0, 1), &v),                        // batches differ
        (&q, &k, &v.to_kind(Kind::Double)),                  // kinds differ
        (&whole(&q), &whole(&k), &whole(&v)),                // not floating point
        (&q.narrow(1, 0, 0), &k, &v),                        // empty
        (&waves(&[4], 0), &waves(&[4], 0), &waves(&[4], 0)), // no sequence
    ] {
        input_error(scaled_dot_product(q, k, v, None));
        input_error(scaled_dot_product_fused(q, k, v, None));
    }

    let variables = nn::VarStore::new(Device::Cpu);
    let p = variables.root();
    let layer = MultiHeadAttention::new(&p / "mha", 4, &MultiHeadConfig::default().with_memory_dim(6)).unwrap();
    assert_eq!(layer.cross_attention(&q, &v).unwrap().weights.size(), [2, 4, 3, 5]);
    input_error(layer.self_attention(&q));
    input_error(layer.cross_attention(&q, &k));
    input_error(layer.cross_attention(&q, &v.narrow(0, 0, 1)));
    input_error(layer.forward(&q, &v, &v.narrow(1, 0, 2), None, true));
    input_error(layer.cross_attention(&q.to_kind(Kind::BFloat16), &v));
    input_error(layer.forward(&q, &v, &v, Some(&masks[0]), false));

    let score = Score::new(&p / "score", 4, 6, &ScoreConfig::General).unwrap();
    assert_eq!(score.scores(&q, &v).unwrap().size(), [2, 3, 5]);
    input_error(score.scores(&q, &k));
    input_error(score.scores(&q, &v.narrow(0, 0, 1)));
    input_error(score.scores(&q.to_kind(Kind::Double), &v.to_kind(Kind::Double)));
    input_error(read_out(&waves(&[2, 3, 4], 0), &v, None));
}

#[test]
fn wrong_configurations_are_errors() {
    let variables = nn::VarStore::new(Device::Cpu);
    let p = variables.root();
    let channel = ChannelAttentionConfig::default();
    let message = argument_error(ChannelAttention::new(&p, 8, &channel));
    assert_eq!(message, "reduction: 16 leaves nothing of 8 channels");
    argument_error(ChannelAttention::new(&p, 16, &channel.clone().with_reduction(0)));
    argument_error(ChannelAttention::new(&p, 0, &channel));
    argument_error(ChannelAttention::new(&p, 16, &channel.with_pools([])));
    for kernel_size in [0, 4, -3] {
        argument_error(SpatialAttention::new(&p, &SpatialAttentionConfig::default().with_kernel_size(kernel_size)));
    }
    argument_error(SqueezeExcite::new(&p, 8, &SqueezeExciteConfig::default()));
    argument_error(SqueezeExcite::new(&p, 8, &SqueezeExciteConfig::default().with_reduction(-1)));
    argument_error(Bam::new(&p, 8, &BamConfig::default()));
    argument_error(Bam::new(&p, 16, &BamConfig::default().with_dilation(0)));
    argument_error(Eca::new(&p, 0, &EcaConfig::default()));
    for kernel_size in [0, 4, -3] {
        argument_error(Eca::new(&p, 8, &EcaConfig::default().with_kernel_size(kernel_size)));
    }
    argument_error(PatchAttention::new(&p, 3, &PatchAttentionConfig::default()));
    argument_error(PatchAttention::new(&p, 8, &PatchAttentionConfig::default().with_patch_size(0)));
    argument_error(MultiHeadAttention::new(&p, 8, &MultiHeadConfig::default().with_heads(0)));
    argument_error(MultiHeadAttention::new(&p, 8, &MultiHeadConfig::default().with_head_dim(-1)));
    argument_error(Score::new(&p, 4, 6, &ScoreConfig::Dot));
    argument_error(Score::new(&p, 4, 6, &ScoreConfig::Additive { hidden: 0 }));
    argument_error(sine_cosine_2d(3, 3, 3, (Kind::Float, Device::Cpu)));
    argument_error(sine_cosine_2d(0, 3, 8, (Kind::Float, Device::Cpu)));
    assert!(variables.is_empty(), "a refused layer leaves no parameters behind: {:?}", variables.variables().keys());
}

/// Whether a parameter looks uniform in ±bound: it fills the range, and does not leave it.
fn assert_uniform(parameter: &Tensor, bound: f64) {
    let widest = parameter.abs().max().double_value(&[]);
    assert!(widest <= bound && widest > 0.95 * bound, "{widest} for ±{bound}");
    let expected = bound / 3_f64.sqrt();
    let deviation = parameter.std(false).double_value(&[]);
    assert!((deviation / expected - 1.0).abs() < 0.1, "deviation {deviation} for ±{bound}");
}

#[test]
fn layers_start_as_pytorch_and_the_official_code_have_them() {
    let variables = nn::VarStore::new(Device::Cpu);
    let p = variables.root();
    Cbam::new(&p / "cbam", 256, &CbamConfig::default()).unwrap();
    PatchAttention::new(&p / "patch", 112, &PatchAttentionConfig::default()).unwrap();
    MultiHeadAttention::new(&p / "cross", 64, &MultiHeadConfig::default().with_memory_dim(32)).unwrap();
    let wide = SpatialAttentionConfig::default().with_kernel_size(31).with_batch_norm(false);
    SpatialAttention::new(&p / "wide", &wide).unwrap();
    let named = variables.variables();
    assert_uniform(&named["cbam.channel.fc1.weight"], 1.0 / 16.0);
    assert_uniform(&named["cbam.channel.fc2.weight"], 1.0 / 4.0);
    for name in ["q", "k", "v"] {
        assert_uniform(&named[&format!("patch.attention.{name}.weight")], (6.0 / (112.0 + 3.0 * 64.0_f64)).sqrt());
    }
    assert_uniform(&named["patch.attention.out.weight"], 1.0 / 8.0);
    assert_uniform(&named["cross.q.weight"], (6.0 / (64.0 + 64.0_f64)).sqrt());
    assert_uniform(&named["cross.k.weight"], (6.0 / (32.0 + 64.0_f64)).sqrt());
    let deviation = named["wide.conv.weight"].std(false).double_value(&[]);
    assert!((deviation / (2.0_f64.sqrt() / 31.0) - 1.0).abs() < 0.1, "{deviation}");
    for (name, value) in &named {
        let constant = match name.as_str() {
            "cbam.spatial.bn.weight" => 0.0,
            "patch.norm.weight" | "cbam.spatial.bn.running_var" => 1.0,
            name if name.ends_with("bias") || name.ends_with("running_mean") => 0.0,
            _ => continue,
        };
        assert!(difference(value, &value.full_like(constant)) == 0.0, "{name}");
    }
}

#[test]
fn an_identity_start_still_learns() {
    let xs = waves(&[2, 8, 5, 7], 5);
    for batch_norm in [false, true] {
        let variables = nn::VarStore::new(Device::Cpu);
        let p = variables.root();
        let config = CbamConfig::default()
            .with_channel(ChannelAttentionConfig::default().with_reduction(2))
            .with_spatial(SpatialAttentionConfig::default().with_batch_norm(batch_norm));
        let cbam = Cbam::new(&p / "cbam", 8, &config).unwrap();
        let patch = PatchAttention::new(&p / "patch", 8, &PatchAttentionConfig::default()).unwrap();
        // At random, all of so few hidden units may be silent.
        let mut hidden = variables.variables().remove("cbam.channel.fc1.weight").unwrap();
        tch::no_grad(|| hidden.copy_(&waves(&hidden.size(), 7)));
        cbam.identity_start().unwrap();
        patch.identity_start().unwrap();
        let features = patch.forward(&cbam.forward(&xs, true).unwrap().features).unwrap().features;
        (features * waves(&[2, 8, 5, 7], 6)).sum(None).backward();
        let spatial = if batch_norm { "cbam.spatial.bn.weight" } else { "cbam.spatial.conv.weight" };
        for name in ["cbam.channel.fc2.weight", "cbam.channel.fc2.bias", spatial, "patch.attention.out.weight"] {
            let gradient = variables.variables()[name].grad().abs().max().double_value(&[]);
            assert!(gradient > 1e-4, "{name}: {gradient}");
        }
    }
}

#[test]
fn positions_follow_the_grid_and_the_kind() {
    let variables = nn::VarStore::new(Device::Cpu);
    let patch = PatchAttention::new(variables.root(), 8, &PatchAttentionConfig::default()).unwrap();
    let (wide, high) = (waves(&[1, 8, 3, 6], 1), waves(&[1, 8, 6, 3], 2));
    let look = |patch: &PatchAttention, xs: &Tensor| patch.forward(xs).unwrap().weights;
    let first = [look(&patch, &wide), look(&patch, &high)];
    assert!(difference(&first[0], &first[1]) > 0.0);
    for _ in 0..2 {
        assert_eq!(difference(&look(&patch, &wide), &first[0]), 0.0);
        assert_eq!(difference(&look(&patch, &high), &first[1]), 0.0);
    }
    let mut other = nn::VarStore::new(Device::Cpu);
    let twin = PatchAttention::new(other.root(), 8, &PatchAttentionConfig::default()).unwrap();
    other.set_kind(Kind::BFloat16);
    assert_eq!(look(&twin, &wide.to_kind(Kind::BFloat16)).kind(), Kind::BFloat16);
    other.set_kind(Kind::Float);
    other.copy(&variables).unwrap();
    assert_eq!(difference(&look(&twin, &wide), &first[0]), 0.0, "positions in bf16 are a hundredth off");
}

#[test]
fn gates_that_start_at_a_half_still_learn() {
    let (xs, slope) = (waves(&[2, 8, 5, 7], 5), waves(&[2, 8, 5, 7], 6));
    let variables = nn::VarStore::new(Device::Cpu);
    let p = variables.root();
    let se = SqueezeExcite::new(&p / "se", 8, &SqueezeExciteConfig::default().with_reduction(2)).unwrap();
    let eca = Eca::new(&p / "eca", 8, &EcaConfig::default()).unwrap();
    let bam = |form: BamForm, name: &str| {
        let bam = Bam::new(&p / name, 8, &BamConfig::default().with_reduction(2).with_form(form)).unwrap();
        bam.identity_start().unwrap();
        bam.forward(&xs, true).unwrap().features
    };
    se.identity_start().unwrap();
    eca.identity_start().unwrap();
    // Of four hidden values drawn at random, all may be 0 behind their ReLU.
    let seen = xs.mean_dim(&[2_i64, 3][..], false, None).get(0).expand([4, 8], false);
    tch::no_grad(|| variables.variables()["se.fc1.weight"].shallow_clone().copy_(&seen));
    for (features, factor) in [
        (se.forward(&xs).unwrap().features, 0.5),
        (eca.forward(&xs).unwrap().features, 0.5),
        (bam(BamForm::Product, "product"), 1.5),
        (bam(BamForm::Sum, "sum"), 1.5),
    ] {
        assert!(difference(&features, &(&xs * factor)) < 1e-6, "{factor}");
        (features * &slope).sum(None).backward();
    }
    let last = ["se.fc2.weight", "eca.conv.weight", "product.channel.fc2.weight", "sum.channel.fc2.weight"];
    for name in last.into_iter().chain(["sum.spatial.out.weight"]) {
        let gradient = variables.variables()[name].grad().abs().max().double_value(&[]);
        assert!(gradient > 1e-4, "{name}: {gradient}");
    }
}

#[test]
fn bam_looks_at_the_whole_map_and_trains_on_several() {
    let variables = nn::VarStore::new(Device::Cpu);
    let bam = Bam::new(variables.root(), 16, &BamConfig::default().with_reduction(2)).unwrap();
    set_parameters(&variables, 3);
    let xs = waves(&[1, 16, 4, 12], 1);
    input_error(bam.forward(&xs, true));
    input_error(bam.forward(&waves(&[1, 8, 4, 12], 1), false));
    let output = bam.forward(&xs, false).unwrap();
    assert_eq!((output.channel.gate.size(), output.spatial.gate.size()), (vec![1, 16], vec![1, 4, 12]));
    // The mean is over all columns; the convolutions of the first column reach as far as the ninth.
    let far = &xs * Tensor::from_slice(&[1_f32, 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 5.]);
    assert!(difference(&bam.forward(&far, false).unwrap().gate.narrow(3, 0, 1), &output.gate.narrow(3, 0, 1)) > 1e-4);
}

#[test]
fn the_spatial_convolution_has_a_group_of_its_own() {
    let variables = nn::VarStore::new(Device::Cpu);
    let config = CbamConfig::default().with_channel(ChannelAttentionConfig::default().with_reduction(2));
    let cbam = Cbam::new(variables.root(), 8, &config).unwrap();
    set_parameters(&variables, 1);
    let before = variables.variables().into_iter().map(|(name, v)| (name, v.detach().copy())).collect::<Vec<_>>();
    let mut optimizer = nn::Sgd::default().build(&variables, 0.1).unwrap();
    optimizer.set_lr_group(1, 0.0);
    optimizer.backward_step(&cbam.forward(&waves(&[2, 8, 5, 7], 2), false).unwrap().features.square().sum(None));
    let after = variables.variables();
    for (name, before) in before.iter().filter(|(name, _)| !name.contains("running")) {
        assert_eq!(difference(before, &after[name]) == 0.0, name == "spatial.conv.weight", "{name}");
    }
}

#[test]
fn an_all_zero_channel_has_a_finite_gradient() {
    for pool in [Pool::Avg, Pool::Max, Pool::Lp, Pool::Lse] {
        let variables = nn::VarStore::new(Device::Cpu);
        let config = ChannelAttentionConfig::default().with_reduction(2).with_pools([pool]);
        let layer = ChannelAttention::new(variables.root(), 4, &config).unwrap();
        let xs = (waves(&[1, 4, 3, 5], 0) * Tensor::from_slice(&[0_f32, 1.0, 0.0, 1.0]).reshape([1, 4, 1, 1]))
            .detach()
            .set_requires_grad(true);
        layer.forward(&xs).unwrap().gate.sum(None).backward();
        assert!(bool::try_from(xs.grad().isfinite().all()).unwrap(), "{pool:?}");
    }
}

#[test]
#[should_panic(expected = "ChannelAttention: expected a map [N, 16, H, W]")]
fn in_a_chain_a_wrong_map_panics_with_the_reason() {
    let variables = nn::VarStore::new(Device::Cpu);
    let layer = Cbam::new(variables.root(), 16, &CbamConfig::default()).unwrap();
    let _features = nn::seq_t().add(layer).forward_t(&waves(&[1, 4, 3, 3], 0), false);
}
