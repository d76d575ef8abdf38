//! The batches of an epoch: read ahead, or from features that are kept.

use std::collections::BTreeSet;

use image::RgbImage;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::SupervisedOptions;
use super::augment::augment;
use super::folder::Labelled;
use crate::network::Network;
use crate::photo::{ImageSize, compose};
use crate::train::loader::{LoaderReport, prefetch};
use crate::train::random::{Stream, rng};
use crate::train::{Observer, features};
use crate::{Error, ErrorKind, Result};

/// What one step takes; nothing, if none of its pictures could be read.
pub(super) struct Batch {
    /// Pictures `[N, 3, H, W]`, or features behind the trunk `[N, C, h, w]`.
    pub(super) xs: Tensor,
    /// Which of both.
    pub(super) is_features: bool,
    /// By row: its class.
    pub(super) classes: Vec<usize>,
}

/// What is done with a batch.
pub(super) type Step<'s> = dyn FnMut(Batch, &mut dyn Observer) -> Result<()> + 's;

/// All batches of all epochs.
pub(super) struct Batches<'a> {
    pictures: &'a Labelled,
    network: &'a Network,
    options: &'a SupervisedOptions,
    kept: Option<Kept>,
    /// Pictures that could not be read, reported once.
    bad: BTreeSet<usize>,
}

/// Features of pictures that always look the same.
struct Kept {
    /// By picture: its row, if it could be read.
    rows: Vec<Option<i64>>,
    /// `[n, C, h, w]`, f16.
    features: Tensor,
}

impl<'a> Batches<'a> {
    pub(super) fn new(pictures: &'a Labelled, network: &'a Network, options: &'a SupervisedOptions) -> Self {
        Self { pictures, network, options, kept: None, bad: BTreeSet::new() }
    }

    /// How many batches an epoch has; its last one may be smaller.
    pub(super) fn len(&self) -> usize {
        self.pictures.len().div_ceil(self.options.batch)
    }

    /// Goes through an epoch from its batch `first` on. The order derives from the seed and the epoch, what a picture looks like
    /// from these and its own number.
    pub(super) fn run(
        &mut self,
        epoch: usize,
        first: usize,
        observer: &mut dyn Observer,
        step: &mut Step<'_>,
    ) -> Result<LoaderReport> {
        let mut order: Vec<usize> = (0..self.pictures.len()).collect();
        order.shuffle(&mut rng(self.options.seed, Stream::Order, epoch as u64));
        let batches = order.chunks(self.options.batch).skip(first);
        if let Some(kept) = &self.kept {
            for indices in batches {
                step(self.of_features(kept, indices)?, observer)?;
            }
            return Ok(LoaderReport::default());
        }
        let (pictures, options, size) = (self.pictures, self.options, self.size());
        let read = |index: usize| -> Result<RgbImage> {
            let picture = pictures.pictures.open(index)?.image.to_rgb8();
            if !options.augment {
                return Ok(compose::centre(&picture, size)?);
            }
            let number = (epoch as u64) << 32 | index as u64;
            augment(&picture, size, options.min_area, &mut rng(options.seed, Stream::Augment, number))
        };
        let network = self.network;
        let bad = &mut self.bad;
        prefetch(
            batches,
            |indices| indices.len(),
            |indices| indices.par_iter().map(|&index| (index, read(index))).collect::<Vec<_>>(),
            |ready| {
                let (views, classes) = keep_good(ready, pictures, bad, observer);
                let xs = if views.is_empty() { Tensor::new() } else { features::input(network, views.iter())? };
                step(Batch { xs, is_features: false, classes }, observer)
            },
        )
    }

    /// The positions of the pictures that could not be read.
    pub(super) fn bad(&self) -> &BTreeSet<usize> {
        &self.bad
    }

    /// That something could be read.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if not one picture could.
    pub(super) fn check(&self) -> Result<()> {
        if self.bad.len() == self.pictures.len() {
            return Err(Error::argument("images", "not one picture could be read"));
        }
        Ok(())
    }

    fn of_features(&self, kept: &Kept, indices: &[usize]) -> Result<Batch> {
        let readable = indices.iter().filter_map(|&index| Some((kept.rows[index]?, self.pictures.classes[index])));
        let (rows, classes): (Vec<i64>, Vec<usize>) = readable.unzip();
        let xs = kept.features.f_index_select(0, &Tensor::f_from_slice(&rows)?)?;
        let xs = xs.f_to_device(self.network.device())?.f_to_kind(Kind::Float)?;
        Ok(Batch { xs, is_features: true, classes })
    }

    /// Runs the trunk on the middle of every picture, and keeps what it gives out.
    pub(super) fn keep_features(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let (pictures, network, size) = (self.pictures, self.network, self.size());
        let read = |index: usize| Ok(compose::centre(&pictures.pictures.open(index)?.image.to_rgb8(), size)?);
        let indices: Vec<usize> = (0..pictures.len()).collect();
        let (mut rows, mut next, mut parts) = (vec![None; pictures.len()], 0, Vec::new());
        let bad = &mut self.bad;
        prefetch(
            indices.chunks(self.options.batch),
            |indices| indices.len(),
            |indices| indices.par_iter().map(|&index| (index, read(index))).collect::<Vec<_>>(),
            |ready| {
                let count = ready.len();
                for (index, _) in ready.iter().filter(|(_, view)| view.is_ok()) {
                    rows[*index] = Some(next);
                    next += 1;
                }
                let (views, _) = keep_good(ready, pictures, bad, observer);
                if !views.is_empty() {
                    let features = network.trunk(&features::input(network, views.iter())?)?;
                    parts.push(features.f_to_kind(Kind::Half)?.f_to_device(Device::Cpu)?);
                }
                observer.prepared(count, pictures.len());
                if observer.cancelled() { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
            },
        )?;
        self.check()?;
        self.kept = Some(Kept { rows, features: Tensor::f_cat(&parts, 0)? });
        Ok(())
    }

    /// The size of the pictures that are trained on: square.
    fn size(&self) -> ImageSize {
        self.network.config().preprocess().network_size(ImageSize::new(1, 1))
    }
}

/// The pictures that could be read, and their classes; the others are reported, once each.
fn keep_good(
    ready: Vec<(usize, Result<RgbImage>)>,
    pictures: &Labelled,
    bad: &mut BTreeSet<usize>,
    observer: &mut dyn Observer,
) -> (Vec<RgbImage>, Vec<usize>) {
    let mut good = (Vec::new(), Vec::new());
    for (index, view) in ready {
        match view {
            Ok(view) => {
                good.0.push(view);
                good.1.push(pictures.classes[index]);
            }
            Err(error) if bad.insert(index) => observer.skipped(&error),
            Err(_) => {}
        }
    }
    good
}
