//! A network whose answers are known, and folders of pictures for it.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use image::{Rgb, RgbImage};
use ndarray::{Array1, Array2, Array3, array};
use ndarray_npy::ReadNpyExt;

use crate::maps::{Explanation, GateReadout, MapName, PatchReadout, QueryRow, Readout};
use crate::photo::{ImageSize, Preprocess, Resampled};
use crate::pipeline::*;
use crate::render::PictureFormat;
use crate::{Error, Result};

/// A network that sees one value per picture, its mean brightness b in 0..=1: the spatial gate is `b * [[1, 0, 0]]`.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) labels: Vec<String>,
    pub(super) batches: Vec<usize>,
    /// A batch with a picture brighter than this fails.
    pub(super) too_bright: Option<f32>,
}

impl Inspect for &mut Fake {
    fn preprocess(&self) -> Preprocess {
        Preprocess { short_side: 32, mean: [0.0; 3], std: [255.0; 3], ..Preprocess::default() }
    }

    fn classes(&self) -> usize {
        3
    }

    fn labels(&self) -> Vec<String> {
        self.labels.clone()
    }

    fn places(&self) -> Vec<String> {
        ["stage5", "head"].map(str::to_owned).into()
    }

    fn batch_size(&self, _: usize, _: ImageSize) -> usize {
        2
    }

    fn map_names(&self) -> Vec<MapName> {
        ["fused", "spatial:stage5", "patch", "patch:0", "gradcam", "rise", "channel:stage5"]
            .map(|name| name.parse().unwrap())
            .into()
    }

    fn inspect(
        &mut self,
        pictures: &[&Resampled],
        ask: Ask<'_>,
        go_on: &mut dyn FnMut(Step<'_>) -> bool,
    ) -> Result<Vec<Readout>> {
        self.batches.push(pictures.len());
        let brightness = |picture: &&Resampled| {
            let mut values = vec![0.0; picture.bytes()];
            self.preprocess().normalise(picture, &mut values).unwrap();
            Array1::from(values).mean().unwrap().clamp(0.0, 1.0)
        };
        let brightness: Vec<f32> = pictures.iter().map(brightness).collect();
        if self.too_bright.is_some_and(|limit| brightness.iter().any(|b| *b > limit)) {
            return Err(Error::argument("network", "too bright"));
        }
        let mut readouts: Vec<_> = brightness.iter().map(|b| readout(*b, ask.queries)).collect();
        for (picture, (readout, b)) in readouts.iter_mut().zip(&brightness).enumerate() {
            for (method, stage) in &ask.explain.methods {
                let map = MapName::Explain { method: *method, stage: stage.clone() };
                for done in (0..=4).take_while(|_| method.is_costly()) {
                    if !go_on(Step { picture, map: &map, done, total: 4 }) {
                        return Err(Error::Interrupted);
                    }
                }
                let class = ask.explain.class.unwrap_or(2);
                let map = array![[*b, class as f32]];
                readout.explained(Explanation { method: *method, stage: stage.clone(), class, map });
            }
        }
        Ok(readouts)
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
        }],
        patches: vec![PatchReadout {
            stage: "stage5".into(),
            received: Array3::from_elem((1, 1, 3), 1.0),
            rows: queries.iter().map(row).collect(),
        }],
        rollout: None,
        outputs: Vec::new(),
        explanations: Vec::new(),
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
            overlay: Some(overlay),
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
