//! What goes into the network, in 8 bits or as numbers, and what it computes in: the maps are the same, as nearly as 16 bits can say.

use cbam::explain::ExplainOptions;
use cbam::kernels::bf16;
use cbam::maps::{MapName, Method, Readout};
use cbam::model::{Model, Question};
use cbam::network::{ForwardPrecision, Network, NetworkFile};
use cbam::photo::{Limits, Photo, Resampled, open};
use image::imageops::FilterType;
use ndarray::Axis;
use tch::{Device, Kind};

use crate::explain::explained;

const SIZE: (u32, u32) = (300, 200);

pub(crate) fn photos() -> [Photo; 3] {
    ["chelsea.jpg", "coffee.jpg", "rocket.jpg"].map(|name| {
        let path = crate::file("assets/images").join(name);
        open(&path, &Limits::default()).unwrap().image.resize_exact(SIZE.0, SIZE.1, FilterType::Triangle).into()
    })
}

pub(crate) fn resampled(network: &Network) -> [Resampled; 3] {
    photos().map(|photo| network.config().preprocess().resample(&photo).unwrap())
}

/// The bundled network as it was trained, to whose probabilities, and not to sharper ones, the tolerances belong.
fn trained() -> NetworkFile {
    let mut file = NetworkFile::pretrained().unwrap();
    file.config.temperature = 1.0;
    file
}

fn network() -> Network {
    Network::of_file(trained(), Device::Cpu).unwrap().network
}

/// A point of the pictures, and where it lies in them.
const POINT: MapName = MapName::PatchAt(120, 120);
const FRACTION: [f32; 2] = [120.5 / SIZE.0 as f32, 120.5 / SIZE.1 as f32];

pub(crate) fn inspect(network: &Network, methods: &[Method]) -> Vec<Readout> {
    let pictures = resampled(network);
    let maps: Vec<_> = methods.iter().map(|method| MapName::explain(*method)).chain([POINT]).collect();
    let looks = network.look(&pictures.iter().collect::<Vec<_>>(), &Question::about(&maps)).unwrap();
    looks.into_iter().map(|look| look.readout).collect()
}

/// Pearson's, of pairs.
pub(crate) fn correlation<'a>(pairs: impl Iterator<Item = (&'a f32, &'a f32)>) -> f64 {
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.map(|(a, b)| (f64::from(*a), f64::from(*b))).unzip();
    let centred = |values: Vec<f64>| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.into_iter().map(move |value| value - mean).collect::<Vec<_>>()
    };
    let (a, b) = (centred(a), centred(b));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

#[test]
fn pictures_in_8_bits_say_what_their_numbers_say() {
    let form = trained().for_inference().unwrap();
    let network = network();
    for look in [&form as &dyn Model, &network] {
        let pictures = resampled(&network);
        let prepared = photos().map(|photo| network.config().preprocess().apply(&photo).unwrap().pixels);
        let batch = ndarray::stack(Axis(0), &prepared.each_ref().map(ndarray::ArrayBase::view)).unwrap();
        let pictures: Vec<_> = pictures.iter().collect();
        let (from_bytes, from_numbers) = (network.pictures(&pictures).unwrap(), network.input(&batch.view()).unwrap());
        assert!(from_bytes.equal(&from_numbers));
        let seen = look.look(&pictures, &Question::about(&[POINT])).unwrap();
        let expected = network.run(&batch.view(), &[FRACTION]).unwrap();
        for (seen, expected) in seen.iter().zip(&expected) {
            assert_eq!(seen.readout.patches[0].rows[0].query, expected.patches[0].rows[0].query);
            assert!(seen.readout.probabilities.iter().zip(&expected.probabilities).all(|(a, b)| (a - b).abs() < 1e-6));
        }
        assert_eq!((seen.len(), expected.len()), (3, 3));
    }
}

#[test]
fn every_method_explains_in_16_bits() {
    let options = ExplainOptions::default().with_masks(8).with_window(32).with_stride(32);
    let full = Network::pretrained(Device::Cpu).unwrap();
    let half = Network::pretrained(Device::Cpu).unwrap().in_precision(ForwardPrecision::F16).unwrap();
    let pixels = full.pictures(&[&resampled(&full)[1]]).unwrap().upsample_bilinear2d([64, 96], false, None, None);
    // Few channels, of which some are below 0: a CPU is slow in f16, and costly methods take a pass for each.
    let methods = Method::ALL.into_iter().filter(|method| !method.needs_attention());
    for (method, stage) in methods.flat_map(|method| [(method, None), (method, Some("stage1"))]) {
        let (no_stage, too_slow) =
            (!method.needs_stage() && stage.is_some(), method.needs_stage() && stage.is_none() && method.is_costly());
        if no_stage || too_slow {
            continue;
        }
        let [expected, map] =
            [&full, &half].map(|network| explained(network, &pixels, method, stage, 967, &options).unwrap());
        assert!(map.iter().all(|value| value.is_finite()), "{method} {stage:?}: {map}");
        if !method.needs_stage() {
            assert!(map.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.01), "{method}: {map} {expected}");
            continue; // of probabilities, perhaps all 0
        }
        let alike = correlation(map.iter().zip(&expected));
        // So early in the network gradients carry the rounding of all that follows; and Grad-CAM++ divides by what may be next to 0
        // where features are below it.
        let least = if stage.is_none() { 0.99 } else { 0.9 };
        assert!(alike > least || (method == Method::GradCamPlusPlus && stage.is_some()), "{method} {stage:?}: {alike}");
    }
}

#[test]
fn half_the_bits_say_nearly_the_same() {
    let methods = [Method::GradCam, Method::LayerCam, Method::EigenCam];
    let full = network();
    let geometry = resampled(&full)[0].geometry();
    let expected = inspect(&full, &methods);
    for (precision, kind, off, least) in
        [(ForwardPrecision::F16, Kind::Half, 0.005, 0.999), (ForwardPrecision::Bf16, Kind::BFloat16, 0.1, 0.6)]
    {
        let half = network().in_precision(precision).unwrap();
        assert!(!half.is_f32_on_cpu(), "the kernels take f32 alone");
        let input = half.pictures(&resampled(&half).each_ref()).unwrap();
        assert_eq!((input.kind(), input.stride()[1]), (kind, 1), "channels together");
        for (seen, expected) in inspect(&half, &methods).iter().zip(&expected) {
            for (a, b) in seen.probabilities.iter().zip(&expected.probabilities) {
                assert!((a - b).abs() <= off, "{precision}: {a} {b}");
            }
            for name in expected.map_names() {
                let [map, expected] = [seen, expected].map(|readout| readout.map(&name, &geometry).unwrap());
                let alike = correlation(map.values().iter().zip(expected.values()));
                assert!(alike > least, "{precision} {name}: {alike}");
            }
        }
    }
}

/// The form for inference rounds what its convolutions take, and keeps all else in 32 bits.
#[test]
fn bf16_by_the_kernels_says_nearly_the_same_or_is_refused() {
    let full = Network::pretrained(Device::Cpu).unwrap().for_inference().unwrap();
    let brief = Network::pretrained(Device::Cpu).unwrap().for_inference().unwrap();
    if bf16::units().is_empty() {
        let error = brief.in_precision(ForwardPrecision::Bf16).unwrap_err().to_string();
        assert!(error.contains("AVX512-BF16"), "{error}");
        return;
    }
    let brief = brief.in_precision(ForwardPrecision::Bf16).unwrap();
    let pictures = photos().map(|photo| full.config().preprocess().resample(&photo).unwrap());
    let geometry = pictures[0].geometry();
    let maps: Vec<_> = [Method::GradCam, Method::EigenCam].map(MapName::explain).into_iter().chain([POINT]).collect();
    let look = |network: &dyn Model| network.look(&pictures.each_ref(), &Question::about(&maps)).unwrap();
    for (seen, expected) in look(&brief).iter().zip(&look(&full)) {
        let (seen, expected) = (&seen.readout, &expected.readout);
        for (a, b) in seen.probabilities.iter().zip(&expected.probabilities) {
            assert!((a - b).abs() <= 0.02, "{a} {b}");
        }
        for name in expected.map_names() {
            let [map, expected] = [seen, expected].map(|readout| readout.map(&name, &geometry).unwrap());
            let alike = correlation(map.values().iter().zip(expected.values()));
            assert!(alike > 0.995, "{name}: {alike}");
        }
    }
    let error = brief.in_precision(ForwardPrecision::F32).unwrap_err().to_string();
    assert!(error.contains("open the network anew"), "{error}");
}

#[test]
fn f16_refuses_what_it_cannot_hold_and_32_bits_come_back() {
    let network = Network::pretrained(Device::Cpu).unwrap();
    let mut deviation = network.variables().variables().remove("backbone._bn0.running_var").unwrap();
    let _ = tch::no_grad(|| deviation.g_mul_scalar_(1e9));
    let message = network.in_precision(ForwardPrecision::F16).unwrap_err().to_string();
    assert!(message.contains("backbone._bn0.running_var") && message.contains("bf16"), "{message}");

    let there = Network::pretrained(Device::Cpu).unwrap().in_precision(ForwardPrecision::F16).unwrap();
    assert!(there.in_precision(ForwardPrecision::F32).unwrap().is_f32_on_cpu());
}
