//! The way of one photo: decode, prepare, overlay, encode, and all of it, network included.

mod common;

use std::fs;
use std::path::Path;

use cbam::maps::{MapName, Scale};
use cbam::network::{Inference, Network};
use cbam::photo::{self, Limits, Photo};
use cbam::render::{Overlay, PictureFormat, encode};
use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::Axis;
use tch::Device;

use common::{THREADS, bundled};

const QUALITY: u8 = 90;

fn decode(path: &Path, bytes: &[u8]) -> Photo {
    photo::decode(path, bytes, &Limits::default()).expect("a bundled picture")
}

/// A file's bytes to those of its overlay.
fn whole(network: &Inference, path: &Path, bytes: &[u8]) -> cbam::Result<Vec<u8>> {
    let photo = decode(path, bytes);
    let prepared = network.config().preprocess().apply(&photo)?;
    let readout = network.run(prepared.pixels.view().insert_axis(Axis(0)), &[])?.remove(0);
    let map = readout.map(&MapName::Fused, &prepared.geometry)?;
    let overlay = Overlay::default().apply(&photo, &map, Scale::Image.limits(&map))?;
    Ok(encode(&overlay, PictureFormat::Png, QUALITY).expect("PNG takes any picture"))
}

fn pipeline(criterion: &mut Criterion) {
    let path = bundled("coffee.jpg");
    let bytes = fs::read(&path).expect("a bundled picture");
    let network = Network::pretrained(Device::Cpu).and_then(Network::for_inference).expect("the bundled network");
    let preprocess = network.config().preprocess();

    let photo = decode(&path, &bytes);
    let prepared = preprocess.apply(&photo).expect("a picture with pixels");
    let readout = network.run(prepared.pixels.view().insert_axis(Axis(0)), &[]).expect("a photo").remove(0);
    let map = readout.map(&MapName::Fused, &prepared.geometry).expect("the default map");
    let limits = Scale::Image.limits(&map);
    let lay = || Overlay::default().apply(&photo, &map, limits).expect("a picture with pixels");
    let overlay = lay();

    let mut group = criterion.benchmark_group("pipeline");
    group.bench_function("decode", |bencher| bencher.iter(|| decode(&path, &bytes)));
    group.bench_function("prepare", |bencher| bencher.iter(|| preprocess.apply(&photo)));
    group.bench_function("overlay", |bencher| bencher.iter(lay));
    for format in [PictureFormat::Png, PictureFormat::Jpeg] {
        group.bench_function(format!("encode/{format}"), |bencher| {
            bencher.iter(|| encode(&overlay, format, QUALITY).expect("either takes any picture"));
        });
    }
    group.bench_function("whole", |bencher| {
        bencher.iter(|| whole(&network, &path, &bytes).expect("a bundled picture"));
    });
}

fn config() -> Criterion {
    cbam::sys::set_all_threads(Some(THREADS)).expect("threads are set once");
    Criterion::default().sample_size(30)
}

criterion_group! { name = benches; config = config(); targets = pipeline }
criterion_main!(benches);
