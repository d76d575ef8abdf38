//! Outputs within 1e-5 and gradients within 1e-4 of PyTorch 2.11 and timm; tests/golden/attention/gen.py says what each file holds.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use cbam::attention::{
    AttentionOutput, Bam, BamConfig, BamForm, Cbam, CbamConfig, CbamOutput, ChannelAttention, ChannelAttentionConfig,
    ChannelAttentionOutput, Eca, EcaConfig, MultiHeadAttention, MultiHeadConfig, Padding, PatchAttention,
    PatchAttentionConfig, Pool, PoolOrder, Score, ScoreConfig, SpatialAttention, SpatialAttentionConfig,
    SpatialAttentionOutput, SqueezeExcite, SqueezeExciteConfig, scaled_dot_product, scaled_dot_product_fused,
};
use tch::{Device, Kind, Tensor, nn};

use super::{difference, one_thread};

thread_local! {
    /// Where the layers run, and in what, with what share of a tensor's largest value they may be off there.
    static ON: Cell<(Device, Kind, f64)> = const { Cell::new((Device::Cpu, Kind::Float, 0.0)) };
}

/// Every layer, by the test that compares it.
pub(crate) const LAYERS: [(&str, fn()); 10] = [
    ("scaled dot-product", scaled_dot_product_agrees_with_pytorch),
    ("scores", scores_agree_with_their_formulas),
    ("multi-head", multi_head_agrees_with_pytorch),
    ("channel", channel_attention_agrees_with_the_official_formulas),
    ("spatial", spatial_attention_agrees_with_the_official_formulas),
    ("CBAM", cbam_agrees_with_the_official_formulas),
    ("squeeze-and-excitation", squeeze_excite_agrees_with_timm),
    ("ECA", eca_agrees_with_timm),
    ("BAM", bam_agrees_with_its_equations),
    ("patch", patch_attention_agrees_with_pytorch),
];

/// Runs one of [`LAYERS`] on a device, in a kind of number; outputs and gradients may be off by that share of their largest value.
pub(crate) fn on(device: Device, kind: Kind, share: f64, test: fn()) {
    ON.set((device, kind, share));
    test();
    ON.set((Device::Cpu, Kind::Float, 0.0));
}

/// A tensor there.
fn moved(tensor: &Tensor) -> Tensor {
    let (device, kind, _) = ON.get();
    let there = tensor.to_device(device);
    if tensor.kind() == Kind::Float { there.to_kind(kind) } else { there }
}

type Outputs = Vec<(&'static str, Tensor)>;

/// One golden file; its inputs are leaves that ask for a gradient.
struct Golden {
    case: String,
    tensors: BTreeMap<String, Tensor>,
}

impl Golden {
    fn open(case: &str) -> Self {
        one_thread();
        let path = crate::file(format!("tests/golden/attention/{case}.safetensors"));
        let tensors = Tensor::read_safetensors(path).unwrap().into_iter().map(|(name, tensor)| {
            let leaf = name.starts_with("in.") && tensor.kind() == Kind::Float;
            let tensor = moved(&tensor);
            (name, if leaf { tensor.set_requires_grad(true) } else { tensor })
        });
        Self { case: case.to_owned(), tensors: tensors.collect() }
    }

    fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: no {name}", self.case))
    }

    fn mask(&self) -> Option<&Tensor> {
        self.tensors.get("in.mask")
    }

    fn names(&self, prefix: &str) -> BTreeSet<String> {
        self.tensors.keys().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
    }

    fn compare(&self, name: &str, got: &Tensor, tolerance: f64) {
        self.compare_beside(name, got, tolerance, self.largest(name));
    }

    /// `most` is the largest value of what the tensor stands beside: a gradient that is 0 but for rounding has no size of its own.
    fn compare_beside(&self, name: &str, got: &Tensor, tolerance: f64, most: f64) {
        let (off, tolerance) = (difference(self.get(name), got), tolerance.max(ON.get().2 * most));
        assert!(off <= tolerance, "{}: {name} is off by {off:e}, beside {most:e}", self.case);
    }

    fn largest(&self, name: &str) -> f64 {
        self.get(name).abs().max().double_value(&[])
    }

    /// Builds the layer, gives it the golden parameters, and compares outputs, gradients and changed statistics.
    fn check<L>(case: &str, build: impl FnOnce(&nn::Path) -> L, forward: impl FnOnce(&L, &Self) -> Outputs) {
        let golden = Self::open(case);
        let (device, kind, _) = ON.get();
        let mut variables = nn::VarStore::new(device);
        let layer = build(&variables.root());
        if kind != Kind::Float {
            variables.set_kind(kind);
        }
        let named = variables.variables();
        assert_eq!(named.keys().cloned().collect::<BTreeSet<_>>(), golden.names("param."), "{case}: parameter names");
        for (name, variable) in &named {
            let value = golden.get(&format!("param.{name}"));
            assert_eq!(variable.size(), value.size(), "{case}: {name}");
            tch::no_grad(|| variable.shallow_clone().copy_(value));
        }

        let outputs = forward(&layer, &golden);
        let given: BTreeSet<_> = outputs.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(given, golden.names("out."), "{case}: output names");
        let mut loss = Tensor::zeros([], (kind, device));
        for (name, output) in &outputs {
            golden.compare(&format!("out.{name}"), output, 1e-5);
            loss += (output * golden.get(&format!("cot.{name}"))).sum(None);
        }

        loss.backward();
        let largest =
            golden.names("grad.").iter().map(|name| golden.largest(&format!("grad.{name}"))).fold(0.0, f64::max);
        for name in golden.names("grad.") {
            let leaf = named.get(&name).unwrap_or_else(|| golden.get(&format!("in.{name}")));
            golden.compare_beside(&format!("grad.{name}"), &leaf.grad(), 1e-4, largest);
        }
        for name in golden.names("after.") {
            golden.compare(&format!("after.{name}"), &named[&name], 1e-5);
        }
    }
}

fn attention(output: AttentionOutput) -> Outputs {
    vec![("context", output.context), ("weights", output.weights)]
}

#[test]
fn scaled_dot_product_agrees_with_pytorch() {
    for case in ["sdpa_none", "sdpa_boolean", "sdpa_additive"] {
        Golden::check(
            case,
            |_| (),
            |(), golden| {
                let (q, k, v) = (golden.get("in.query"), golden.get("in.key"), golden.get("in.value"));
                let fused = scaled_dot_product_fused(q, k, v, golden.mask()).unwrap();
                golden.compare("out.context", &fused, 1e-5);
                attention(scaled_dot_product(q, k, v, golden.mask()).unwrap())
            },
        );
    }
}

#[test]
fn you_found_me() {
    let matrix = |rows: [[f64; 2]; 3]| Tensor::from_slice2(&rows);
    let q = matrix([[0.06, 0.08], [0.14, 0.24], [0.22, 0.40]]);
    let k = matrix([[0.04, 0.08], [0.12, 0.20], [0.20, 0.32]]);
    let v = matrix([[0.03, 0.03], [0.11, 0.11], [0.19, 0.19]]);
    let expected = [["0.1105", "0.1105"], ["0.1115", "0.1115"], ["0.1125", "0.1125"]];
    let explicit = scaled_dot_product(&q, &k, &v, None).unwrap().context;
    let fused = scaled_dot_product_fused(&q, &k, &v, None).unwrap();
    for output in [explicit, fused] {
        for (row, digits) in expected.iter().enumerate() {
            for (column, digits) in digits.iter().enumerate() {
                assert_eq!(format!("{:.4}", output.double_value(&[row as i64, column as i64])), *digits);
            }
        }
    }
}

#[test]
fn scores_agree_with_their_formulas() {
    let cases = [
        ("score_additive", 3, ScoreConfig::Additive { hidden: 6 }),
        ("score_dot", 5, ScoreConfig::Dot),
        ("score_general", 3, ScoreConfig::General),
        ("score_concat", 3, ScoreConfig::Concat { hidden: 6 }),
    ];
    for (case, key_dim, config) in cases {
        Golden::check(
            case,
            |p| Score::new(p, 5, key_dim, &config).unwrap(),
            |layer, golden| {
                let (q, k, v) = (golden.get("in.query"), golden.get("in.key"), golden.get("in.value"));
                let scores = layer.scores(q, k).unwrap();
                let whole = layer.forward(q, k, v, None).unwrap();
                golden.compare("out.context", &whole.context, 1e-5);
                let mut outputs = attention(cbam::attention::read_out(&scores, v, None).unwrap());
                outputs.push(("scores", scores));
                outputs
            },
        );
    }
}

#[test]
fn multi_head_agrees_with_pytorch() {
    for (case, memory_dim) in [("multi_head_self", None), ("multi_head_cross", Some(6)), ("multi_head_masked", None)] {
        let config = MultiHeadConfig { heads: 3, head_dim: 4, memory_dim, bias: true };
        Golden::check(
            case,
            |p| MultiHeadAttention::new(p, 12, &config).unwrap(),
            |layer, golden| {
                let xs = golden.get("in.xs");
                let memory = golden.tensors.get("in.memory").unwrap_or(xs);
                let fused = layer.forward(xs, memory, memory, golden.mask(), false).unwrap();
                assert!(fused.weights.is_none());
                golden.compare("out.context", &fused.context, 1e-5);
                match case {
                    "multi_head_self" => attention(layer.self_attention(xs).unwrap()),
                    "multi_head_cross" => attention(layer.cross_attention(xs, memory).unwrap()),
                    _ => {
                        let output = layer.forward(xs, memory, memory, golden.mask(), true).unwrap();
                        vec![("context", output.context), ("weights", output.weights.unwrap())]
                    }
                }
            },
        );
    }
}

#[test]
fn channel_attention_agrees_with_the_official_formulas() {
    let cases = [
        ("channel_avg", vec![Pool::Avg], true),
        ("channel_max", vec![Pool::Max], true),
        ("channel_lp", vec![Pool::Lp], true),
        ("channel_lse", vec![Pool::Lse], true),
        ("channel_all", vec![Pool::Avg, Pool::Max, Pool::Lp, Pool::Lse], true),
        ("channel_no_bias", vec![Pool::Avg, Pool::Max], false),
    ];
    for (case, pools, bias) in cases {
        let config = ChannelAttentionConfig { reduction: 4, pools, bias };
        Golden::check(
            case,
            |p| ChannelAttention::new(p, 8, &config).unwrap(),
            |layer, golden| {
                let ChannelAttentionOutput { features, gate, logits } = layer.forward(golden.get("in.xs")).unwrap();
                vec![("features", features), ("gate", gate), ("logits", logits)]
            },
        );
    }
}

#[test]
fn spatial_attention_agrees_with_the_official_formulas() {
    use PoolOrder::{MaxMean, MeanMax};
    let cases = [
        ("spatial_k7_max_mean_bn_eval", 7, true, MaxMean, Padding::Zeros, false),
        ("spatial_k7_max_mean_bn_train", 7, true, MaxMean, Padding::Zeros, true),
        ("spatial_k3_mean_max_bn_train", 3, true, MeanMax, Padding::Zeros, true),
        ("spatial_k3_max_mean", 3, false, MaxMean, Padding::Zeros, false),
        ("spatial_k7_mean_max_replicate", 7, false, MeanMax, Padding::Replicate, false),
        ("spatial_k3_max_mean_replicate_bn_eval", 3, true, MaxMean, Padding::Replicate, false),
    ];
    for (case, kernel_size, batch_norm, order, padding, train) in cases {
        let config = SpatialAttentionConfig { kernel_size, batch_norm, order, padding, bias: false };
        Golden::check(
            case,
            |p| SpatialAttention::new(p, &config).unwrap(),
            |layer, golden| {
                let SpatialAttentionOutput { features, gate, logits } =
                    layer.forward(golden.get("in.xs"), train).unwrap();
                vec![("features", features), ("gate", gate), ("logits", logits)]
            },
        );
    }
}

#[test]
fn cbam_agrees_with_the_official_formulas() {
    let config = CbamConfig::default().with_channel(ChannelAttentionConfig::default().with_reduction(4));
    for (case, train) in [("cbam_eval", false), ("cbam_train", true)] {
        Golden::check(
            case,
            |p| Cbam::new(p, 8, &config).unwrap(),
            |layer, golden| {
                let CbamOutput { features, channel, spatial } = layer.forward(golden.get("in.xs"), train).unwrap();
                let spatial = spatial.unwrap();
                vec![
                    ("features", features),
                    ("channel.gate", channel.gate),
                    ("channel.logits", channel.logits),
                    ("spatial.gate", spatial.gate),
                    ("spatial.logits", spatial.logits),
                ]
            },
        );
    }
}

#[test]
fn cbam_agrees_with_timm() {
    let config = CbamConfig::default()
        .with_channel(ChannelAttentionConfig::default().with_reduction(4).with_bias(false))
        .with_spatial(SpatialAttentionConfig::default().with_order(PoolOrder::MeanMax));
    Golden::check(
        "cbam_timm",
        |p| Cbam::new(p, 8, &config).unwrap(),
        |layer, golden| vec![("features", layer.forward(golden.get("in.xs"), false).unwrap().features)],
    );
}

#[test]
fn squeeze_excite_agrees_with_timm() {
    for (case, bias) in [("se", true), ("se_no_bias", false)] {
        let config = SqueezeExciteConfig::default().with_reduction(4).with_bias(bias);
        Golden::check(
            case,
            |p| SqueezeExcite::new(p, 8, &config).unwrap(),
            |layer, golden| {
                let output = layer.forward(golden.get("in.xs")).unwrap();
                vec![("features", output.features), ("gate", output.gate), ("logits", output.logits)]
            },
        );
    }
}

#[test]
fn eca_agrees_with_timm() {
    for (case, channels, config) in
        [("eca", 24, EcaConfig::default()), ("eca_k5", 9, EcaConfig::default().with_kernel_size(5))]
    {
        Golden::check(
            case,
            |p| Eca::new(p, channels, &config).unwrap(),
            |layer, golden| {
                let output = layer.forward(golden.get("in.xs")).unwrap();
                vec![("features", output.features), ("gate", output.gate), ("logits", output.logits)]
            },
        );
    }
}

#[test]
fn bam_agrees_with_its_equations() {
    for (case, form, train) in [
        ("bam_product_eval", BamForm::Product, false),
        ("bam_product_train", BamForm::Product, true),
        ("bam_sum_eval", BamForm::Sum, false),
    ] {
        let config = BamConfig::default().with_reduction(4).with_form(form);
        Golden::check(
            case,
            |p| Bam::new(p, 8, &config).unwrap(),
            |layer, golden| {
                let output = layer.forward(golden.get("in.xs"), train).unwrap();
                for gate in [&output.channel, &output.spatial] {
                    assert!(difference(&gate.logits.sigmoid(), &gate.gate) < 1e-6);
                }
                let (channel, spatial) = (output.channel.gate, output.spatial.gate);
                vec![("features", output.features), ("gate", output.gate), ("channel", channel), ("spatial", spatial)]
            },
        );
    }
}

#[test]
fn patch_attention_agrees_with_pytorch() {
    for (case, channels, patch_size, grid) in
        [("patch_p1", 10, 1, [3, 5]), ("patch_p2", 3, 2, [2, 3]), ("patch_p2_padded", 3, 2, [3, 4])]
    {
        let config = PatchAttentionConfig { patch_size, heads: 2, head_dim: 3 };
        Golden::check(
            case,
            |p| PatchAttention::new(p, channels, &config).unwrap(),
            |layer, golden| {
                let output = layer.forward(golden.get("in.xs")).unwrap();
                assert_eq!(output.grid, grid);
                golden.compare("out.features", &layer.forward_fused(golden.get("in.xs")).unwrap(), 1e-5);
                let received = output.received();
                vec![("features", output.features), ("weights", output.weights), ("received", received)]
            },
        );
    }
}
