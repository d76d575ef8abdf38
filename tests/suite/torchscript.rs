//! Networks of others: what PyTorch scripted or traced gives the maps that PyTorch says, and errors name file and output.

mod outputs;

use std::path::PathBuf;

use cbam::explain::ExplainOptions;
use cbam::maps::{MapName, Method};
use cbam::model::Model;
use cbam::network::Outputs;
use cbam::photo::{Geometry, ImageSize, Preprocess};
use cbam::torchscript::ScriptedNetwork;
use cbam::weights::{Checkpoint, restore, restore_all};
use ndarray::{Array4, ArrayView2};
use tch::{Device, Kind, Tensor};

use crate::explain::explained;

fn golden(name: &str) -> PathBuf {
    crate::file("tests/golden/torchscript").join(name)
}

fn open(name: &str, outputs: Option<&[usize]>) -> cbam::Result<ScriptedNetwork> {
    let preprocess = Preprocess { short_side: 64, ..Preprocess::default() };
    ScriptedNetwork::open(golden(name), Device::Cpu, preprocess, outputs)
}

fn refused(name: &str, outputs: Option<&[usize]>) -> String {
    open(name, outputs).unwrap_err().to_string()
}

fn names(network: &ScriptedNetwork) -> Vec<String> {
    network.describe().maps.iter().map(ToString::to_string).collect()
}

fn filled(value: f64, shape: [i64; 4]) -> Tensor {
    Tensor::full(shape, value, (Kind::Float, Device::Cpu))
}

/// What it takes for granted, a line each.
fn assumed(network: &ScriptedNetwork) -> String {
    network.assumptions().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn array(tensor: &Tensor) -> Array4<f32> {
    let size: Vec<usize> = tensor.size().iter().map(|&side| side as usize).collect();
    let values = Vec::<f32>::try_from(tensor.contiguous().flatten(0, -1)).unwrap();
    Array4::from_shape_vec([size[0], size[1], size[2], size[3]], values).unwrap()
}

fn close(a: ArrayView2<f32>, b: ArrayView2<f32>) -> bool {
    a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn weights_given_as_torchscript_are_told_where_they_belong() {
    let preprocess = || Preprocess { short_side: 64, ..Preprocess::default() };
    let root = crate::file("tests/golden");
    for (file, named) in [
        ("checkpoints/buffer.pt", "a file of weights, not TorchScript; `Network::open` opens it"),
        ("checkpoints/training-2.pth.tar", "`Network::open` opens it"),
        ("checkpoints/weights.safetensors", "`Network::open` opens it"),
        ("checkpoints/refused-numpy.pt", "a NumPy archive"),
        ("checkpoints/refused-pickle.pt", "a pickle, but not one that torch.save wrote"),
    ] {
        let error = ScriptedNetwork::open(root.join(file), Device::Cpu, preprocess(), None).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains(file.split('/').next_back().unwrap()), "{error}");
    }
    let script = Checkpoint::open(golden("gated.pt")).unwrap_err().to_string();
    assert!(script.contains("a TorchScript program") && script.contains("`ScriptedNetwork::open`"), "{script}");
}

#[test]
fn maps_and_classes_are_those_that_pytorch_gives() {
    let expected = restore_all(&Checkpoint::open(golden("gated.safetensors")).unwrap().tensors).unwrap();
    let network = open("gated.pt", Some(&[1, 2])).unwrap();
    assert_eq!(network.describe().classes(), 4);
    let maps = ["output:1", "output:2", "output:2:0", "output:2:1", "output:2:2"];
    assert_eq!(names(&network)[..5], maps);
    let readouts = network.run(&expected["x"]).unwrap();
    let (gate, heads) = (array(&expected["gate"]), array(&expected["heads"]));
    let size = ImageSize::new(48, 32);
    let geometry = Geometry::whole(size, size);
    for (i, readout) in readouts.iter().enumerate() {
        let map = |name: &str| readout.map(&name.parse().unwrap(), &geometry).unwrap().into_values();
        assert!(close(map("output:1").view(), gate.slice(ndarray::s![i, 0, .., ..])));
        assert!(close(map("output:2:1").view(), heads.slice(ndarray::s![i, 1, .., ..])));
        let mean = heads.slice(ndarray::s![i, .., .., ..]).mean_axis(ndarray::Axis(0)).unwrap();
        assert!(close(map("output:2").view(), mean.view()));
        let probabilities = Vec::<f32>::try_from(expected["probabilities"].get(i as i64)).unwrap();
        assert!(readout.probabilities.iter().zip(&probabilities).all(|(a, b)| (a - b).abs() < 1e-6));
        let missing = "output:2:3".parse().unwrap();
        assert!(readout.map(&missing, &geometry).unwrap_err().to_string().contains("3 channels"));
        assert_eq!(readout.map_names(), network.describe().maps[..5]);
    }
    assert_eq!(readouts.len(), 2);
}

#[test]
fn outputs_that_are_no_maps_are_named_with_their_shapes() {
    let message = refused("gated.pt", Some(&[0]));
    assert!(
        message.contains("gated.pt: output 0 is no map") && message.contains("0: [1, 4], 1: [1, 1, 16, 16]"),
        "{message}"
    );
    assert!(refused("gated.pt", Some(&[4])).contains("output 4 is no map"));
    // Without a choice the features, which go below 0, are no map.
    let network = open("gated.pt", None).unwrap();
    assert!(!names(&network).contains(&"output:3".to_owned()));
    assert_eq!(network.assumptions().last().unwrap().what, "output 3 is taken for no map, since it goes below 0");
    let asked = open("gated.pt", Some(&[3])).unwrap();
    let message = asked.run(&filled(0.0, [1, 3, 32, 64])).unwrap_err().to_string();
    assert!(message.contains("output 3 has the value -") && message.contains("sigmoid"), "{message}");
}

#[test]
fn a_map_alone_is_enough_and_probabilities_stay_as_they_are() {
    let network = open("map_alone.pt", None).unwrap();
    assert_eq!((network.describe().classes(), names(&network)), (0, vec!["output:0".to_owned()]));
    assert!(network.with_outputs(Outputs::Sigmoid).unwrap_err().to_string().contains("outputs"));
    let network = open("map_alone.pt", None).unwrap();
    let readout = network.run(&filled(1.0, [1, 3, 32, 64])).unwrap().remove(0);
    assert_eq!((readout.probabilities.len(), readout.outputs[0].maps.dim()), (0, (1, 4, 8)));

    let square = open("square_only.pt", None).unwrap();
    assert_eq!((square.describe().classes(), names(&square)[0].as_str()), (3, "output:1"));
    let readout = square.run(&filled(1.0, [1, 3, 64, 64])).unwrap().remove(0);
    assert!((readout.probabilities.sum() - 1.0).abs() < 1e-6);
    let spread = readout.probabilities.iter().copied().fold(0.0, f32::max);
    assert!(spread > 0.34, "a softmax of a softmax would be flat: {spread}");
    let message = square.run(&filled(1.0, [1, 3, 64, 96])).unwrap_err().to_string();
    assert!(message.contains("square_only.pt") && message.contains("[1, 3, 64, 96]"), "{message}");
}

#[test]
fn a_file_that_is_no_torchscript_is_named() {
    let here = crate::root();
    for (file, reason) in
        [("Cargo.toml", "that libtorch can open"), ("tests/golden/torchscript/gated.safetensors", "Network::open")]
    {
        let error = ScriptedNetwork::open(here.join(file), Device::Cpu, Preprocess::default(), None).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(file) && message.contains("TorchScript") && message.contains(reason), "{message}");
    }
    assert!(refused("gone.pt", None).contains("gone.pt"));
}

#[test]
fn the_names_of_outputs_are_read_as_they_are_written() {
    for name in ["output:1", "output:0:12"] {
        assert_eq!(name.parse::<MapName>().unwrap().to_string(), name);
    }
    for name in ["output", "output:", "output:x", "output:1:", "output:1:2:3"] {
        assert!(name.parse::<MapName>().is_err(), "{name}");
    }
}

/// What a file gives out for pictures, as it is.
fn raw(name: &str, pictures: &Tensor) -> Vec<f32> {
    let module = tch::CModule::load(golden(name)).unwrap();
    Vec::try_from(tch::no_grad(|| module.forward_ts(&[pictures]).unwrap()).flatten(0, -1)).unwrap()
}

fn noise() -> Tensor {
    restore(&Checkpoint::open(golden("features.safetensors")).unwrap().tensors["x"]).unwrap()
}

#[test]
fn the_end_of_the_code_says_what_the_numbers_are() {
    for (name, outputs, ground) in [
        ("labels.pt", Outputs::Probabilities, "its code ends in a sigmoid"),
        ("softmax_scripted.pt", Outputs::Probabilities, "its code ends in a softmax"),
        ("square_only.pt", Outputs::Probabilities, "its code ends in a softmax"),
        ("features.pt", Outputs::Softmax, "its code ends in linear"),
        ("features_scripted.pt", Outputs::Softmax, "its code ends in linear"),
        // Numbers that are at least 0 and sum to 1 are logits all the same.
        ("constant.pt", Outputs::Softmax, "its code ends in linear"),
        ("one.pt", Outputs::Probabilities, "its code ends in a sigmoid"),
        ("one_logit.pt", Outputs::Sigmoid, "its code ends in linear"),
        // Not by its code, but by what it gives out.
        ("branches.pt", Outputs::Probabilities, "they lie in [0, 1]"),
    ] {
        let network = open(name, None).unwrap();
        assert_eq!(network.describe().outputs, outputs, "{name}");
        let said = assumed(&network);
        assert!(said.contains(ground) && said.contains(outputs.name()), "{name}: {said}");
        assert!(
            network
                .with_outputs(Outputs::Sigmoid)
                .unwrap()
                .assumptions()
                .iter()
                .all(|line| !line.what.contains("code"))
        );
    }
}

#[test]
fn probabilities_stay_and_one_number_has_two_answers() {
    let xs = noise();
    for name in ["labels.pt", "softmax_scripted.pt", "branches.pt"] {
        let readout = open(name, None).unwrap().run(&xs).unwrap().remove(0);
        assert_eq!(readout.probabilities.to_vec(), raw(name, &xs), "{name}");
    }
    let constant = open("constant.pt", None).unwrap().run(&xs).unwrap().remove(0).probabilities;
    assert!((constant[2] - 0.390_69).abs() < 1e-4, "a softmax of the logits 0.2, 0.3, 0.5: {constant}");
    for (name, sigmoid) in [("one.pt", false), ("one_logit.pt", true)] {
        let network = open(name, None).unwrap();
        assert_eq!(network.describe().classes(), 2);
        let both = Tensor::cat(&[&xs, &(&xs * 2.0)], 0);
        for (readout, number) in network.run(&both).unwrap().iter().zip(raw(name, &both)) {
            let yes = if sigmoid { 1.0 / (1.0 + (-number).exp()) } else { number };
            let [no, found] = [readout.probabilities[0], readout.probabilities[1]];
            assert!((found - yes).abs() < 1e-6 && (no + found - 1.0).abs() < 1e-6, "{name}: {no} {found} {yes}");
        }
        assert!(network.with_outputs(Outputs::Softmax).is_err());
    }
    // Logits that are said to be probabilities are found out.
    let wrong = open("one_logit.pt", None).unwrap().with_outputs(Outputs::Probabilities).unwrap();
    let message = wrong.run(&(xs * 100.0)).unwrap_err().to_string();
    assert!(message.contains("one_logit.pt") && message.contains("no probability"), "{message}");
}

#[test]
fn numbers_that_are_none_are_an_error_of_the_file() {
    for name in ["features.pt", "labels.pt", "one_logit.pt"] {
        let message = open(name, None).unwrap().run(&filled(f64::NAN, [1, 3, 32, 64])).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("not finite"), "{message}");
    }
}

#[test]
fn class_activation_runs_on_features_that_are_given_out() {
    let expected = restore_all(&Checkpoint::open(golden("features.safetensors")).unwrap().tensors).unwrap();
    let options = ExplainOptions::default();
    for name in ["features.pt", "features_scripted.pt"] {
        let network = open(name, None).unwrap();
        assert_eq!(network.describe().places, ["output:1"]);
        assert_eq!(names(&network)[0], "gradcam");
        assert!(!names(&network).contains(&"ablationcam".to_owned()));
        // More than once: TorchScript optimises what it has run before.
        for _ in 0..3 {
            for (method, stage) in [(Method::GradCam, None), (Method::HiResCam, Some("output:1"))] {
                let made = explained(&network, &expected["x"], method, stage, 2, &options).unwrap();
                let golden = &expected[method.name()];
                let golden = Vec::<f32>::try_from(golden.contiguous().flatten(0, -1)).unwrap();
                assert_eq!(made.dim(), (8, 12));
                assert!(made.iter().zip(&golden).all(|(a, b)| (a - b).abs() < 1e-5), "{name} {method}");
                assert!(golden.iter().any(|value| *value > 0.0));
            }
        }
        for method in [Method::LayerCam, Method::EigenCam, Method::ScoreCam, Method::Occlusion] {
            let made = explained(&network, &expected["x"], method, None, 1, &options).unwrap();
            assert!(made.iter().all(|value| value.is_finite()), "{method}");
        }
        let refused = |method, stage, class| {
            explained(&network, &expected["x"], method, stage, class, &options).unwrap_err().to_string()
        };
        assert!(refused(Method::AblationCam, None, 0).contains("ablationcam"));
        assert!(refused(Method::GradCam, Some("output:0"), 0).contains("output:1"));
        assert!(refused(Method::GradCam, None, 5).contains("0 to 4"));
    }
}

#[test]
fn an_answer_alone_is_explained_by_changes_of_the_picture() {
    let network = open("labels.pt", None).unwrap();
    assert_eq!(names(&network), ["rise", "occlusion"]);
    let options = ExplainOptions::default().with_masks(40);
    for class in 0..3 {
        let map = explained(&network, &noise(), Method::Rise, None, class, &options).unwrap();
        assert_eq!(map.dim(), (32, 48));
        let (low, high) =
            map.iter().fold((f32::MAX, 0.0_f32), |(low, high), value| (low.min(*value), high.max(*value)));
        assert!(low > 0.0 && high < 1.0 && high > low, "{low} {high}");
    }
    let refused = explained(&network, &noise(), Method::GradCam, None, 0, &options);
    assert!(refused.unwrap_err().to_string().contains("gives out none"));
    // Of one number both answers have maps.
    let one = open("one_logit.pt", None).unwrap();
    let maps = [0, 1].map(|class| explained(&one, &noise(), Method::Occlusion, None, class, &options).unwrap());
    assert_ne!(maps[0], maps[1]);
    assert!(maps.iter().any(|map| map.iter().any(|value| *value > 0.0)));
}

#[test]
fn the_answer_may_stand_anywhere_and_maps_do_not_go_below_zero() {
    let network = open("behind.pt", None).unwrap();
    assert_eq!((network.describe().classes(), names(&network)[0].as_str()), (3, "output:0"));
    assert!(!names(&network).contains(&"output:1".to_owned()));
    let readout = network.run(&noise()).unwrap().remove(0);
    assert!((readout.probabilities.sum() - 1.0).abs() < 1e-6 && readout.outputs.len() == 1);
}

#[test]
fn what_a_network_takes_is_found_where_it_fails() {
    let grey = refused("grey.pt", None);
    assert!(grey.contains("grey.pt") && grey.contains("1 channel") && !grey.contains("one size"), "{grey}");
    let preprocess = Preprocess { short_side: 224, ..Preprocess::default() };
    let size = ScriptedNetwork::open(golden("square_only.pt"), Device::Cpu, preprocess, None).unwrap_err().to_string();
    assert!(size.contains("takes pictures of 64x64") && size.contains("squares of 64"), "{size}");
}
