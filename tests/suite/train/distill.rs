//! The trainer on a handful of made-up pictures: it trains the attention alone, and the same seed gives the same weights.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cbam::backbone::Arch;
use cbam::network::{Network, NetworkConfig};
use cbam::train::{DistillOptions, DistillReport, Observer, RunOptions, StepReport, distill};
use cbam::{Error, ErrorKind};
use image::{Rgb, RgbImage, Rgba, RgbaImage};
use tch::{Device, Tensor};

#[derive(Default)]
pub(super) struct Log {
    skipped: Vec<String>,
    trouble: Vec<String>,
    losses: Vec<Vec<f64>>,
    /// As a step says how many there will be.
    steps: usize,
    saved: Vec<usize>,
    prepared: (usize, usize),
    /// End it after so many steps.
    end_after: Option<usize>,
}

impl Observer for Log {
    fn prepared(&mut self, count: usize, total: usize) {
        self.prepared = (self.prepared.0 + count, total);
    }
    fn skipped(&mut self, error: &Error) {
        self.skipped.push(error.to_string());
    }
    fn trouble(&mut self, error: &Error) {
        self.trouble.push(error.to_string());
    }
    fn stepped(&mut self, report: &StepReport<'_>) {
        assert_eq!(report.pictures, 32);
        self.steps = report.steps;
        self.losses.push(report.figures.iter().map(|(_, value)| *value).collect());
    }
    fn saved(&mut self, _: &Path, step: usize) {
        self.saved.push(step);
    }
    fn cancelled(&self) -> bool {
        self.end_after.is_some_and(|steps| self.losses.len() >= steps)
    }
}

/// 40 pictures, half of them in an archive, one broken; a few backgrounds and 40 stamps.
pub(crate) fn make_data(folder: &Path) -> DistillOptions {
    let sub = |name: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    let (pictures, backgrounds, stamps) = (sub("pictures"), sub("backgrounds"), sub("stamps"));
    let archive = folder.join("more.tar");
    let mut tar = tar::Builder::new(File::create(&archive).unwrap());
    for i in 0..40u32 {
        let picture = RgbImage::from_fn(70 + i, 90, |x, y| Rgb([(x * i) as u8, (y * 3) as u8, (x ^ y) as u8]));
        let path = pictures.join(format!("{i}.png"));
        picture.save(&path).unwrap();
        if i % 2 == 1 {
            tar.append_path_with_name(&path, format!("more/{i}.png")).unwrap();
            std::fs::remove_file(&path).unwrap();
        }
        let stamp = RgbaImage::from_fn(40, 30 + i, |x, y| Rgba([200, (x * 5) as u8, (y * i) as u8, 255]));
        stamp.save(stamps.join(format!("{i}.png"))).unwrap();
    }
    tar.finish().unwrap();
    std::fs::write(pictures.join("broken.jpg"), "no picture").unwrap();
    let dangling = pictures.join("dangling.jpg");
    if dangling.symlink_metadata().is_err() {
        std::os::unix::fs::symlink("nowhere", dangling).unwrap();
    }
    for i in 0..3u8 {
        RgbImage::from_pixel(300, 240, Rgb([i * 80, 40, 200])).save(backgrounds.join(format!("{i}.png"))).unwrap();
    }
    DistillOptions {
        images: vec![pictures, archive],
        backgrounds: vec![backgrounds],
        stamps: vec![stamps],
        views: 1,
        composites: 8,
        steps: 3,
        learning_rate: 1e-3,
        validation: 2,
        seed: 5,
        ..DistillOptions::default()
    }
}

/// One untrained network for all: libtorch's generator is the whole process's, so a seed of it would not hold beside
/// other tests.
fn untrained() -> Network {
    static SAVED: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = crate::scratch().join("untrained.safetensors");
        Network::untrained(Device::Cpu).unwrap().save(&path, &BTreeMap::new()).unwrap();
        path
    });
    Network::open(&*SAVED, Device::Cpu).unwrap()
}

fn train(options: &DistillOptions) -> (Network, DistillReport, Log) {
    let mut network = untrained();
    let mut log = Log::default();
    let report = distill(&mut network, options, &RunOptions::default(), &mut log).unwrap();
    (network, report, log)
}

fn with_prefix(network: &Network, prefix: &str) -> Vec<(String, Tensor)> {
    let mut variables: Vec<_> = network.variables().variables().into_iter().collect();
    variables.retain(|(name, _)| name.starts_with(prefix));
    variables.sort_by(|a, b| a.0.cmp(&b.0));
    variables
}

#[test]
fn the_attention_learns_and_the_backbone_stays() {
    let folder = tempfile::tempdir().unwrap();
    let options = make_data(folder.path());
    let before = untrained();
    let (after, report, log) = train(&options);

    assert_eq!((log.losses.len(), log.steps), (3, 3));
    assert!(log.losses.iter().all(|losses| losses[0].is_finite() && losses[4] > 0.0));
    assert_eq!(log.prepared.0, log.prepared.1);
    assert!(log.skipped.iter().any(|message| message.contains("broken.jpg")), "{:?}", log.skipped);
    let [clean, cluttered, composites] = report.views;
    assert_eq!((cluttered, composites), (clean, 8));
    assert!(report.after.maps.iter().any(|score| score.map == "fused"));
    assert!((30..40).contains(&clean), "{clean}: 40 less the held-out ones");
    assert!(report.before.clean.abs() < 1e-3 && report.before.clean_agreement == 1.0, "{:?}", report.before);
    assert!(report.after.clean > 0.0);

    for ((name, a), (_, b)) in with_prefix(&before, "backbone.").iter().zip(&with_prefix(&after, "backbone.")) {
        assert!(a.equal(b), "{name} is frozen");
    }
    // The 7×7 convolutions and the output projections start at zero.
    let moved = with_prefix(&after, "attention.");
    let moved = moved.iter().filter(|(name, _)| name.ends_with("spatial.conv.weight"));
    assert_eq!(moved.filter(|(_, value)| value.abs().max().double_value(&[]) > 1e-4).count(), 3);
}

#[test]
fn the_same_seed_draws_the_same_views() {
    let folder = tempfile::tempdir().unwrap();
    let options = DistillOptions { limit: Some(12), steps: 2, ..make_data(folder.path()) };
    let (a, b) = (train(&options).2, train(&options).2);
    for (a, b) in a.losses.iter().zip(&b.losses) {
        assert!((a[0] - b[0]).abs() < 1e-3 * a[0], "{a:?} {b:?}");
    }
    let other = train(&DistillOptions { seed: 6, steps: 1, ..options }).2;
    assert!((a.losses[0][4] - other.losses[0][4]).abs() > 1e-3);
}

#[test]
fn another_network_teaches_too_if_it_knows_the_same_classes() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = folder.path().join("teacher.safetensors");
    let save = |classes| {
        let config = NetworkConfig { classes, ..NetworkConfig::plain(Arch::EfficientNetLite1) };
        Network::new(config, Device::Cpu).unwrap().save(&teacher, &BTreeMap::new()).unwrap();
    };
    let options = DistillOptions { limit: Some(12), steps: 1, ..make_data(folder.path()) };
    let taught = DistillOptions { teachers: vec![teacher.clone()], ..options.clone() };
    save(1000);
    let (alone, with_teacher) = (train(&options).1, train(&taught).1);
    assert!(alone.before.clean.abs() < 1e-3, "the untrained attention answers as its own teacher");
    assert!(with_teacher.before.clean > 0.01, "but not as a second one");
    save(10);
    let error = failing(&mut untrained(), &taught);
    assert!(error.contains("teacher.safetensors") && error.contains("10 classes"), "{error}");
}

#[test]
fn sources_without_pictures_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let options = make_data(folder.path());
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let mut network = Network::untrained(Device::Cpu).unwrap();
    let mut fails = |options: DistillOptions| failing(&mut network, &options);
    let error = fails(DistillOptions { stamps: vec![empty.clone()], ..options.clone() });
    assert!(error.contains("empty"), "{error}");
    let error = fails(DistillOptions { images: vec![folder.path().join("gone")], ..options.clone() });
    assert!(error.contains("gone"), "{error}");
    let error = fails(DistillOptions { steps: 0, ..options });
    assert!(error.contains("steps"), "{error}");
    let error = fails(DistillOptions { learning_rate: f64::INFINITY, ..make_data(folder.path()) });
    assert!(error.contains("learning rate"), "{error}");
    let mut plain = Network::plain(Device::Cpu).unwrap();
    assert!(failing(&mut plain, &make_data(folder.path())).contains("no attention"));
}

fn failing(network: &mut Network, options: &DistillOptions) -> String {
    distill(network, options, &RunOptions::default(), &mut Log::default()).unwrap_err().to_string()
}

/// The bits are compared in `kill.rs`, in processes of their own: here, other tests share libtorch.
#[test]
fn an_interrupted_training_saves_and_goes_on_with_the_same_settings_only() {
    let folder = tempfile::tempdir().unwrap();
    let options = DistillOptions { limit: Some(12), ..make_data(folder.path()) };
    let checkpoint = folder.path().join("c.safetensors");
    let run = RunOptions::default().with_checkpoint(&checkpoint, 1);
    let mut log = Log { end_after: Some(2), ..Log::default() };
    let mut network = untrained();
    let error = distill(&mut network, &options, &run, &mut log).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Interrupted), "{error}");
    assert_eq!(log.saved, [0, 1, 2]);

    let again = distill(&mut untrained(), &options, &run, &mut Log::default()).unwrap_err().to_string();
    assert!(again.contains("`resume` goes on with it"), "an unfinished training is not written over: {again}");

    let run = RunOptions::default().with_resume(&checkpoint);
    let mut other = untrained();
    let conv = "attention.stage5.cbam.spatial.conv.weight";
    let _ = tch::no_grad(|| other.variables().variables()[conv].shallow_clone().fill_(0.3)); // taken from the checkpoint
    let changed = DistillOptions { learning_rate: 0.5, ..options.clone() };
    let error = distill(&mut other, &changed, &run, &mut Log::default()).unwrap_err().to_string();
    assert!(error.starts_with("learning-rate: 0.5 now, but 0.001"), "{error}");

    let mut log = Log::default();
    let report = distill(&mut other, &options, &run, &mut log).unwrap();
    assert_eq!((log.losses.len(), log.saved), (1, vec![3]));
    assert!(report.before.clean.abs() < 1e-3, "the figures before the first step are those of the start: {report:?}");
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let options = make_data(folder.path());
    let path = folder.path().join("c.safetensors");
    let run = RunOptions::default().with_resume(&path);
    let fails = || distill(&mut untrained(), &options, &run, &mut Log::default()).unwrap_err().to_string();
    assert!(fails().contains("c.safetensors"));
    Network::pretrained(Device::Cpu).unwrap().save(&path, &BTreeMap::new()).unwrap();
    assert!(fails().contains("no checkpoint of a training"), "{}", fails());
    std::fs::write(&path, "half").unwrap();
    assert!(fails().contains("c.safetensors"));
}
