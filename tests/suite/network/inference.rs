//! Networks made ready for inference say what they said before.

use std::collections::BTreeMap;

use cbam::backbone::Arch;
use cbam::explain::Features;
use cbam::kernels::bf16;
use cbam::maps::MapName;
use cbam::network::{ForwardPrecision, Inference, Network, NetworkConfig, StageAttention};
use cbam::photo::{Limits, open};
use image::imageops::FilterType;
use ndarray::{Array4, ArrayViewD, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use tch::{Device, Kind, Tensor};

use super::{largest_difference, picture};
use crate::precision::correlation;

/// Asserts that a network and its form for inference say the same about `input`: logits, the features of every place, and every map.
fn assert_agree(plain: &Network, fast: &Inference, input: &Tensor, tolerance: f64) {
    let output = tch::no_grad(|| plain.forward(input, false).unwrap());
    let values = Vec::<f32>::try_from(input.to_kind(Kind::Float).contiguous().flatten(0, -1)).unwrap();
    let shape: Vec<usize> = input.size().iter().map(|&side| side as usize).collect();
    let pixels = Array4::from_shape_vec((shape[0], shape[1], shape[2], shape[3]), values).unwrap();
    let close = |name: &str, plain: &Tensor, fast: ArrayViewD<'_, f32>| {
        let plain = plain.to_kind(Kind::Float);
        let scale = plain.abs().max().double_value(&[]).max(1.0);
        let fast = Tensor::from_slice(&fast.iter().copied().collect::<Vec<_>>()).reshape(plain.size());
        let off = largest_difference(&plain, &fast) / scale;
        assert!(off <= tolerance, "{name} of {:?}: {off} off", input.size());
    };
    close("logits", &output.logits, fast.logits(pixels.view()).unwrap().view().into_dyn());
    for place in plain.places() {
        let expected = tch::no_grad(|| plain.features_at(plain.place(Some(place)).unwrap(), input).unwrap());
        for (picture, pixels) in pixels.outer_iter().enumerate() {
            let features = Features::features(fast, place, pixels).unwrap();
            close(place, &expected.get(picture as i64), features.view().into_dyn());
        }
        let features: Vec<_> =
            pixels.outer_iter().map(|pixels| Features::features(fast, place, pixels).unwrap()).collect();
        let features: Vec<_> = features.iter().map(ndarray::ArrayBase::view).collect();
        let logits = Features::logits_from(fast, place, ndarray::stack(Axis(0), &features).unwrap().view()).unwrap();
        close(&format!("logits from {place}"), &output.logits, logits.view().into_dyn());
    }
    let pass = fast.forward(pixels.view()).unwrap();
    close("logits of a pass", &output.logits, pass.logits.view().into_dyn());
    close("features", &output.features, pass.features.view().into_dyn());
    assert_eq!(output.attention.len(), pass.attention.len());
    for (a, b) in output.attention.iter().zip(&pass.attention) {
        assert_eq!((&a.stage, a.patch.is_some()), (&b.stage, b.patch.is_some()));
        assert_eq!((a.channel.is_some(), a.spatial.is_some()), (b.channel.is_some(), b.spatial.is_some()));
        if let (Some(a), Some(b)) = (&a.channel, &b.channel) {
            close("channel gate", &a.gate, b.gate.view().into_dyn());
            close("its logits", &a.logits, b.logits.view().into_dyn());
        }
        if let (Some(a), Some(b)) = (&a.spatial, &b.spatial) {
            close("spatial gate", &a.gate, b.gate.view().into_dyn());
            close("its logits", &a.logits, b.logits.view().into_dyn());
        }
        if let (Some(a), Some(b)) = (&a.patch, &b.patch) {
            assert_eq!(a.grid, b.grid.map(|side| side as i64));
            close("patch weights", &a.weights, b.weights.view().into_dyn());
        }
    }
    let asked = output.attention.iter().any(|block| block.patch.is_some());
    let queries = if asked { vec![[0.1, 0.7], [0.6, 0.2]] } else { Vec::new() };
    let (plain, fast) = (plain.run(&pixels.view(), &queries).unwrap(), fast.run(pixels.view(), &queries).unwrap());
    for (a, b) in plain.iter().zip(&fast) {
        let tensor = |values: &ndarray::ArrayD<f32>| {
            let size: Vec<i64> = values.shape().iter().map(|&side| side as i64).collect();
            Tensor::from_slice(&values.iter().copied().collect::<Vec<_>>()).reshape(size)
        };
        assert_eq!((a.gates.len(), a.patches.len()), (b.gates.len(), b.patches.len()));
        for (a, b) in a.patches.iter().zip(&b.patches) {
            assert_eq!((&a.stage, a.rows.len()), (&b.stage, b.rows.len()));
            close("received", &tensor(&a.received.clone().into_dyn()), b.received.view().into_dyn());
            for (a, b) in a.rows.iter().zip(&b.rows) {
                close("a patch's row", &tensor(&a.weights.clone().into_dyn()), b.weights.view().into_dyn());
            }
        }
    }
}

#[test]
fn the_form_for_inference_says_the_same_of_photos() {
    let (plain, fast) =
        (Network::pretrained(Device::Cpu).unwrap(), Network::pretrained(Device::Cpu).unwrap().for_inference().unwrap());
    let sizes = [(224, 288), (256, 224), (96, 160)];
    for (name, (height, width)) in ["chelsea.jpg", "coffee.jpg", "rocket.jpg"].into_iter().zip(sizes) {
        let photo = open(&picture(name), &Limits::default()).unwrap();
        let prepared = plain.config().preprocess().apply(&photo).unwrap();
        let batch = prepared.pixels.view().insert_axis(Axis(0));
        let input = plain.input(&batch).unwrap().upsample_bilinear2d([height, width], false, None, None);
        assert_agree(&plain, &fast, &input, 1e-4);
        assert_agree(&plain, &fast, &Tensor::cat(&[&input, &input.flip([3])], 0), 1e-4);
        let (plain, fast) = (plain.run(&batch, &[[0.4, 0.6]]).unwrap(), fast.run(batch, &[[0.4, 0.6]]).unwrap());
        for name in ["fused", "object", "gradcam", "spatial", "patch", "patch:2", "rollout", "spatial:stage6.expansion"]
        {
            let name: MapName = name.parse().unwrap();
            let maps = [&plain[0], &fast[0]].map(|readout| readout.map(&name, &prepared.geometry).unwrap());
            let span = maps[0].statistics().max - maps[0].statistics().min;
            let off = (maps[0].values() - maps[1].values()).iter().fold(0.0f32, |most, off| most.max(off.abs()));
            assert!(off <= 1e-4 * span.max(1.0), "{name}: {off} off, of {span}");
        }
    }
}

#[test]
fn a_batch_says_of_each_picture_what_it_says_of_it_alone() {
    let (plain, fast) =
        (Network::pretrained(Device::Cpu).unwrap(), Network::pretrained(Device::Cpu).unwrap().for_inference().unwrap());
    let queries = [[0.4, 0.6]];
    let pictures = ["chelsea.jpg", "coffee.jpg", "rocket.jpg"].map(|name| {
        let photo = open(&picture(name), &Limits::default()).unwrap();
        plain.config().preprocess().apply(&photo.image.resize_exact(300, 200, FilterType::Triangle).into()).unwrap()
    });
    let alone = pictures
        .each_ref()
        .map(|picture| plain.run(&picture.pixels.view().insert_axis(Axis(0)), &queries).unwrap().remove(0));
    let indices: Vec<_> = (0..3).cycle().take(2 * rayon::current_num_threads() + 1).collect();
    let views: Vec<_> = indices.iter().map(|&index| pictures[index].pixels.view()).collect();
    let planes = ndarray::stack(Axis(0), &views).unwrap();
    let together = planes.view().permuted_axes([0, 2, 3, 1]).as_standard_layout().into_owned();
    for batch in [planes.view(), together.view().permuted_axes([0, 3, 1, 2])] {
        let readouts = fast.run(batch, &queries).unwrap();
        assert_eq!(readouts.len(), indices.len());
        for (&index, readout) in indices.iter().zip(readouts) {
            let (alone, geometry) = (&alone[index], &pictures[index].geometry);
            for (a, b) in readout.probabilities.iter().zip(&alone.probabilities) {
                assert!((a - b).abs() <= 1e-5, "{a} {b}");
            }
            for name in alone.map_names() {
                let [map, expected] = [&readout, alone].map(|readout| readout.map(&name, geometry).unwrap());
                let span = expected.statistics().max.max(1.0);
                for (a, b) in map.values().iter().zip(expected.values()) {
                    assert!((a - b).abs() <= 1e-4 * span, "{name}: {a} {b}");
                }
            }
        }
    }
}

/// `size` values around 0, of this deviation. Of a generator of one's own: libtorch's is shared by every test that runs at the time.
fn normal(random: &mut ChaCha8Rng, size: &[i64], deviation: f32) -> Tensor {
    let normal = Normal::new(0.0, deviation).unwrap();
    let values: Vec<f32> = normal.sample_iter(random).take(size.iter().product::<i64>() as usize).collect();
    Tensor::from_slice(&values).reshape(size)
}

/// Sets weights as a network starts with them, biases near 0, and BatchNorm's statistics to those of its input, as training leaves
/// them: without, activations grow from block to block until gates saturate and every rounding counts.
fn settle(network: &mut Network, random: &mut ChaCha8Rng) {
    let variables: BTreeMap<_, _> = network.variables().variables().into_iter().collect();
    tch::no_grad(|| {
        for (name, variable) in &variables {
            let size = variable.size();
            let values = match size.get(1..) {
                Some(inputs @ [_, ..]) => normal(random, &size, (2.0 / inputs.iter().product::<i64>() as f32).sqrt()),
                _ if name.contains("running_") => Tensor::zeros(&size, (Kind::Float, Device::Cpu)),
                _ if name.ends_with("weight") => normal(random, &size, 0.1) + 0.5,
                _ => normal(random, &size, 0.1),
            };
            variable.shallow_clone().copy_(&values);
        }
        network.train_backbone(true);
        network.forward(&normal(random, &[4, 3, 96, 96], 1.0), true).unwrap();
        network.train_backbone(false);
        let lite = network.config().arch.to_string().starts_with("efficientnet");
        for (name, variable) in variables.iter().filter(|(name, _)| name.contains("running_")) {
            let slow = name.contains(".spatial.bn.") || (lite && name.starts_with("backbone."));
            let momentum = if slow { 0.01 } else { 0.1 };
            let _ = variable.shallow_clone().g_div_scalar_(momentum); // what it learnt of a batch, from 0, whole
        }
    });
}

/// A fresh network for inference, and the same in double precision: through fifty layers of random weights, rounding differs from
/// run to run by as much as from one form to the other. Trained weights keep it small.
fn assert_form_for_inference_agrees(config: NetworkConfig, sizes: &[(i64, i64, i64)], tolerance: f64) {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut network = Network::new(config.clone(), Device::Cpu).unwrap();
    let mut twin = Network::new(config, Device::Cpu).unwrap();
    settle(&mut network, &mut random);
    twin.variables_mut().copy(network.variables()).unwrap();
    let fast = twin.for_inference().unwrap();
    network.variables_mut().set_kind(Kind::Double);
    for &(n, height, width) in sizes {
        assert_agree(&network, &fast, &normal(&mut random, &[n, 3, height, width], 1.0), tolerance);
    }
}

#[test]
fn mobile_backbones_have_a_form_for_inference_with_gates_anywhere() {
    for arch in [Arch::EfficientNetLite0, Arch::EfficientNetLite1, Arch::EfficientNetLite2, Arch::MobileNetV2] {
        let plain = NetworkConfig { classes: 7, ..NetworkConfig::attentive(arch) };
        let gates = ["stage2.1", "stage3.expansion", "stage4", "stage5.expansion", "stage5.1", "stage5.2", "head"];
        let one = StageAttention { patch: None, ..plain.attention[0].clone() };
        let gated = gates.map(|stage| StageAttention { stage: stage.to_owned(), gain: 1.0, ..one.clone() });
        // Lite1 and Lite2 are Lite0, wider and deeper.
        let is_like_another = matches!(arch, Arch::EfficientNetLite1 | Arch::EfficientNetLite2);
        let sizes: &[_] = if is_like_another { &[(2, 75, 50)] } else { &[(1, 64, 96), (3, 96, 64), (4, 75, 130)] };
        for config in [plain.clone(), NetworkConfig { attention: gated.into(), ..plain }] {
            assert_form_for_inference_agrees(config, sizes, 1e-4);
        }
    }
}

#[test]
fn residual_and_plain_backbones_have_a_form_for_inference_too() {
    let small = |config: NetworkConfig| NetworkConfig { classes: 7, ..config };
    for config in [
        NetworkConfig::plain(Arch::ResNet18),
        NetworkConfig::official_cbam(Arch::ResNet34).unwrap(),
        NetworkConfig::official_cbam(Arch::ResNet50).unwrap(),
        NetworkConfig::official_bam(Arch::ResNet50),
        NetworkConfig::official_se(Arch::ResNet18).unwrap(),
        NetworkConfig::plain(Arch::WideResNet50),
        NetworkConfig::official_bam(Arch::Vgg11Bn),
        NetworkConfig::plain(Arch::Vgg11),
        NetworkConfig::official_cbam(Arch::ResNeXt50).unwrap(),
        NetworkConfig::official_eca(Arch::ResNet18).unwrap(),
    ] {
        assert_form_for_inference_agrees(small(config), &[(1, 64, 40), (2, 43, 50)], 2e-4);
    }
}

#[test]
fn every_kind_of_backbone_computes_in_bf16_where_the_processor_can() {
    if bf16::units().is_empty() {
        return;
    }
    let small = |config: NetworkConfig| NetworkConfig { classes: 7, ..config };
    for config in [
        NetworkConfig::attentive(Arch::MobileNetV2),
        NetworkConfig::official_cbam(Arch::ResNet18).unwrap(),
        NetworkConfig::official_cbam(Arch::ResNeXt50).unwrap(),
        NetworkConfig::plain(Arch::Vgg11Bn),
    ] {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut network = Network::new(small(config.clone()), Device::Cpu).unwrap();
        settle(&mut network, &mut random);
        let mut twin = Network::new(small(config.clone()), Device::Cpu).unwrap();
        twin.variables_mut().copy(network.variables()).unwrap();
        let full = network.for_inference().unwrap();
        let brief = twin.for_inference().unwrap().in_precision(ForwardPrecision::Bf16).unwrap();
        for shape in [[1, 3, 64, 40], [2, 3, 43, 50]] {
            let pixels = Array4::from_shape_simple_fn(shape, || Normal::new(0.0, 1.0).unwrap().sample(&mut random));
            let [full, brief] = [&full, &brief].map(|network| network.forward(pixels.view()).unwrap().features);
            let alike = correlation(full.iter().zip(&brief));
            // Rounding grows through many layers of random weights.
            assert!(alike > 0.95 && full != brief, "{:?} of {shape:?}: {alike}", config.arch);
        }
    }
}

#[test]
fn the_form_for_inference_keeps_out_of_gradients_and_new_weights() {
    let input = Tensor::randn([1, 3, 64, 96], (Kind::Float, Device::Cpu));
    let network = Network::pretrained(Device::Cpu).unwrap().for_inference().unwrap();
    let output = network.network().unwrap().forward(&input, false).unwrap();
    assert!(output.logits.requires_grad());
    assert_agree(network.network().unwrap(), &network, &input, 1e-4);
    let before = tch::no_grad(|| network.network().unwrap().forward(&input, false).unwrap()).logits;
    assert!(!before.requires_grad() && largest_difference(&before, &output.logits) < 1e-3);
    let mut network = network.into_network().unwrap();
    let variables = network.variables_mut().variables();
    tch::no_grad(|| {
        let mut weight = variables["backbone._conv_head.weight"].shallow_clone();
        let _ = weight.zero_();
        let plain = network.forward(&input, false).unwrap().logits;
        assert!(largest_difference(&plain, &before) > 0.1);
        let fast = network.for_inference().unwrap();
        assert_agree(fast.network().unwrap(), &fast, &input, 1e-4);
    });
}
