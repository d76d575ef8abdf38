//! Every method that pytorch-grad-cam has, against it: the bundled backbone on a piece of a photo.

use cbam::explain::ExplainOptions;
use cbam::maps::Method;
use cbam::network::Network;
use cbam::weights::{Checkpoint, restore};
use ndarray::Array2;
use tch::{Device, Kind, Tensor};

use super::explained;

const CLASSES: [usize; 2] = [285, 770];
const STAGES: [&str; 2] = ["head", "stage5"];

fn golden(file: &str, name: &str) -> Tensor {
    let path = crate::file(format!("tests/golden/explain/{file}.safetensors"));
    restore(&Checkpoint::open(path).unwrap().tensors[name]).unwrap()
}

pub(super) fn pixels() -> Tensor {
    (golden("grad_cam", "lite0.pixels").to_kind(Kind::Float) - 127.0) / 128.0
}

fn expected(method: Method, stage: &str, class: usize) -> Vec<f32> {
    Vec::try_from(golden("methods", &format!("{method}.{stage}.{class}")).flatten(0, -1)).unwrap()
}

fn map(network: &Network, pixels: &Tensor, method: Method, stage: &str, class: usize) -> Array2<f32> {
    explained(network, pixels, method, Some(stage), class, &ExplainOptions::default()).unwrap()
}

/// Minimum to 0, then maximum to 1, as the package scales its maps.
fn scaled(values: impl Iterator<Item = f32> + Clone) -> Vec<f32> {
    let low = values.clone().fold(f32::INFINITY, f32::min);
    let high = values.clone().fold(f32::NEG_INFINITY, f32::max);
    values.map(|value| (value - low) / (high - low + 1e-7)).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn agrees(network: &Network, methods: &[Method], stages: &[&str], pixels: &Tensor) {
    for (method, stage) in methods.iter().flat_map(|method| stages.iter().map(move |stage| (*method, *stage))) {
        let maps = CLASSES.map(|class| map(network, pixels, method, stage, class));
        assert_ne!(maps[0], maps[1], "{method} at {stage} for two classes");
        for (class, map) in CLASSES.into_iter().zip(maps) {
            assert!(map.iter().all(|value| *value >= 0.0 && value.is_finite()));
            let difference = largest_difference(&scaled(map.iter().copied()), &expected(method, stage, class));
            println!("{method} at {stage} for {class}: {difference:.1e}");
            assert!(difference < 1e-3, "{method} at {stage} for {class}: {difference}");
        }
    }
}

#[test]
fn gradient_methods_agree() {
    use Method::{GradCam, GradCamPlusPlus, HiResCam, LayerCam, XGradCam};
    let network = Network::plain(Device::Cpu).unwrap();
    agrees(&network, &[GradCam, GradCamPlusPlus, HiResCam, LayerCam, XGradCam], &STAGES, &pixels());
}

#[test]
fn score_cam_and_ablation_cam_agree() {
    use Method::{AblationCam, ScoreCam};
    let network = Network::plain(Device::Cpu).unwrap();
    agrees(&network, &[AblationCam], &STAGES, &pixels());
    agrees(&network, &[ScoreCam], &["stage5"], &pixels());
    // All 1,280 channels of the head, each with a run of its own, on a piece of the picture.
    let middle = pixels().narrow(2, 32, 64).narrow(3, 32, 96);
    agrees(&network, &[ScoreCam], &["head"], &middle);
}

#[test]
fn eigen_cam_agrees_up_to_its_sign_which_follows_the_energy() {
    let network = Network::plain(Device::Cpu).unwrap();
    for stage in STAGES {
        let ours = map(&network, &pixels(), Method::EigenCam, stage, 0);
        let theirs = expected(Method::EigenCam, stage, CLASSES[0]);
        let features = network.features_at(network.place(Some(stage)).unwrap(), &pixels()).unwrap();
        let energy = features.square().sum_dim_intlist([1i64].as_slice(), false, Kind::Double).flatten(0, -1);
        let along = (Tensor::from_slice(&theirs).to_kind(Kind::Double) * energy).sum(Kind::Double).double_value(&[]);
        let theirs: Vec<f32> = theirs.iter().map(|value| (value * along.signum() as f32).max(0.0)).collect();
        let top = theirs.iter().copied().fold(0.0, f32::max);
        let difference = largest_difference(ours.as_slice().unwrap(), &theirs) / top;
        println!("eigencam at {stage}: {difference:.1e} of {top}");
        assert!(difference < 1e-3, "{stage}: {difference}");
    }
}
