//! Whole networks, pixels to logits and maps: the default one on one picture and on eight, others on one.

mod common;

use cbam::backbone::Arch;
use cbam::network::{ForwardPrecision, Network, NetworkConfig};
use criterion::{Criterion, criterion_group, criterion_main};
use tch::Device;

use common::{Looking, THREADS, default_network};

fn forward(criterion: &mut Criterion) {
    let default = default_network(Device::Cpu, ForwardPrecision::F32).expect("the bundled network");
    let other = |config| {
        let network = Network::new(config, Device::Cpu).expect("a fresh network");
        Looking::of(network).expect("libtorch copies its weights")
    };
    let others = [
        ("resnet18", NetworkConfig::plain(Arch::ResNet18)),
        ("resnet50-cbam", NetworkConfig::official_cbam(Arch::ResNet50).expect("it has residual blocks")),
        ("resnext50", NetworkConfig::plain(Arch::ResNeXt50)),
        ("resnet50-bam", NetworkConfig::official_bam(Arch::ResNet50)),
        ("mobilenet_v2", NetworkConfig::plain(Arch::MobileNetV2)),
        ("vgg16", NetworkConfig::plain(Arch::Vgg16)),
    ];
    let others: Vec<_> = others.into_iter().map(|(name, config)| (name, other(config), 1)).collect();
    let defaults = [("default", &default, 1), ("default", &default, 8)];
    for (name, network, batch) in
        defaults.into_iter().chain(others.iter().map(|(name, network, batch)| (*name, network, *batch)))
    {
        let xs = network.pixels([batch, 3, 224, 224]);
        criterion.bench_function(&format!("forward/{name}/{batch}"), |bencher| {
            bencher.iter(|| network.forward(&xs).expect("pictures of that size"));
        });
    }
}

fn config() -> Criterion {
    cbam::sys::set_all_threads(Some(THREADS)).expect("threads are set once");
    Criterion::default().sample_size(20)
}

criterion_group! { name = benches; config = config(); targets = forward }
criterion_main!(benches);
