//! Training: the same steps as on a CPU, in f32 and in mixed precision, and both recipes from end to end.

use std::fs;
use std::path::Path;

use cbam::Error;
use cbam::backbone::Arch;
use cbam::network::{Network, NetworkConfig};
use cbam::train::{
    ComputePrecision, Observer, OptimizerKind, RunOptions, StepReport, SupervisedOptions, TrainPart, class_names,
    supervised,
};
use tch::{Device, Tensor};

use super::{device, there};
use crate::train::{distill::make_data, supervised::make_classes};

#[derive(Default)]
struct Losses(Vec<f64>);

impl Observer for Losses {
    fn skipped(&mut self, error: &Error) {
        panic!("{error}");
    }
    fn trouble(&mut self, error: &Error) {
        panic!("{error}");
    }
    fn stepped(&mut self, report: &StepReport<'_>) {
        self.0.push(report.figures[0].1);
    }
}

/// Two epochs of a small ResNet with CBAM, from the same weights: no dropout, so nothing is drawn on the device.
#[test]
#[ignore = "needs a GPU"]
fn cuda_training_takes_the_steps_of_a_cpu() {
    device();
    let folder = tempfile::tempdir().unwrap();
    make_classes(folder.path());
    let options = SupervisedOptions {
        images: folder.path().to_owned(),
        hold_out: 4,
        epochs: 2,
        batch: 8,
        learning_rate: 1e-3,
        optimizer: OptimizerKind::Sgd,
        train: TrainPart::All,
        ..SupervisedOptions::default()
    };
    let labels = class_names(&options).unwrap();
    let config = NetworkConfig {
        classes: labels.len() as i64,
        labels,
        short_side: 64,
        ..NetworkConfig::official_cbam(Arch::ResNet18).unwrap()
    };
    let start = Network::new(config.clone(), Device::Cpu).unwrap();
    let train = |device, precision| {
        let mut network = Network::new(config.clone(), device).unwrap();
        network.variables_mut().copy(start.variables()).unwrap();
        let mut losses = Losses::default();
        let run = RunOptions::default().with_precision(precision);
        supervised(&mut network, &options, &run, &mut losses).unwrap();
        let finite = |value: &Tensor| bool::try_from(value.isfinite().all()).unwrap();
        assert!(network.variables().variables().values().all(finite), "{device:?} {precision}");
        losses.0
    };
    let here = train(Device::Cpu, ComputePrecision::Full);
    // Mixed precision is a GPU's alone: a CPU refuses it, as tests elsewhere show.
    let mixed = device().is_cuda().then_some((ComputePrecision::Half, 0.1));
    for (precision, most) in [(ComputePrecision::Full, 0.02)].into_iter().chain(mixed) {
        let there = train(device(), precision);
        println!("{precision}: {here:?} {there:?}");
        assert_eq!(here.len(), there.len());
        for (step, (a, b)) in here.iter().zip(&there).enumerate() {
            assert!((a - b).abs() <= most * a.abs().max(0.1), "{precision}, step {}: {a} {b}", step + 1);
        }
    }
}

fn cbam_train(folder: &Path, line: &str) {
    let mut command = crate::program("cbam-train");
    command.current_dir(folder).args(line.split_whitespace()).args(["--device", &there(), "--threads", "2"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_recipes_run_from_end_to_end() {
    let folder = tempfile::tempdir().unwrap();
    make_data(folder.path());
    fs::remove_file(folder.path().join("pictures/dangling.jpg")).unwrap(); // a training that misses a picture ends with 1
    make_classes(&folder.path().join("classes"));
    let precisions: &[&str] = if device().is_cuda() { &["f32", "f16"] } else { &["f32"] };
    for precision in precisions {
        let distilled = format!("d-{precision}.safetensors");
        cbam_train(
            folder.path(),
            &format!(
                "distill --images pictures more.tar --backgrounds backgrounds --stamps stamps --limit 8 --views 1 --composites 8 \
                 --validation 2 --steps 3 --precision {precision} --out {distilled}"
            ),
        );
        let supervised = format!("s-{precision}.safetensors");
        cbam_train(
            folder.path(),
            &format!(
                "supervised --images classes --size 64 --batch 8 --train all --ema 0.9 --epochs 1 --precision {precision} \
                 --out {supervised}"
            ),
        );
        for file in [distilled, supervised] {
            let network = Network::open(folder.path().join(file), Device::Cpu).unwrap();
            let finite = |value: &Tensor| bool::try_from(value.isfinite().all()).unwrap();
            assert!(network.variables().variables().values().all(finite), "{precision}");
        }
    }
}
