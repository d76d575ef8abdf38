//! Whole networks, pixels to logits and maps: the default one on one picture and on eight, ResNet-18 on one.

mod common;

use cbam::backbone::Arch;
use cbam::network::{ForwardPrecision, Network, NetworkConfig};
use criterion::{Criterion, criterion_group, criterion_main};
use tch::Device;

use common::{THREADS, default_network, infer, normal};

fn forward(criterion: &mut Criterion) {
    let default = default_network(Device::Cpu, ForwardPrecision::F32).expect("the bundled network");
    let resnet =
        Network::new(NetworkConfig::plain(Arch::ResNet18), Device::Cpu).expect("a plain network").for_inference();
    for (name, network, batch) in [("default", &default, 1), ("default", &default, 8), ("resnet18", &resnet, 1)] {
        let xs = normal(&[batch, 3, 224, 224], Device::Cpu);
        criterion.bench_function(&format!("forward/{name}/{batch}"), |bencher| {
            bencher.iter(|| infer(network, &xs).expect("pictures of that size"));
        });
    }
}

fn config() -> Criterion {
    cbam::sys::set_all_threads(Some(THREADS)).expect("threads are set once");
    Criterion::default().sample_size(20)
}

criterion_group! { name = benches; config = config(); targets = forward }
criterion_main!(benches);
