//! What goes into the network, in 8 bits or as numbers, and what it computes in: the maps are the same, as nearly as 16 bits can say.

use std::path::Path;

use cbam::explain::Method;
use cbam::maps::Readout;
use cbam::network::{ForwardPrecision, Network};
use cbam::photo::{Limits, Photo, Resampled, open};
use cbam::pipeline::{Ask, Explain, Inspect};
use image::imageops::FilterType;
use ndarray::Axis;
use tch::{Device, Kind};

const SIZE: (u32, u32) = (300, 200);

fn photos() -> [Photo; 3] {
    ["chelsea.jpg", "coffee.jpg", "rocket.jpg"].map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/images").join(name);
        open(&path, &Limits::default()).unwrap().image.resize_exact(SIZE.0, SIZE.1, FilterType::Triangle).into()
    })
}

fn resampled(network: &Network) -> [Resampled; 3] {
    photos().map(|photo| network.config().preprocess().resample(&photo).unwrap())
}

fn inspect(network: &mut Network, methods: &[Method]) -> Vec<Readout> {
    let pictures = resampled(network);
    let explain = Explain { methods: methods.iter().map(|method| (*method, None)).collect(), ..Explain::default() };
    let pictures: Vec<_> = pictures.iter().collect();
    network.inspect(&pictures, Ask { queries: &[[0.4, 0.6]], explain: &explain }, &mut |_| true).unwrap()
}

#[test]
fn pictures_in_8_bits_say_what_their_numbers_say() {
    for network in
        [Network::pretrained(Device::Cpu).unwrap(), Network::pretrained(Device::Cpu).unwrap().for_inference()]
    {
        let pictures = resampled(&network);
        let prepared = photos().map(|photo| network.config().preprocess().apply(&photo).unwrap().pixels);
        let batch = ndarray::stack(Axis(0), &prepared.each_ref().map(ndarray::ArrayBase::view)).unwrap();
        let pictures: Vec<_> = pictures.iter().collect();
        let (from_bytes, from_numbers) = (network.pictures(&pictures).unwrap(), network.input(&batch.view()).unwrap());
        assert!(from_bytes.equal(&from_numbers));
        let seen = network.look(&pictures, &[[0.4, 0.6]]).unwrap();
        let expected = network.run(&batch.view(), &[[0.4, 0.6]]).unwrap();
        for (seen, expected) in seen.iter().zip(&expected) {
            assert!(seen.probabilities.iter().zip(&expected.probabilities).all(|(a, b)| (a - b).abs() < 1e-6));
        }
        assert_eq!((seen.len(), expected.len()), (3, 3));
    }
}

#[test]
fn half_the_bits_say_nearly_the_same() {
    let methods = [Method::GradCam, Method::LayerCam, Method::EigenCam];
    let mut full = Network::pretrained(Device::Cpu).unwrap();
    let geometry = resampled(&full)[0].geometry;
    let expected = inspect(&mut full, &methods);
    for (precision, kind, most, on_average) in
        [(ForwardPrecision::F16, Kind::Half, 0.02, 0.004), (ForwardPrecision::Bf16, Kind::BFloat16, 0.4, 0.08)]
    {
        let mut half = Network::pretrained(Device::Cpu).unwrap().for_inference().in_precision(precision);
        assert!(!half.is_prepared(), "the weights are others than those that were made ready");
        let input = half.pictures(&resampled(&half).each_ref()).unwrap();
        assert_eq!((input.kind(), input.stride()[1]), (kind, 1), "channels together");
        for (seen, expected) in inspect(&mut half, &methods).iter().zip(&expected) {
            for (a, b) in seen.probabilities.iter().zip(&expected.probabilities) {
                assert!((a - b).abs() <= most, "{precision}: {a} {b}");
            }
            for name in expected.map_names() {
                let [map, expected] = [seen, expected].map(|readout| readout.map(&name, &geometry).unwrap());
                let span = expected.statistics().max.max(1.0);
                let off: Vec<_> = (map.values() - expected.values()).iter().map(|off| off.abs() / span).collect();
                let mean = off.iter().sum::<f32>() / off.len() as f32;
                assert!(
                    mean <= on_average && off.iter().all(|off| *off <= most),
                    "{precision} {name}: {mean} of {off:?}"
                );
            }
        }
    }
}
