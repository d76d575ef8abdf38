//! The attention layers by themselves: CBAM at three sizes, patch attention on a 448-pixel picture.

mod common;

use criterion::{Criterion, criterion_group, criterion_main};
use tch::Device;

use common::{CbamBlock, PatchBlock, THREADS, normal};

fn cbam(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cbam");
    for size in [[8, 256, 56, 56], [8, 512, 28, 28], [1, 64, 112, 112]] {
        let xs = normal(&size, Device::Cpu);
        let block = CbamBlock::new(size[1]).expect("a block of that many channels");
        let name = size.map(|side| side.to_string()).join("x");
        group.bench_function(name, |bencher| bencher.iter(|| block.forward(&xs).expect("features that fit")));
    }
}

fn patch(criterion: &mut Criterion) {
    let block = PatchBlock::new().expect("a block of that many channels");
    let xs = PatchBlock::features(448, 448);
    criterion.bench_function("patch/448", |bencher| bencher.iter(|| block.forward(&xs).expect("features that fit")));
}

fn config() -> Criterion {
    cbam::sys::set_all_threads(Some(THREADS)).expect("threads are set once");
    Criterion::default()
}

criterion_group! { name = benches; config = config(); targets = cbam, patch }
criterion_main!(benches);
