//! torchvision's networks against torchvision: tests/golden/torchvision/gen.py says how the weights are made.

mod placements;

use std::collections::BTreeMap;

use cbam::backbone::{self, Arch, InnerKind};
use cbam::explain::ExplainOptions;
use cbam::maps::Method;
use cbam::network::{Network, NetworkConfig};
use tch::{Device, Kind, Tensor, nn::VarStore, no_grad};

use crate::explain::explained;

const CLASSES: i64 = 100;

/// CRC-32 (IEEE), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1)))
    })
}

/// The generator's `unit`.
pub(crate) fn unit(name: &str, count: usize) -> Vec<f32> {
    let start = u64::from(crc32(name.as_bytes()));
    let value = |i: u64| {
        let x = (i + start).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
        let x = (x ^ (x >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        ((x ^ (x >> 29)) >> 40) as f32 / 16_777_216.0
    };
    (0..count as u64).map(value).collect()
}

/// The generator's `fill`.
pub(crate) fn fill(name: &str, tensor: &Tensor) {
    let size = tensor.size();
    let mut values = unit(name, tensor.numel());
    let stretch: &dyn Fn(f32) -> f32 = if size.len() > 1 {
        let bound = (4.5 / size[1..].iter().product::<i64>() as f32).sqrt();
        &move |value| (value * 2.0 - 1.0) * bound
    } else if name.ends_with("running_var") || name.ends_with("weight") {
        let share = if name.ends_with("bn3.weight") { 0.25 } else { 1.0 };
        &move |value| (value + 0.5) * share
    } else {
        &|value| (value - 0.5) * 0.2
    };
    for value in &mut values {
        *value = stretch(*value);
    }
    no_grad(|| tensor.shallow_clone().copy_(&Tensor::from_slice(&values).view(&size[..])));
}

fn picture() -> Tensor {
    let values: Vec<f32> = unit("picture", 3 * 75 * 109).into_iter().map(|value| value * 4.0 - 2.0).collect();
    Tensor::from_slice(&values).view([1, 3, 75, 109])
}

fn golden() -> BTreeMap<String, Tensor> {
    let path = crate::file("tests/golden/torchvision/samples.safetensors");
    Tensor::read_safetensors(path).unwrap().into_iter().collect()
}

/// At most `count` values, every `step`th.
pub(crate) fn sample(xs: &Tensor, step: i64, count: i64) -> Tensor {
    let flat = xs.flatten(0, -1);
    let kept = (flat.size()[0] + step - 1) / step;
    flat.index_select(0, &(Tensor::arange(kept.min(count), (Kind::Int64, Device::Cpu)) * step))
}

/// Within 1e-4 of the golden values; where those are over 1, of the largest.
fn compare(golden: &BTreeMap<String, Tensor>, name: &str, got: &Tensor) {
    let expected = golden.get(name).unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(got.size(), expected.size(), "{name}");
    let (off, size) = ((got - expected).abs().max().double_value(&[]), expected.abs().max().double_value(&[]));
    println!("{name}: {off:.1e} of {size:.1e}");
    assert!(off < 1e-4 * size.max(1.0), "{name}: off by {off} of {size}");
    assert!(size > 0.1, "{name}: {size} tells nothing");
}

/// Every stage, the head and the logits of one network agree.
fn agrees(arch: Arch) {
    let golden = golden();
    let variables = VarStore::new(Device::Cpu);
    let network = backbone::build(variables.root(), arch, CLASSES).unwrap();
    for (name, variable) in variables.variables() {
        fill(&name, &variable);
    }
    let compare = |what: &str, got: &Tensor| compare(&golden, &format!("{arch}.{what}"), got);
    let sample = |xs: &Tensor| sample(xs, 997, 64);
    let _guard = tch::no_grad_guard();
    let mut xs = network.stem(&picture(), false);
    for index in 0..network.stages().len() {
        xs = network.stage(index, &xs, false);
        compare(&index.to_string(), &sample(&xs));
    }
    let head = network.head(&xs, false);
    assert_eq!(head.size()[1], network.head_channels());
    if golden.contains_key(&format!("{arch}.{}", network.stages().len())) {
        compare(&network.stages().len().to_string(), &sample(&head));
    }
    compare("logits", &network.classify(&head, false).squeeze_dim(0));
}

#[test]
fn residual_networks_agree_with_torchvision() {
    for arch in [Arch::ResNet18, Arch::ResNet50, Arch::ResNeXt50, Arch::WideResNet50] {
        agrees(arch);
    }
}

#[test]
fn vgg_agrees_with_torchvision() {
    for arch in [Arch::Vgg11, Arch::Vgg16Bn] {
        agrees(arch);
    }
}

#[test]
fn mobilenet_agrees_with_torchvision() {
    agrees(Arch::MobileNetV2);
}

/// Parameters that learn, as torchvision's documentation has them.
const PARAMETERS: [(Arch, usize); 6] = [
    (Arch::ResNet18, 11_689_512),
    (Arch::ResNet34, 21_797_672),
    (Arch::ResNet50, 25_557_032),
    (Arch::ResNeXt50, 25_028_904),
    (Arch::Vgg11Bn, 132_868_840),
    (Arch::MobileNetV2, 3_504_872),
];

fn parameters(variables: &VarStore) -> usize {
    variables.trainable_variables().iter().map(Tensor::numel).sum()
}

#[test]
fn networks_have_as_many_parameters_as_torchvisions() {
    for (arch, count) in PARAMETERS {
        let variables = VarStore::new(Device::Cpu);
        let network = backbone::build(variables.root(), arch, 1000).unwrap();
        assert_eq!(parameters(&variables), count, "{arch}");
        assert_eq!(network.stages(), arch.stages());
        let classifier = &variables.variables()[&format!("{}.weight", arch.classifier())];
        assert_eq!(classifier.size()[0], 1000);
        if let Some(weight) = network.classifier_weight() {
            assert!(weight.equal(classifier));
            assert_eq!(weight.size()[1], network.head_channels());
        }
    }
}

#[test]
fn stages_say_their_places_and_shapes() {
    for (arch, blocks) in [
        (Arch::ResNet18, [2, 2, 2, 2]),
        (Arch::ResNet101, [3, 4, 23, 3]),
        (Arch::ResNet152, [3, 8, 36, 3]),
        (Arch::ResNeXt101, [3, 4, 23, 3]),
    ] {
        let widest = if arch == Arch::ResNet18 { 512 } else { 2048 };
        for (index, (stage, count)) in arch.stages().into_iter().zip(blocks).enumerate() {
            assert_eq!((stage.channels, stage.stride), (widest >> (3 - index), 4 << index), "{arch}");
            assert_eq!(stage.name, format!("layer{}", index + 1));
            let names: Vec<_> = stage.inside.iter().map(|site| site.name.clone()).collect();
            assert_eq!(names, (0..count).map(|block| format!("{}.{block}", stage.name)).collect::<Vec<_>>());
            assert!(stage.inside.iter().all(|site| (site.channels, site.stride) == (stage.channels, stage.stride)));
        }
    }
    for arch in [Arch::Vgg13, Arch::Vgg13Bn, Arch::Vgg16, Arch::Vgg19, Arch::Vgg19Bn] {
        let stages = arch.stages();
        assert_eq!(stages.iter().map(|stage| stage.stride).collect::<Vec<_>>(), [1, 2, 4, 8, 16]);
        assert!(stages.iter().all(|stage| stage.inside.is_empty()));
    }
    let stage = &Arch::MobileNetV2.stages()[2];
    let inside: Vec<_> =
        stage.inside.iter().map(|site| (site.name.as_str(), site.kind, site.channels, site.stride)).collect();
    let branch = InnerKind::Branch;
    let expected =
        [("stage3.expansion", InnerKind::Expansion, 144, 4), ("stage3.1", branch, 32, 8), ("stage3.2", branch, 32, 8)];
    assert_eq!(inside, expected);
}

/// Attention may look at every place of every kind of network, for pictures of any size, and what is there has the
/// shape that was announced.
#[test]
fn every_place_has_the_shape_that_it_announces() {
    for arch in [Arch::ResNet18, Arch::ResNeXt50, Arch::Vgg11, Arch::MobileNetV2, Arch::EfficientNetLite0] {
        let variables = VarStore::new(Device::Cpu);
        let network = backbone::build(variables.root(), arch, 7).unwrap();
        let _guard = tch::no_grad_guard();
        for [height, width] in [[64, 96], [37, 51]] {
            let mut xs = network.stem(&Tensor::zeros([2, 3, height, width], (Kind::Float, Device::Cpu)), false);
            for (index, stage) in network.stages().iter().enumerate() {
                let fits = |xs: &Tensor, channels: i64, stride: i64| {
                    let cells =
                        |side: i64| if arch.name() == "vgg11" { side / stride } else { (side + stride - 1) / stride };
                    assert_eq!(xs.size(), [2, channels, cells(height), cells(width)], "{arch} {}", stage.name);
                };
                let mut asked = Vec::new();
                let mut gate = |inner: usize, xs: &Tensor| {
                    fits(xs, stage.inside[inner].channels, stage.inside[inner].stride);
                    asked.push(inner);
                    Ok(xs.shallow_clone())
                };
                let gated = network.stage_gated(index, &xs, false, &mut gate).unwrap();
                assert_eq!(asked, (0..stage.inside.len()).collect::<Vec<_>>(), "{arch} {}", stage.name);
                xs = network.stage(index, &xs, false);
                assert!(xs.equal(&gated));
                fits(&xs, stage.channels, stage.stride);
            }
            assert_eq!(network.classify(&network.head(&xs, false), false).size(), [2, 7]);
        }
    }
}

#[test]
fn pictures_are_prepared_as_each_family_takes_them() {
    let imagenet = NetworkConfig::plain(Arch::ResNet50).preprocess();
    assert_eq!((imagenet.short_side, imagenet.multiple), (224, 32));
    assert_eq!((imagenet.mean, imagenet.std), ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]));
    assert_eq!(NetworkConfig::plain(Arch::EfficientNetLite1).preprocess().mean, [127.0; 3]);
}

#[test]
fn a_picture_too_small_for_vgg_is_an_error() {
    let network = Network::new(NetworkConfig { classes: 3, ..NetworkConfig::plain(Arch::Vgg11) }, Device::Cpu).unwrap();
    let forward = |side: i64| network.forward(&Tensor::zeros([1, 3, 40, side], (Kind::Float, Device::Cpu)), false);
    assert!(forward(31).unwrap_err().to_string().contains("at least 32"));
    assert_eq!(forward(32).unwrap().logits.size(), [1, 3]);
}

/// A network whose weights follow the generator's rule.
fn filled(config: NetworkConfig) -> Network {
    let network = Network::new(config, Device::Cpu).unwrap();
    for (name, variable) in network.variables().variables() {
        fill(name.strip_prefix("backbone.").unwrap_or(&name), &variable);
    }
    network
}

#[test]
fn grad_cam_looks_into_every_kind_of_network() {
    let pixels = Tensor::from_slice(&unit("photo", 3 * 64 * 96)).view([1, 3, 64, 96]);
    for (arch, stage, grid, head) in [
        (Arch::ResNet18, "layer3", (4, 6), (2, 3)),
        (Arch::Vgg11, "stage4", (8, 12), (4, 6)),
        (Arch::MobileNetV2, "stage5", (4, 6), (2, 3)),
    ] {
        let network = filled(NetworkConfig { classes: 5, ..NetworkConfig::plain(arch) });
        for (stage, grid) in [(Some(stage), grid), (None, head)] {
            for method in [Method::GradCam, Method::LayerCam] {
                let options = ExplainOptions::default();
                let map = explained(&network, &pixels, method, stage, 3, &options).unwrap();
                assert_eq!(map.dim(), grid, "{arch} {stage:?}");
                assert!(
                    map.iter().all(|value| *value >= 0.0) && map.iter().any(|value| *value > 0.0),
                    "{arch} {method}"
                );
            }
        }
    }
}
