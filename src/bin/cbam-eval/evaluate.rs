//! Every picture of the truth through the network, and every map scored.

use std::path::{Path, PathBuf};

use cbam::eval::{Accuracy, Localisation, PictureScore, PictureSource, TruthRow};
use cbam::explain::Method;
use cbam::maps::{MapName, Readout, Resample};
use cbam::network::Network;
use cbam::photo::{Geometry, Limits, Prepared, Preprocess, decode};
use cbam::pipeline::write_whole;
use cbam::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ndarray::{Array4, Axis};
use ndarray_npy::WriteNpyExt;
use rayon::prelude::*;

use crate::args::{Cli, stem};
use crate::report::{Figures, Missing, Report};

/// Pictures that are held in memory at a time.
const CHUNK: usize = 16;

/// The sums over one selection of rows.
struct Sums {
    accuracy: Accuracy,
    /// One for each map.
    maps: Vec<Localisation>,
}

/// What happens to the pixels of a picture, on any thread.
struct Pixels {
    limits: Limits,
    preprocess: Preprocess,
    maps: Vec<MapName>,
    /// The folder of each map.
    folders: Vec<Option<PathBuf>>,
}

pub(crate) struct Evaluation<'a> {
    network: &'a Network,
    pixels: Pixels,
    rows: &'a [TruthRow],
    all: Sums,
    small: Sums,
    missing: Vec<Missing>,
    bar: ProgressBar,
}

impl<'a> Evaluation<'a> {
    /// Checks, before any work, that the network has the classes and the maps.
    pub(crate) fn new(cli: &Cli, network: &'a Network, rows: &'a [TruthRow]) -> Result<Self> {
        let config = network.config();
        if let Some(row) = rows.iter().find(|row| row.class.is_some_and(|class| class as i64 >= config.classes)) {
            let message = format!("{} is of class {}, the network knows {}", row.image, row.class.unwrap_or_default(), config.classes);
            return Err(Error::argument("--truth", message));
        }
        let mut preprocess = config.preprocess();
        preprocess.short_side = cli.size.unwrap_or(preprocess.short_side);
        let maps = available(network, &cli.maps)?;
        let folder = |name: &MapName| {
            let folder = cli.maps_dir.as_ref()?;
            Some(if maps.len() == 1 { folder.clone() } else { folder.join(name.to_string().replace(':', "-")) })
        };
        let folders = maps.iter().map(folder).collect();
        let sums = || Sums { accuracy: Accuracy::default(), maps: vec![Localisation::default(); maps.len()] };
        let bar = ProgressBar::new(rows.len() as u64); // on standard error, if that is a terminal
        if cli.quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let (all, small) = (sums(), sums());
        let pixels = Pixels { limits: Limits::default(), preprocess, maps, folders };
        Ok(Self { network, pixels, rows, all, small, missing: Vec::new(), bar })
    }

    /// Scores every picture; those that cannot be read are named and counted.
    pub(crate) fn run(&mut self, source: &PictureSource) -> Result<()> {
        let rows = self.rows;
        let names: Vec<&str> = rows.iter().map(|row| row.image.as_str()).collect();
        let mut chunk = Vec::with_capacity(CHUNK);
        source.visit(&names, self.pixels.limits.max_bytes, |place, bytes| {
            chunk.push((&rows[place], bytes));
            if chunk.len() == CHUNK { self.score(std::mem::take(&mut chunk)) } else { Ok(()) }
        })?;
        self.score(chunk)?;
        self.bar.finish_and_clear();
        Ok(())
    }

    fn score(&mut self, chunk: Vec<(&'a TruthRow, Result<Vec<u8>>)>) -> Result<()> {
        let (count, pixels) = (chunk.len(), &self.pixels);
        let prepare =
            |(row, bytes): (&'a TruthRow, Result<Vec<u8>>)| (row, bytes.and_then(|b| pixels.prepare(row, &b)));
        let prepared: Vec<_> = chunk.into_par_iter().map(prepare).collect();
        let mut seen = Vec::with_capacity(count);
        for (row, prepared) in prepared {
            match prepared {
                Ok(Prepared { pixels, geometry }) => {
                    let readout = self.network.run(&pixels.view().insert_axis(Axis(0)), &[])?.remove(0);
                    seen.push((row, geometry, readout));
                }
                Err(error) => self.miss(row, &error),
            }
        }
        let pixels = &self.pixels;
        let scores = seen.par_iter().map(|(row, geometry, readout)| pixels.localise(row, geometry, readout));
        let scores = scores.collect::<Result<Vec<_>>>()?;
        for ((row, _, readout), scores) in seen.iter().zip(&scores) {
            let selections = [Some(&mut self.all), row.small.then_some(&mut self.small)];
            for sums in selections.into_iter().flatten() {
                if let Some(class) = row.class {
                    sums.accuracy.add(readout.probabilities.view(), class)?;
                }
                sums.maps.iter_mut().zip(scores).for_each(|(sum, score)| sum.add(score));
            }
        }
        self.bar.inc(count as u64);
        Ok(())
    }

    fn miss(&mut self, row: &TruthRow, error: &Error) {
        self.bar.suspend(|| eprintln!("cbam-eval: {error}"));
        self.missing.push(Missing { image: row.image.clone(), reason: error.to_string() });
        let selections = [Some(&mut self.all), row.small.then_some(&mut self.small)];
        selections.into_iter().flatten().flat_map(|sums| &mut sums.maps).for_each(Localisation::add_missing);
    }

    pub(crate) fn report(self) -> Report {
        let config = self.network.config();
        let figures = |sums: &Sums| {
            let maps =
                self.pixels.maps.iter().map(ToString::to_string).zip(sums.maps.iter().map(Localisation::summary));
            Figures { accuracy: sums.accuracy.summary(), maps: maps.collect() }
        };
        Report {
            arch: config.arch,
            attention: !config.attention.is_empty(),
            short_side: self.pixels.preprocess.short_side,
            all: figures(&self.all),
            small: figures(&self.small),
            missing: self.missing,
        }
    }
}

impl Pixels {
    /// A picture as the network takes it, if it is the one that the boxes were drawn on.
    fn prepare(&self, row: &TruthRow, bytes: &[u8]) -> Result<Prepared> {
        let photo = decode(Path::new(&row.image), bytes, &self.limits)?;
        if photo.size() != row.size {
            return Err(Error::photo(&row.image, format!("{} pixels, where the truth has {}", photo.size(), row.size)));
        }
        self.preprocess.apply(&photo)
    }

    /// The scores of one picture's maps, which are saved on the way.
    fn localise(&self, row: &TruthRow, geometry: &Geometry, readout: &Readout) -> Result<Vec<PictureScore>> {
        let inside = row.region()?.inside;
        let score = |(name, folder): (&MapName, &Option<PathBuf>)| {
            let map = readout.map(name, geometry)?;
            if let Some(folder) = folder {
                let path = folder.join(format!("{}.npy", stem(row)));
                let mut bytes = Vec::new();
                let written = map.values().write_npy(&mut bytes);
                written.map_err(|error| Error::io(&path)(std::io::Error::other(error)))?;
                write_whole(&path, &bytes)?;
            }
            PictureScore::new(map.resample(row.size, Resample::Bilinear)?.values().view(), &inside)
        };
        self.maps.iter().zip(&self.folders).map(score).collect()
    }
}

/// The maps of `wanted`, all of which the network must have; without any, the usual ones that it has.
fn available(network: &Network, wanted: &[MapName]) -> Result<Vec<MapName>> {
    let side = 64;
    let size = cbam::photo::ImageSize::new(side, side);
    let blank = Array4::zeros((1, 3, side as usize, side as usize));
    let readout = network.run(&blank.view(), &[])?.remove(0);
    let geometry = Geometry { picture: size, network: size };
    if wanted.is_empty() {
        let usual = [MapName::Fused, MapName::Spatial(None), MapName::Patch(None), MapName::explain(Method::GradCam)];
        return Ok(usual.into_iter().filter(|name| readout.map(name, &geometry).is_ok()).collect());
    }
    let mut maps: Vec<MapName> = Vec::new();
    for name in wanted {
        readout.map(name, &geometry)?;
        if !maps.contains(name) {
            maps.push(name.clone());
        }
    }
    Ok(maps)
}
