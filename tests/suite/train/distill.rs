//! The trainer on a handful of made-up pictures: it trains the attention alone, and the same seed gives the same weights.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cbam::network::Network;
use cbam::train::{DistillOptions, DistillReport, Losses, Observer, distill};
use cbam::{Error, Result};
use image::{Rgb, RgbImage, Rgba, RgbaImage};
use tch::{Device, Tensor};

#[derive(Default)]
struct Log {
    skipped: Vec<String>,
    losses: Vec<Losses>,
    checkpoints: Vec<usize>,
    prepared: (usize, usize),
}

impl Observer for Log {
    fn prepared(&mut self, count: usize, total: usize) {
        self.prepared = (self.prepared.0 + count, total);
    }
    fn skipped(&mut self, error: &Error) {
        self.skipped.push(error.to_string());
    }
    fn stepped(&mut self, step: usize, steps: usize, views: usize, losses: &Losses) {
        assert_eq!((step, steps, views), (self.losses.len() + 1, 3, 32));
        self.losses.push(*losses);
    }
    fn checkpoint(&mut self, _: &Network, step: usize) -> Result<()> {
        self.checkpoints.push(step);
        Ok(())
    }
}

/// 40 pictures, half of them in an archive, one broken; a few backgrounds and 40 stamps.
fn make_data(folder: &Path) -> DistillOptions {
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
        validation: 2,
        checkpoint_every: 2,
        seed: 5,
        ..DistillOptions::default()
    }
}

/// One untrained network for all: libtorch's generator is the whole process's, so a seed of it would not hold beside
/// other tests.
fn untrained() -> Network {
    static SAVED: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("untrained.safetensors");
        Network::untrained(None, Device::Cpu).unwrap().save(&path, &BTreeMap::new()).unwrap();
        path
    });
    Network::open(&*SAVED, Device::Cpu).unwrap()
}

fn train(options: &DistillOptions) -> (Network, DistillReport, Log) {
    let mut network = untrained();
    let mut log = Log::default();
    let report = distill(&mut network, options, &mut log).unwrap();
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

    assert_eq!(log.losses.len(), 3);
    assert!(log.losses.iter().all(|losses| losses.total.is_finite() && losses.focus > 0.0));
    assert_eq!(log.checkpoints, [2]);
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
    assert_eq!(moved.filter(|(_, value)| value.abs().max().double_value(&[]) > 1e-4).count(), 2);
}

#[test]
fn the_same_seed_draws_the_same_views() {
    let folder = tempfile::tempdir().unwrap();
    let options = make_data(folder.path());
    let (a, b) = (train(&options).2, train(&options).2);
    for (a, b) in a.losses.iter().zip(&b.losses) {
        assert!((a.total - b.total).abs() < 1e-3 * a.total, "{a:?} {b:?}");
    }
    let other = train(&DistillOptions { seed: 6, ..options }).2;
    assert!((a.losses[0].focus - other.losses[0].focus).abs() > 1e-3);
}

#[test]
fn sources_without_pictures_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let options = make_data(folder.path());
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let mut network = Network::untrained(None, Device::Cpu).unwrap();
    let mut fails =
        |options: DistillOptions| distill(&mut network, &options, &mut Log::default()).unwrap_err().to_string();
    let error = fails(DistillOptions { stamps: vec![empty.clone()], ..options.clone() });
    assert!(error.contains("empty"), "{error}");
    let error = fails(DistillOptions { images: vec![folder.path().join("gone")], ..options.clone() });
    assert!(error.contains("gone"), "{error}");
    let error = fails(DistillOptions { steps: 0, ..options });
    assert!(error.contains("steps"), "{error}");
    let error = fails(DistillOptions { learning_rate: f64::INFINITY, ..make_data(folder.path()) });
    assert!(error.contains("learning rate"), "{error}");
    let mut plain = Network::plain(Device::Cpu).unwrap();
    assert!(distill(&mut plain, &make_data(folder.path()), &mut Log::default()).is_err());
}
