//! Supervised training on made-up classes: three colours.

mod folders;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cbam::Error;
use cbam::backbone::Arch;
use cbam::eval::AccuracySummary;
use cbam::model::Model;
use cbam::network::{Network, NetworkConfig};
use cbam::train::{
    Observer, OptimizerKind, RunOptions, Start, StepReport, SupervisedOptions, SupervisedReport, TrainPart,
    class_names, loader_speed, supervised, supervised_network,
};
use cbam::weights::{Checkpoint, Precision, store_all};
use image::{Rgb, RgbImage};
use tch::{Device, Tensor};

#[derive(Default)]
struct Log {
    skipped: Vec<String>,
    noted: Vec<String>,
    steps: Vec<usize>,
    accuracies: Vec<AccuracySummary>,
}

impl Observer for Log {
    fn skipped(&mut self, error: &Error) {
        self.skipped.push(error.to_string());
    }
    fn noted(&mut self, text: &str) {
        self.noted.push(text.to_owned());
    }
    fn trouble(&mut self, error: &Error) {
        panic!("{error}");
    }
    fn stepped(&mut self, report: &StepReport<'_>) {
        self.steps.push(report.pictures);
    }
    fn evaluated(&mut self, epoch: usize, _: usize, accuracy: &AccuracySummary) {
        assert_eq!(epoch, self.accuracies.len() + 1);
        self.accuracies.push(*accuracy);
    }
}

/// Three classes of ten pictures each, their colours in noise.
pub(crate) fn make_classes(folder: &Path) {
    for (class, colour) in [("blue", [30, 40, 220]), ("green", [40, 200, 50]), ("red", [220, 30, 40])] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for i in 0..10u32 {
            let noise = |x: u32, y: u32| (x * 7919 + y * 104_729 + i * 31) % 60;
            let picture =
                RgbImage::from_fn(60 + 3 * i, 80, |x, y| Rgb(colour.map(|c: u32| (c + noise(x, y)).min(255) as u8)));
            picture.save(folder.join(class).join(format!("{i}.png"))).unwrap();
        }
    }
}

fn options(folder: &Path) -> SupervisedOptions {
    SupervisedOptions {
        images: folder.to_owned(),
        hold_out: 4,
        epochs: 2,
        batch: 8,
        learning_rate: 5e-3,
        train: TrainPart::All,
        ..SupervisedOptions::default()
    }
}

/// A small input, so that it is quick.
fn network(options: &SupervisedOptions, base: NetworkConfig, start: Start<'_>) -> (Network, bool) {
    let labels = class_names(options).unwrap();
    let config = NetworkConfig { classes: labels.len() as i64, labels, short_side: 64, ..base };
    supervised_network(config, start, Device::Cpu).unwrap()
}

fn plain() -> NetworkConfig {
    NetworkConfig::plain(Arch::default())
}

fn run(network: &mut Network, options: &SupervisedOptions) -> (SupervisedReport, Log) {
    let mut log = Log::default();
    let report = supervised(network, options, &RunOptions::default(), &mut log).unwrap();
    (report, log)
}

fn copies(network: &Network) -> BTreeMap<String, Tensor> {
    network.variables().variables().into_iter().map(|(name, value)| (name, value.detach().copy())).collect()
}

/// The names of the variables that changed.
fn changed(before: &BTreeMap<String, Tensor>, network: &Network) -> Vec<String> {
    let after = network.variables().variables();
    before.iter().filter(|(name, value)| !value.equal(&after[*name])).map(|(name, _)| name.clone()).collect()
}

#[test]
fn the_new_parts_learn_on_a_frozen_backbone_and_the_file_knows_its_classes() {
    let folder = tempfile::tempdir().unwrap();
    make_classes(folder.path());
    fs::write(folder.path().join("red/broken.jpg"), "no picture").unwrap();
    fs::write(folder.path().join("red/notes.txt"), "no picture either").unwrap();
    let options = SupervisedOptions {
        train: TrainPart::HeadAndAttention,
        epochs: 2,
        learning_rate: 1e-3,
        ..options(folder.path())
    };
    let (mut network, new_classifier) = network(&options, NetworkConfig::attentive(Arch::default()), Start::Bundled);
    assert!(new_classifier);
    let before = copies(&network);
    let (report, log) = run(&mut network, &options);

    assert_eq!((report.classes, log.accuracies.len()), (3, 2));
    assert_eq!(log.skipped.iter().filter(|message| message.contains("broken.jpg")).count(), 1, "{:?}", log.skipped);
    assert_eq!(log.steps.len(), 2 * report.pictures[0].div_ceil(8));
    // That it learns is asked of the head alone, below: new attention needs more than these few steps.
    assert_eq!(report.accuracy, *log.accuracies.last().unwrap());
    assert!(report.accuracy.n >= 4, "{report:?}");
    assert!(report.loader.pictures > 0 && report.loader.images_per_second() > 0.0);
    let changed = changed(&before, &network);
    assert!(
        changed.iter().all(|name| name.starts_with("attention.") || name.starts_with("backbone._fc.")),
        "{changed:?}"
    );
    for part in [
        "backbone._fc.weight",
        "attention.stage5.cbam.spatial.conv.weight",
        "attention.stage7.cbam.spatial.conv.weight",
    ] {
        assert!(changed.iter().any(|name| name == part), "{part} learns");
    }

    let path = folder.path().join("w.safetensors");
    network.save(&path, &BTreeMap::new()).unwrap();
    let opened = Network::open(&path, Device::Cpu).unwrap();
    assert_eq!(opened.describe().labels, ["blue", "green", "red"]);
    assert_eq!(opened.config().short_side, 64);
    let (_, new_classifier) = super::supervised::network(&options, plain(), Start::Network(&opened));
    assert!(!new_classifier, "the same classes: its classifier is taken over");
}

#[test]
fn features_that_are_kept_teach_the_head_alone() {
    let folder = tempfile::tempdir().unwrap();
    make_classes(folder.path());
    let options = SupervisedOptions { train: TrainPart::Head, augment: false, ..options(folder.path()) };
    let (mut network, _) = network(&options, plain(), Start::Bundled);
    let before = copies(&network);
    let (report, _) = run(&mut network, &options);
    assert_eq!(changed(&before, &network), ["backbone._fc.bias", "backbone._fc.weight"]);
    assert_eq!(report.loader.pictures, 0);
    assert_eq!(report.parameters, 1280 * 3 + 3);
    assert!(report.accuracy.top1.value > 0.9, "{report:?}");
    let (mut other, _) = super::supervised::network(&options, plain(), Start::Bundled);
    let (read_anew, _) = run(&mut other, &SupervisedOptions { augment: true, ..options });
    assert!(read_anew.loader.pictures > 0);
}

#[test]
fn everything_learns_from_scratch_and_is_logged_and_watched() {
    let folder = tempfile::tempdir().unwrap();
    let classes = folder.path().join("set/classes");
    make_classes(&classes);
    let archive = folder.path().join("set.tar");
    let mut tar = tar::Builder::new(fs::File::create(&archive).unwrap());
    tar.append_dir_all(".", folder.path().join("set")).unwrap();
    tar.finish().unwrap();
    let options = SupervisedOptions {
        images: archive,
        validation: Some(classes),
        limit: Some(4),
        epochs: 1,
        optimizer: OptimizerKind::Sgd,
        label_smoothing: 0.0,
        ..options(folder.path())
    };
    let (mut network, _) = network(&options, plain(), Start::Scratch);
    let before = copies(&network);
    let logs = folder.path().join("logs");
    let run = RunOptions::default().with_log_dir(&logs).with_watch(Vec::new(), 2);
    let mut log = Log::default();
    let report = supervised(&mut network, &options, &run, &mut log).unwrap();
    assert_eq!((report.pictures, report.accuracy.n, log.steps), ([12, 30], 30, vec![8, 4]));
    assert_eq!(changed(&before, &network).len(), before.len(), "running statistics too");

    let lines = fs::read_to_string(logs.join("log.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |group: &str| lines.iter().filter(|line| line["group"] == group).collect::<Vec<_>>();
    assert_eq!((of("train").len(), of("validation").len()), (2, 1));
    assert!(of("train").iter().all(|line| line["loss"].is_f64() && line["rate"].is_f64() && line["top1"].is_f64()));
    assert_eq!(of("validation")[0]["top1"].as_f64().unwrap(), report.accuracy.top1.value);
    let events = |name: &str| name.starts_with("events.out.tfevents.");
    let names = fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    assert_eq!(names.filter(|name| events(name)).count(), 1);
    let watched: Vec<PathBuf> = fs::read_dir(logs.join("watch")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(watched.len(), 3, "some held-out pictures");
    for step in ["step-000000.png", "step-000002.png"] {
        assert!(watched.iter().all(|folder| image::open(folder.join(step)).unwrap().width() > 600), "{step}");
    }
    let again = supervised(&mut network, &options, &run, &mut Log::default()).unwrap_err().to_string();
    assert!(again.contains("log.jsonl"), "{again}");
}

/// Copies the checkpoint and the log as they are when a state is saved: what a kill at this moment leaves behind.
struct Killed {
    logs: PathBuf,
    saved: Vec<(usize, PathBuf)>,
}

impl Observer for Killed {
    fn skipped(&mut self, error: &Error) {
        panic!("{error}");
    }
    fn trouble(&mut self, error: &Error) {
        panic!("{error}");
    }
    fn stepped(&mut self, _: &StepReport<'_>) {}
    fn saved(&mut self, path: &Path, step: usize) {
        let copy = path.with_file_name(format!("killed-{}", self.saved.len()));
        fs::create_dir_all(copy.join("logs")).unwrap();
        fs::copy(path, copy.join("c.safetensors")).unwrap();
        let _ = fs::copy(self.logs.join("log.jsonl"), copy.join("logs/log.jsonl")); // not begun before the first step
        self.saved.push((step, copy));
    }
}

fn no_accuracy() -> AccuracySummary {
    cbam::eval::Accuracy::default().summary()
}

#[test]
fn every_epoch_is_measured_once_in_the_log_whenever_the_training_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let classes = folder.path().join("classes");
    make_classes(&classes);
    let options = SupervisedOptions { train: TrainPart::Head, augment: false, ..options(&classes) };
    let logs = folder.path().join("logs");
    let mut killed = Killed { logs: logs.clone(), saved: Vec::new() };
    let (mut whole, _) = network(&options, plain(), Start::Bundled);
    let run = RunOptions::default().with_checkpoint(folder.path().join("c.safetensors"), 1).with_log_dir(&logs);
    supervised(&mut whole, &options, &run, &mut killed).unwrap();
    let measured = |logs: &Path| -> Vec<String> {
        let text = fs::read_to_string(logs.join("log.jsonl")).unwrap();
        text.lines().filter(|line| line.contains("validation")).map(str::to_owned).collect()
    };
    let (expected, steps) = (measured(&logs), killed.saved.iter().map(|(step, _)| *step).collect::<Vec<_>>());
    let last = *steps.last().unwrap();
    assert_eq!((expected.len(), steps), (2, (0..=last).collect()), "no state is saved twice");
    // And one more: killed after the last measurement, before the weights were written.
    fs::create_dir_all(folder.path().join("late")).unwrap();
    fs::copy(folder.path().join("c.safetensors"), folder.path().join("late/c.safetensors")).unwrap();
    fs::create_dir_all(folder.path().join("late/logs")).unwrap();
    fs::copy(logs.join("log.jsonl"), folder.path().join("late/logs/log.jsonl")).unwrap();
    killed.saved.push((last, folder.path().join("late")));
    for (step, copy) in killed.saved.iter().filter(|(step, _)| *step == last / 2 || *step == last) {
        let (mut again, _) = network(&options, plain(), Start::Bundled);
        let run = RunOptions::default().with_resume(copy.join("c.safetensors")).with_log_dir(copy.join("logs"));
        let mut log = Log { accuracies: vec![no_accuracy(); (2 * step / last).max(1) - 1], ..Log::default() };
        let report = supervised(&mut again, &options, &run, &mut log).unwrap();
        let lines = measured(&copy.join("logs"));
        assert_eq!(lines.len(), 2, "killed after step {step}: {lines:?}");
        assert_eq!(lines[0], expected[0], "the weights after the first epoch are the same");
        assert_eq!(log.accuracies.last(), Some(&report.accuracy));
        assert_eq!(log.steps.len(), last - step);
    }
}

#[test]
fn a_backbone_that_leans_on_its_attention_is_refused() {
    let labels = || vec!["blue".to_owned(), "red".to_owned()];
    let config = |config: NetworkConfig| NetworkConfig { classes: 2, labels: labels(), ..config };
    let leaning = NetworkConfig::official_se(Arch::ResNet18).unwrap();
    let own = NetworkConfig::attentive(Arch::ResNet18);
    for (network, leans) in [(leaning, true), (own, false), (NetworkConfig::plain(Arch::ResNet18), false)] {
        let network = Network::new(config(network), Device::Cpu).unwrap();
        assert_eq!(network.leans_on_attention(), leans);
        let start = Start::Network(&network);
        let plain = supervised_network(config(NetworkConfig::plain(Arch::ResNet18)), start, Device::Cpu);
        for trained in [Network::untrained_on(&network), plain.map(|(network, _)| network)] {
            match trained {
                Ok(trained) => assert!(!leans && !trained.leans_on_attention()),
                Err(error) => assert!(leans && error.to_string().contains("trained together"), "{error}"),
            }
        }
    }
    // A backbone that learned together with its attention leans on it, wherever that stands; its file says so.
    let mut network = Network::new(config(NetworkConfig::attentive(Arch::ResNet18)), Device::Cpu).unwrap();
    network.train_backbone(true);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("joint.safetensors");
    network.save(&path, &BTreeMap::new()).unwrap();
    for network in [network, Network::open(path, Device::Cpu).unwrap()] {
        assert!(network.leans_on_attention() && Network::untrained_on(&network).is_err());
    }
}

/// What names and shapes do not tell of a backbone is said, and the option that decides it is taken.
#[test]
fn what_a_backbone_was_taken_for_is_said() {
    let folder = tempfile::tempdir().unwrap();
    make_classes(&folder.path().join("classes"));
    let network = Network::new(NetworkConfig::plain(Arch::ResNet50), Device::Cpu).unwrap();
    let strip = |(name, tensor): (String, Tensor)| Some((name.strip_prefix("backbone.")?.to_owned(), tensor));
    let tensors = store_all(network.variables().variables().into_iter().filter_map(strip)).unwrap();
    Checkpoint::new(tensors, BTreeMap::new()).save(folder.path().join("w.safetensors"), Precision::Keep).unwrap();
    let told = |more: &[&str]| {
        let mut command = crate::program("cbam-train");
        command.current_dir(folder.path()).args(["supervised", "--images", "classes", "--backbone", "w.safetensors"]);
        command.args(["--loader-only", "--size", "32", "--device", "cpu"]).args(more);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = told(&[]);
    assert!(status == Some(0) && said.contains("w.safetensors: assumed: ") && said.contains("--stride-in"), "{said}");
    assert!(said.contains("(cbam-run --check compares)") && !said.contains("--mean"), "{said}");
    let (status, said) = told(&["--quiet"]);
    assert!(status == Some(0) && said.contains("w.safetensors: assumed: "), "{said}");
    let (status, said) = told(&["--stride-in", "1x1"]);
    assert!(status == Some(0) && !said.contains("--stride-in"), "{said}");
    let (status, said) = told(&["--padding", "same"]);
    assert!(status == Some(2) && said.contains("--padding has no effect"), "{said}");
}
