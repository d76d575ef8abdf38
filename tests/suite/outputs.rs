//! What a network's numbers for its classes are: one logit, labels by themselves, numbers that are none.

use std::collections::BTreeMap;

use cbam::backbone::Arch;
use cbam::explain::{ExplainOptions, Features, explain};
use cbam::maps::{HEAD, Method, Readout};
use cbam::network::{Network, NetworkConfig, Outputs};
use cbam::weights::{Apply, Checkpoint};
use ndarray::Array4;
use tch::{Device, Kind};

/// The published features, whose answers change with the picture, under a classifier of so many classes.
fn network(classes: i64) -> Network {
    let config = NetworkConfig { classes, ..NetworkConfig::plain(Arch::EfficientNetLite0) };
    let network = Network::new(config, Device::Cpu).unwrap();
    let mut features = Checkpoint::open(crate::file("assets/weights/efficientnet-lite0.safetensors")).unwrap();
    features.tensors.retain(|name, _| !name.starts_with("_fc."));
    let report = features.apply(&network.variables().variables(), "backbone.", false).unwrap();
    assert!(report.missing.iter().all(|name| name.contains("_fc.")), "{report}");
    network
}

fn pictures() -> Array4<f32> {
    Array4::from_shape_fn((2, 3, 64, 96), |(n, c, y, x)| ((n * 7 + c * 3 + y * x) % 17) as f32 / 8.0 - 1.0)
}

fn logits(network: &Network) -> Vec<f32> {
    let input = network.input(&pictures().view()).unwrap();
    let logits = tch::no_grad(|| network.forward(&input, false).unwrap().logits);
    Vec::try_from(logits.flatten(0, -1)).unwrap()
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// Makes a bias of the classifier, which is the last variable of its shape, what it should be.
fn set_bias(network: &mut Network, class: i64, value: f64) {
    let classes = network.config().classes;
    let mut variables = network.variables_mut().variables();
    let bias = variables.iter_mut().find(|(name, value)| name.ends_with("bias") && value.size() == [classes]);
    let _ = tch::no_grad(|| bias.unwrap().1.get(class).fill_(value));
}

#[test]
fn one_logit_has_two_answers_with_a_map_each() {
    let mut network = network(1);
    set_bias(&mut network, 0, 0.9);
    assert_eq!((network.config().outputs, network.answers()), (Outputs::Sigmoid, 2));
    let expected = logits(&network);
    let other = self::network(1);
    let expected_of_other = logits(&other);
    let readouts = [
        network.run(&pictures().view(), &[]).unwrap(),
        other.for_inference().unwrap().run(pictures().view(), &[]).unwrap(),
    ];
    for (readouts, expected) in readouts.into_iter().zip([expected, expected_of_other]) {
        for (readout, logit) in readouts.iter().zip(&expected) {
            let [no, yes] = [readout.probabilities[0], readout.probabilities[1]];
            assert!((yes - sigmoid(*logit)).abs() < 1e-4 && (no + yes - 1.0).abs() < 1e-6, "{no} {yes} {logit}");
            assert_eq!(readout.explanations[0].class, usize::from(*logit > 0.0));
        }
    }
    let network = self::network(1);
    let pictures = pictures();
    let options = ExplainOptions::default();
    for method in [Method::GradCam, Method::HiResCam, Method::Occlusion] {
        let pixels = pictures.index_axis(ndarray::Axis(0), 0);
        let map = |class| explain(&network, pixels, method, None, class, &options, &mut |_, _| true);
        let [no, yes] = [0, 1].map(|class| map(class).unwrap());
        assert_ne!(no, yes, "{method}");
        assert!(no.iter().chain(&yes).any(|value| *value > 0.0), "{method}");
        assert!(map(2).unwrap_err().to_string().contains("0 to 1"));
    }
    assert!(network.with_outputs(Outputs::Softmax).unwrap_err().to_string().contains("sigmoid"));
}

#[test]
fn labels_by_themselves_do_not_sum_to_one() {
    let network = network(3).with_outputs(Outputs::Sigmoid).unwrap();
    let expected = logits(&network);
    for (readout, logits) in network.run(&pictures().view(), &[]).unwrap().iter().zip(expected.chunks(3)) {
        assert!(readout.probabilities.iter().zip(logits).all(|(p, logit)| (p - sigmoid(*logit)).abs() < 1e-5));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.safetensors");
    network.save(&path, &BTreeMap::new()).unwrap();
    assert_eq!(
        Network::open(&path, Device::Cpu).unwrap().config().outputs,
        Outputs::Sigmoid,
        "the file says it itself"
    );
}

#[test]
fn a_logit_that_is_no_number_is_an_error() {
    for (bad, name) in [(f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf"), (f64::NAN, "NaN")] {
        let mut network = network(3);
        set_bias(&mut network, 2, bad);
        let message = network.run(&pictures().view(), &[]).unwrap_err().to_string();
        assert!(message.contains(&format!("{name} for class 2 is not finite")), "{message}");
    }
}

#[test]
fn pictures_may_be_taken_in_another_way() {
    let network = network(3);
    let own = network.preprocess().clone();
    assert_eq!(own, network.config().preprocess());
    let other = cbam::photo::Preprocess { mean: [127.5; 3], ..own.clone() };
    let network = network.with_preprocess(other.clone()).unwrap();
    assert_eq!(network.preprocess(), &other);
    let photo = cbam::photo::Photo::from(image::DynamicImage::from(image::RgbImage::new(64, 64)));
    let small = cbam::photo::Preprocess { short_side: 64, ..other };
    let resampled = small.resample(&photo).unwrap();
    let pixels = network.pictures(&[&resampled]).unwrap();
    let expected = f64::from(-127.5 / own.std[0]);
    assert!((pixels.select(1, 0).mean(Kind::Float).double_value(&[]) - expected).abs() < 1e-5);
    let zero = cbam::photo::Preprocess { std: [0.0; 3], ..own };
    assert!(network.with_preprocess(zero).is_err());
}

#[test]
fn a_temperature_divides_the_logits_and_leaves_answers_and_maps() {
    let usual = network(3);
    let mut config = usual.config().clone();
    config.temperature = 0.5;
    let sharp = Network::new(config.clone(), Device::Cpu).unwrap();
    for (name, mut variable) in sharp.variables().variables() {
        tch::no_grad(|| variable.copy_(&usual.variables().variables()[&name]));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sharp.safetensors");
    sharp.save(&path, &BTreeMap::new()).unwrap();
    let sharp = Network::open(&path, Device::Cpu).unwrap();
    assert_eq!(sharp.config().temperature, 0.5);
    let doubled = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (2.0 * a - b).abs() < 1e-5);
    assert!(doubled(&logits(&usual), &logits(&sharp)), "{:?} {:?}", logits(&usual), logits(&sharp));
    // The same with and without libtorch, from the start and from the classifier's features.
    let read = |network: &Network| network.run(&pictures().view(), &[]).unwrap();
    let of_torch = [read(&usual), read(&sharp)];
    let fast = [usual, sharp].map(|network| network.for_inference().unwrap());
    let [cool, hot] = fast.each_ref().map(|network| network.logits(pictures().view()).unwrap());
    assert!(doubled(cool.as_slice().unwrap(), hot.as_slice().unwrap()), "{cool} {hot}");
    let picture = pictures().index_axis_move(ndarray::Axis(0), 0);
    let features = Features::features(&fast[1], HEAD, picture.view()).unwrap().insert_axis(ndarray::Axis(0));
    let behind = Features::logits_from(&fast[1], HEAD, features.view()).unwrap();
    assert!((&behind.row(0) - &hot.row(0)).iter().all(|off| off.abs() < 1e-5), "{behind} {hot}");
    let of_core = fast.each_ref().map(|network| network.run(pictures().view(), &[]).unwrap());
    for [cool, hot] in [of_torch, of_core] {
        for (cool, hot) in cool.iter().zip(&hot) {
            let of = |readout: &Readout| {
                let total: f32 = readout.probabilities.sum();
                assert!((total - 1.0).abs() < 1e-5);
                readout.probabilities.iter().copied().fold(0.0f32, f32::max)
            };
            assert!(of(hot) > of(cool), "half the temperature is more confident");
            let [cool, hot] = [cool, hot].map(|readout| &readout.explanations[0]);
            assert_eq!(cool.class, hot.class);
            let (cool, hot) = (cool.map.as_standard_layout(), hot.map.as_standard_layout());
            assert!(doubled(cool.as_slice().unwrap(), hot.as_slice().unwrap()), "{cool} {hot}");
        }
    }
    for (temperature, outputs) in
        [(0.0, Outputs::Softmax), (-1.0, Outputs::Softmax), (f64::NAN, Outputs::Softmax), (2.0, Outputs::Probabilities)]
    {
        let error = Network::new(NetworkConfig { temperature, outputs, ..config.clone() }, Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("temperature"), "{error}");
    }
    let error = fast.into_iter().nth(1).unwrap().with_outputs(Outputs::Probabilities).unwrap_err();
    assert!(error.to_string().contains("temperature"), "{error}");
}
