//! Networks of others: what PyTorch scripted or traced gives the maps that PyTorch says, and errors name file and output.

use std::path::PathBuf;

use cbam::maps::MapName;
use cbam::photo::{Geometry, ImageSize, Preprocess};
use cbam::pipeline::Inspect;
use cbam::torchscript::ScriptedNetwork;
use cbam::weights::Checkpoint;
use ndarray::{Array4, ArrayView2};
use tch::{Device, Kind, Tensor};

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
    network.map_names().iter().map(ToString::to_string).collect()
}

fn filled(value: f64, shape: [i64; 4]) -> Tensor {
    Tensor::full(shape, value, (Kind::Float, Device::Cpu))
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
        ("checkpoints/buffer.pt", "a file of weights, not TorchScript: give it as --weights"),
        ("checkpoints/training-2.pth.tar", "give it as --weights"),
        ("checkpoints/weights.safetensors", "give it as --weights"),
        ("checkpoints/refused-numpy.pt", "a NumPy archive"),
        ("checkpoints/refused-pickle.pt", "a pickle, but not one that torch.save wrote"),
    ] {
        let error = ScriptedNetwork::open(root.join(file), Device::Cpu, preprocess(), None).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains(file.split('/').next_back().unwrap()), "{error}");
    }
    let script = Checkpoint::open(golden("gated.pt")).unwrap_err().to_string();
    assert!(script.contains("a TorchScript program") && script.contains("give it as --torchscript"), "{script}");
}

#[test]
fn maps_and_classes_are_those_that_pytorch_gives() {
    let expected = Checkpoint::open(golden("gated.safetensors")).unwrap().tensors;
    let network = open("gated.pt", Some(&[1, 2])).unwrap();
    assert_eq!(network.classes(), 4);
    assert_eq!(names(&network), ["output:1", "output:2", "output:2:0", "output:2:1", "output:2:2"]);
    let readouts = network.run(&expected["x"]).unwrap();
    let (gate, heads) = (array(&expected["gate"]), array(&expected["heads"]));
    let size = ImageSize::new(48, 32);
    let geometry = Geometry { picture: size, network: size };
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
        assert_eq!(readout.map_names(), network.map_names());
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
    // Without a choice the features are taken too, which go below 0.
    let network = open("gated.pt", None).unwrap();
    assert!(names(&network).contains(&"output:3".to_owned()));
    let message = network.run(&filled(0.0, [1, 3, 32, 64])).unwrap_err().to_string();
    assert!(message.contains("output 3 has the value -") && message.contains("sigmoid"), "{message}");
}

#[test]
fn a_map_alone_is_enough_and_probabilities_stay_as_they_are() {
    let network = open("map_alone.pt", None).unwrap();
    assert_eq!((network.classes(), names(&network)), (0, vec!["output:0".to_owned()]));
    let readout = network.run(&filled(1.0, [1, 3, 32, 64])).unwrap().remove(0);
    assert_eq!((readout.probabilities.len(), readout.outputs[0].maps.dim()), (0, (1, 4, 8)));

    let square = open("square_only.pt", None).unwrap();
    assert_eq!((square.classes(), names(&square)), (3, vec!["output:1".to_owned()]));
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
    for file in ["Cargo.toml", "tests/golden/torchscript/gated.safetensors"] {
        let error = ScriptedNetwork::open(here.join(file), Device::Cpu, Preprocess::default(), None).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(file) && message.contains("no TorchScript"), "{message}");
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
