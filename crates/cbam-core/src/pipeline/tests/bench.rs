//! A network whose answers are known, and folders of pictures for it.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use image::{Rgb, RgbImage};
use ndarray::{Array1, Array2, Array3, array};
use ndarray_npy::ReadNpyExt;

use crate::maps::{Explanation, GateReadout, MapName, PatchReadout, QueryRow, Readout};
use crate::model::{Description, Look, Model, Question, Step};
use crate::photo::{ImageSize, Preprocess, Resampled};
use crate::pipeline::*;
use crate::render::PictureFormat;
use crate::{Error, Result};

/// A network that sees one value per picture, its mean brightness b in 0..=1: the spatial gate is `b * [[1, 0, 0]]`.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) labels: Vec<String>,
    pub(super) batches: Mutex<Vec<usize>>,
    /// A batch with a picture brighter than this fails.
    pub(super) too_bright: Option<f32>,
}

impl Model for &mut Fake {
    fn describe(&self) -> Description {
        let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let maps = ["fused", "spatial:stage5", "patch", "patch:0", "gradcam", "rise", "channel:stage5"];
        Description {
            preprocess: Preprocess { short_side: 32, mean: [0.0; 3], std: [255.0; 3], ..Preprocess::default() },
            numbers: 3,
            labels: self.labels.clone(),
            places: strings(&["stage5", "head"]),
            maps: maps.map(|name| name.parse().unwrap()).into(),
            ..Description::default()
        }
    }

    fn batch_size(&self, _: usize, _: ImageSize) -> usize {
        2
    }

    fn look(&self, pictures: &[&Resampled], question: &Question<'_>) -> Result<Vec<Look>> {
        self.batches.lock().unwrap().push(pictures.len());
        let preprocess = self.describe().preprocess;
        let brightness = |picture: &&Resampled| preprocess.normalised(picture).unwrap().mean().unwrap().clamp(0.0, 1.0);
        let brightness: Vec<f32> = pictures.iter().map(brightness).collect();
        if self.too_bright.is_some_and(|limit| brightness.iter().any(|b| *b > limit)) {
            return Err(Error::argument("network", "too bright"));
        }
        let looks = pictures.iter().zip(brightness).enumerate().map(|(picture, (resampled, b))| {
            let geometry = resampled.geometry();
            let mut readout = readout(b, &question.points(&geometry)?);
            for (method, stage) in question.explanations() {
                let stage = stage.map(str::to_owned);
                let map = MapName::Explain { method, stage: stage.clone() };
                for done in (0..=4).take_while(|_| method.is_costly()) {
                    if !question.goes_on(Step { picture, map: &map, done, total: 4 }) {
                        return Err(Error::Interrupted);
                    }
                }
                let class = question.class.unwrap_or(2);
                let map = array![[b, class as f32]];
                readout.explained(Explanation { method, stage, class, map });
            }
            let explained = readout.explanations.first().map(|made| made.class);
            Ok(Look { readout, geometry, likeliest: Some(2), explained })
        });
        looks.collect()
    }
}

pub(super) fn readout(b: f32, queries: &[[f32; 2]]) -> Readout {
    let row = |query: &[f32; 2]| QueryRow { query: *query, weights: array![[query[0], query[1], b]] };
    Readout {
        probabilities: array![0.1 * b, 0.2, 0.3],
        gates: vec![GateReadout {
            stage: "stage5".into(),
            channel: Array1::linspace(0.0, b, 7),
            spatial: Some(array![[b, 0.0, 0.0]]),
            ..GateReadout::default()
        }],
        patches: vec![PatchReadout {
            stage: "stage5".into(),
            received: Array3::from_elem((1, 1, 3), 1.0),
            rows: queries.iter().map(row).collect(),
            ..PatchReadout::default()
        }],
        rollout: None,
        outputs: Vec::new(),
        ..Readout::default()
    }
}

/// A folder with pictures in it.
pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
    pub(super) options: Options,
    pub(super) cancel: AtomicBool,
}

impl Bench {
    pub(super) fn new() -> Self {
        let options = Options {
            maps: vec![MapName::Spatial(None)],
            threads: NonZeroUsize::new(3).unwrap(),
            batch_size: NonZeroUsize::new(4),
            ..Options::default()
        };
        Self { folder: tempfile::tempdir().unwrap(), options, cancel: AtomicBool::new(false) }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A picture of one grey, and a job that writes an overlay and its map.
    pub(super) fn grey(&self, name: &str, size: (u32, u32), grey: u8) -> Job {
        RgbImage::from_pixel(size.0, size.1, Rgb([grey; 3])).save(self.path(name)).unwrap();
        self.job(name)
    }

    pub(super) fn job(&self, name: &str) -> Job {
        let overlay =
            Destination { target: Target::File(self.path(&format!("out/{name}"))), format: PictureFormat::Png };
        Job {
            overlays: vec![overlay],
            maps: vec![self.path(&format!("out/{name}.npy"))],
            ..Job::new(Source::File(self.path(name)))
        }
    }

    pub(super) fn run(&self, jobs: &[Job], network: &mut Fake) -> Vec<(PathBuf, Result<PictureReport>)> {
        let mut done = Vec::new();
        let tell = |event: Event<'_>| {
            if let Event::Done { job, outcome } = event {
                done.push((job.source.name().to_owned(), outcome));
            }
        };
        run(jobs, &self.options, || Ok(network), &self.cancel, tell).unwrap();
        done
    }
}

pub(super) fn picture(path: &Path) -> image::DynamicImage {
    image::open(path).unwrap()
}

pub(super) fn npy(path: &Path) -> Array2<f32> {
    Array2::read_npy(fs::File::open(path).unwrap()).unwrap()
}

/// 24 pictures of three sizes.
pub(super) fn many(bench: &Bench) -> Vec<Job> {
    of_three_sizes(bench, 24)
}

pub(super) fn of_three_sizes(bench: &Bench, count: u8) -> Vec<Job> {
    let sizes = [(64, 48), (50, 70), (40, 40)];
    let grey = |i: u8| bench.grey(&format!("{i:02}.png"), sizes[usize::from(i % 3)], i.wrapping_mul(10));
    (0..count).map(grey).collect()
}
