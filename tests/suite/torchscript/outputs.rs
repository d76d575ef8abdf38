//! Which output of a scripted network is which, whatever it gives out beside it.

use cbam::explain::ExplainOptions;
use cbam::maps::Method;
use cbam::model::{Model, Question};
use cbam::network::Outputs;
use cbam::photo::{Photo, Preprocess};
use cbam::torchscript::{ScriptOptions, ScriptedNetwork};
use image::{DynamicImage, Rgb, RgbImage};
use tch::{Device, Kind};

use super::{assumed, filled, golden, names, noise, open};
use crate::explain::explained;

fn open_with(name: &str, classes: usize) -> cbam::Result<ScriptedNetwork> {
    let mut options = ScriptOptions::default();
    options.classes = Some(classes);
    let preprocess = Preprocess { short_side: 64, ..Preprocess::default() };
    ScriptedNetwork::open_with(golden(name), Device::Cpu, preprocess, &options)
}

#[test]
fn results_within_results_are_counted_as_they_come() {
    let network = open("nested.pt", None).unwrap();
    assert_eq!((network.describe().classes(), network.describe().places), (3, vec!["output:2".to_owned()]));
    // The code's end is followed for results of its own alone, so what it gives out tells.
    assert_eq!(network.describe().outputs, Outputs::Probabilities);
    assert!(network.assumptions()[0].what.starts_with("output 1 is taken for probabilities"));
    let map = explained(&network, &noise(), Method::GradCam, None, 1, &ExplainOptions::default());
    assert_eq!(map.unwrap().dim(), (8, 12));
}

#[test]
fn places_in_a_list_of_classes_are_no_scores_and_another_output_can_be_named() {
    let network = open("embedding.pt", None).unwrap();
    assert_eq!(network.describe().classes(), 7, "the first that has the shape");
    let said = assumed(&network);
    assert!(said.contains("output 1 is taken for that of the classes, though 2 could be too"), "{said}");
    let network = open_with("embedding.pt", 2).unwrap();
    assert_eq!((network.describe().classes(), network.describe().outputs), (3, Outputs::Softmax));
    assert!(!assumed(&network).contains("could be too"));
    let logits = network.first_output(&noise()).unwrap();
    assert_eq!(logits.size(), [1, 3]);
    for wrong in [0, 3] {
        let message = open_with("embedding.pt", wrong).unwrap_err().to_string();
        let parts = ["output", "is not of classes", "0: [1] of Int64, 1: [1, 7], 2: [1, 3]"];
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn what_goes_below_zero_for_some_picture_costs_none_that_does_not_ask_for_it() {
    let preprocess = Preprocess { short_side: 64, std: [50.0; 3], ..Preprocess::default() };
    let network = ScriptedNetwork::open(golden("dark.pt"), Device::Cpu, preprocess, None).unwrap();
    // 0 for a grey picture, below for another one.
    assert!(!names(&network).contains(&"output:1".to_owned()));
    assert!(names(&network).contains(&"output:2".to_owned()));
    let white = Photo::from(DynamicImage::from(RgbImage::from_pixel(64, 64, Rgb([255; 3]))));
    let white = network.describe().preprocess.resample(&white).unwrap();
    let look = |maps: &[&str]| {
        let maps: Vec<_> = maps.iter().map(|name| name.parse().unwrap()).collect();
        network.look(&[&white], &Question::about(&maps))
    };
    let readout = look(&["occlusion"]).unwrap().remove(0).readout;
    assert!(readout.outputs.is_empty() && readout.explanations.len() == 1);
    let message = look(&["occlusion", "output:2"]).unwrap_err().to_string();
    assert!(message.contains("dark.pt: output 2 has the value -"), "{message}");
    let said = open("dark.pt", Some(&[2])).unwrap();
    assert!(said.run(&filled(2.4, [1, 3, 64, 64])).is_err());
}

#[test]
fn a_mean_of_probabilities_is_one() {
    let network = open("averaged.pt", None).unwrap();
    assert_eq!(network.describe().outputs, Outputs::Probabilities);
    assert!(network.assumptions()[0].what.contains("its code ends in a sigmoid"));
    let raw = network.first_output(&noise()).unwrap();
    let shown = network.run(&noise()).unwrap().remove(0).probabilities;
    let raw = Vec::<f32>::try_from(raw.flatten(0, -1)).unwrap();
    assert_eq!(shown.to_vec(), raw);
}

#[test]
fn a_network_in_16_bits_is_given_its_pictures_in_16_bits() {
    let network = open("half.pt", None).unwrap();
    assert_eq!((network.describe().classes(), network.describe().places), (5, vec!["output:1".to_owned()]));
    let readout = network.run(&noise()).unwrap().remove(0);
    assert!((readout.probabilities.sum() - 1.0).abs() < 1e-5);
    assert_eq!(network.first_output(&noise()).unwrap().kind(), Kind::Float);
    let map = explained(&network, &noise(), Method::HiResCam, None, 0, &ExplainOptions::default()).unwrap();
    assert!(map.iter().all(|value| value.is_finite()) && map.dim() == (8, 12));
}

#[test]
fn one_size_is_a_hint_for_pictures_of_another_alone() {
    let network = open("square_only.pt", None).unwrap();
    let hint = "one size only";
    assert!(network.run(&filled(1.0, [1, 3, 64, 96])).unwrap_err().to_string().contains(hint));
    let message = network.run(&filled(1.0, [1, 1, 64, 64])).unwrap_err().to_string();
    assert!(message.contains("fails on pictures") && !message.contains(hint), "{message}");
}
