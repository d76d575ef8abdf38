//! Whole networks: every family of backbones, the bundled network's maps in every precision, batches, and too little memory.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cbam::backbone::Arch;
use cbam::explain::{ExplainOptions, Features};
use cbam::graph::GraphNetwork;
use cbam::maps::{MapName, Method};
use cbam::model::Model;
use cbam::network::{ForwardPrecision, Network, NetworkConfig};
use cbam::photo::{ImageSize, Preprocess};
use cbam::torchscript::ScriptedNetwork;
use ndarray::Axis;
use tch::{Device, Kind, Tensor};

use super::{device, off, share};
use crate::explain::explained;
use crate::graph::Golden;
use crate::precision::{correlation, inspect, photos, resampled};

fn waves(size: &[i64]) -> Tensor {
    let steps = Tensor::arange(size.iter().product::<i64>(), (Kind::Float, Device::Cpu));
    (steps * 0.37).sin().reshape(size)
}

/// The same network here and there.
fn twins(config: &NetworkConfig) -> [Network; 2] {
    let here = Network::new(config.clone(), Device::Cpu).unwrap();
    let mut there = Network::new(config.clone(), device()).unwrap();
    there.variables_mut().copy(here.variables()).unwrap();
    [here, there]
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_networks_of_every_family_agree() {
    device();
    let attentive = [Arch::EfficientNetLite0, Arch::EfficientNetLite2].map(NetworkConfig::attentive);
    let plain = [Arch::ResNeXt50, Arch::Vgg11Bn, Arch::MobileNetV2].map(NetworkConfig::plain);
    let gated = [
        NetworkConfig::official_cbam(Arch::ResNet50),
        NetworkConfig::official_se(Arch::ResNet18),
        NetworkConfig::official_eca(Arch::ResNet18),
        Ok(NetworkConfig::official_bam(Arch::ResNet18)),
    ];
    for config in attentive.into_iter().chain(plain).chain(gated.map(Result::unwrap)) {
        let arch = config.arch;
        let xs = waves(&[2, 3, 64, 96]);
        let [here, there] = twins(&config)
            .map(|network| tch::no_grad(|| network.forward(&xs.to_device(network.device()), false).unwrap()));
        let most = 10.0 * share(); // dozens of layers after one another
        for (what, expected, got) in
            [("logits", &here.logits, &there.logits), ("features", &here.features, &there.features)]
        {
            let off = off(expected, got);
            assert!(off <= most, "{arch}: {what} are off by {off:e}");
        }
        for (expected, got) in here.attention.iter().zip(&there.attention) {
            let gates = expected.spatial.iter().zip(&got.spatial).map(|(a, b)| off(&a.gate, &b.gate));
            let patches = expected.patch.iter().zip(&got.patch).map(|(a, b)| off(&a.weights, &b.weights));
            for off in gates.chain(patches) {
                assert!(off <= most, "{arch}: a map of {} is off by {off:e}", expected.stage);
            }
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_maps_are_those_of_a_cpu_in_every_precision() {
    device();
    let methods = [Method::LayerCam];
    let expected = inspect(&Network::pretrained(Device::Cpu).unwrap(), &methods);
    for (precision, most, least) in [
        (ForwardPrecision::F32, 0.01, 0.999),
        (ForwardPrecision::F16, 0.05, 0.99),
        (ForwardPrecision::Bf16, 1.0, 0.6), // see ForwardPrecision::Bf16
    ] {
        let there = Network::pretrained(device()).unwrap().in_precision(precision).unwrap();
        let geometry = resampled(&there)[0].geometry();
        for (seen, expected) in inspect(&there, &methods).iter().zip(&expected) {
            for name in expected.map_names() {
                let [map, expected] = [seen, expected].map(|readout| readout.map(&name, &geometry).unwrap());
                let off = (map.values() - expected.values()).iter().fold(0.0f32, |most, off| most.max(off.abs()));
                let alike = correlation(map.values().iter().zip(expected.values()));
                let holds = off <= most * expected.statistics().max && alike >= least;
                assert!(holds, "{precision} {name}: off by {off}, correlation {alike}");
            }
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_pictures_in_8_bits_are_normalised_as_on_a_cpu() {
    device();
    let [here, there] = [Device::Cpu, device()].map(|device| Network::pretrained(device).unwrap());
    let pictures = resampled(&here);
    let pictures: Vec<_> = pictures.iter().collect();
    assert!(off(&here.pictures(&pictures).unwrap(), &there.pictures(&pictures).unwrap()) < 1e-6);
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_batches_say_what_their_pictures_say() {
    let network = Network::pretrained(device()).unwrap();
    let prepared = photos().map(|photo| network.config().preprocess().apply(&photo).unwrap().pixels);
    let views: Vec<_> = (0..17).map(|index| prepared[index % 3].view()).collect();
    let together = network.run(&ndarray::stack(Axis(0), &views).unwrap().view(), &[[0.4, 0.6]]).unwrap();
    assert_eq!(together.len(), 17);
    for (index, readout) in together.iter().enumerate() {
        let alone = network.run(&views[index].view().insert_axis(Axis(0)), &[[0.4, 0.6]]).unwrap().remove(0);
        for (a, b) in readout.probabilities.iter().zip(&alone.probabilities) {
            assert!((a - b).abs() < 0.01, "picture {index}: {a} {b}");
        }
        assert_eq!(readout.map_names(), alone.map_names());
    }
}

/// Takes all memory there is: no other test runs beside it.
#[test]
#[ignore = "needs a GPU"]
fn cuda_out_of_memory_ends_one_batch_and_not_the_network() {
    device();
    let network = Network::plain(device()).unwrap();
    let picture = waves(&[1, 3, 224, 224]).to_device(device());
    let look = |xs: &Tensor| tch::no_grad(|| network.forward(xs, false).map(|output| output.logits));
    let before = look(&picture).unwrap();
    // 90 GiB of pictures, which an expanded one is until it is copied, and 240 GiB behind the first convolution.
    let pictures = picture.expand([160_000, 3, 224, 224], false);
    let message = match catch_unwind(AssertUnwindSafe(|| look(&pictures))) {
        Ok(passed) => passed.unwrap_err().to_string(),
        Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_default(), // as the pipeline tells it
    };
    assert!(message.contains("memory"), "{message}");
    assert!(off(&before, &look(&picture).unwrap()) < 1e-2, "what came before is as it was");
    let batch = network.batch_size(100_000, ImageSize::new(4096, 4096));
    assert!((1..=128).contains(&batch), "{batch}");
    assert!(off(&before, &look(&picture).unwrap()) < 1e-2);
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_graphs_give_the_maps_of_a_cpu() {
    device();
    for file in Golden::files() {
        // Of a grey one the first channel is taken.
        let pixels = Golden::open(&file).input().expand([-1, 3, -1, -1], false);
        let [here, there] = [Device::Cpu, device()].map(|device| {
            let preprocess = Preprocess { short_side: 64, ..Preprocess::imagenet() };
            let network = GraphNetwork::open(crate::graph::golden(&file), device, preprocess).unwrap();
            let cam = (Features::answers(&network) > 0 && Features::default_place(&network).is_some()).then(|| {
                let one = pixels.narrow(0, 0, 1);
                explained(&network, &one, Method::GradCam, None, 1, &ExplainOptions::default()).unwrap()
            });
            (network.forward(&pixels).unwrap(), network.run(&pixels).unwrap(), cam)
        });
        // bf16 has 8 bits.
        let share = if file.starts_with("half") { 0.05 } else { 10.0 * share() as f32 };
        let near = |seen: &[f32], expected: &[f32], what: &str| {
            let most = share * expected.iter().copied().fold(1e-6, |most, value| value.abs().max(most));
            assert_eq!(seen.len(), expected.len(), "{file}: {what}");
            assert!(seen.iter().zip(expected).all(|(a, b)| (a - b).abs() <= most), "{file}: {what}");
        };
        for (seen, expected) in there.0.iter().zip(&here.0) {
            let (Some(seen), Some(expected)) = (seen, expected) else { continue };
            let far = off(expected, seen);
            assert!(far <= f64::from(share), "{file}: an output is off by {far}");
        }
        if let (Some(seen), Some(expected)) = (&there.2, &here.2) {
            near(&flat(seen), &flat(expected), "Grad-CAM");
        }
        for (seen, expected) in there.1.iter().zip(&here.1) {
            assert_eq!((seen.gates.len(), seen.patches.len()), (expected.gates.len(), expected.patches.len()));
            for (seen, expected) in seen.gates.iter().zip(&expected.gates) {
                near(&seen.channel.to_vec(), &expected.channel.to_vec(), &seen.stage);
                for (seen, expected) in [(&seen.spatial, &expected.spatial), (&seen.coordinate, &expected.coordinate)] {
                    let [seen, expected] = [seen, expected].map(|map| map.as_ref().map_or_else(Vec::new, flat));
                    near(&seen, &expected, "a gate over places");
                }
            }
            for (seen, expected) in seen.patches.iter().zip(&expected.patches) {
                near(&flat(&seen.mean()), &flat(&expected.mean()), &seen.stage);
            }
        }
    }
}

fn flat(values: &ndarray::Array2<f32>) -> Vec<f32> {
    values.iter().copied().collect()
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_torchscript_gives_the_maps_of_a_cpu() {
    device();
    let path = crate::file("tests/golden/torchscript/gated.pt");
    let [here, there] = [Device::Cpu, device()].map(|device| {
        let preprocess = Preprocess { short_side: 64, ..Preprocess::default() };
        let network = ScriptedNetwork::open(&path, device, preprocess, Some(&[1, 2])).unwrap();
        network.run(&waves(&[2, 3, 32, 48]).to_device(device)).unwrap()
    });
    let geometry = cbam::photo::Geometry::whole(ImageSize::new(48, 32), ImageSize::new(48, 32));
    for (seen, expected) in there.iter().zip(&here) {
        for name in ["output:1", "output:2", "output:2:1"] {
            let name: MapName = name.parse().unwrap();
            let [seen, expected] = [seen, expected].map(|readout| readout.map(&name, &geometry).unwrap());
            let most = 10.0 * share() as f32 * expected.statistics().max;
            assert!(seen.values().iter().zip(expected.values()).all(|(a, b)| (a - b).abs() <= most), "{name}");
        }
    }
}
