//! The views of a distillation, drawn once, before the first step: the same for the same seed, in whatever order the
//! threads get to them.

use rand::seq::SliceRandom;

use super::DistillOptions;
use crate::network::Network;
use crate::photo::ImageSize;
use crate::train::Pictures;
use crate::train::features::{Banks, prepare};
use crate::train::random::{Stream, Views, rng};
use crate::train::run::{Observer, StepReport};
use crate::train::views::{Studio, read_backgrounds, read_stamps};
use crate::{Error, Result};

/// One picture and one stamp in this many are held out for validation.
const HELD_OUT: u64 = 20;
/// The shapes that views have, and out of [`SHARES`] pictures how many are seen in each: photos are mostly 4:3.
const SHAPES: [(ImageSize, usize); 3] = [
    (ImageSize { width: 4, height: 3 }, 2),
    (ImageSize { width: 1, height: 1 }, 1),
    (ImageSize { width: 3, height: 4 }, 1),
];
const SHARES: usize = 4;

/// Where the pictures, backgrounds and stamps lie.
pub(super) struct Sources {
    pub(super) images: Pictures,
    pub(super) backgrounds: Pictures,
    pub(super) stamps: Pictures,
}

impl Sources {
    pub(super) fn find(options: &DistillOptions) -> Result<Self> {
        Ok(Self {
            images: Pictures::find(&options.images)?,
            backgrounds: Pictures::find(&options.backgrounds)?,
            stamps: Pictures::find(&options.stamps)?,
        })
    }

    /// Tells what else was found.
    pub(super) fn tell(&self, observer: &mut dyn Observer) {
        for pictures in [&self.images, &self.backgrounds, &self.stamps] {
            pictures.tell_found(observer);
        }
    }

    /// The pictures that are not trained on.
    pub(super) fn held_out(&self) -> Pictures {
        self.images.clone().split(HELD_OUT).1
    }
}

/// Draws all views, to train on and held out, for each shape; runs the frozen part of the network on them.
pub(super) fn draw(
    network: &Network,
    teachers: &[Network],
    sources: Sources,
    options: &DistillOptions,
    observer: &mut dyn Observer,
) -> Result<(Vec<Banks>, Vec<Banks>)> {
    let (images, held_out_images) = sources.images.split(HELD_OUT);
    let images = sample(&images, options.limit.unwrap_or(usize::MAX), options.seed);
    let held_out_images = sample(&held_out_images, options.validation, options.seed);
    let (stamps, held_out_stamps) = sources.stamps.clone().split(HELD_OUT);
    let side = network.config().short_side;
    let (backgrounds, bad_backgrounds) = read_backgrounds(&sources.backgrounds, side);
    let (stamps, bad_stamps) = read_stamps(&stamps, side);
    let (held_out_stamps, bad_held_out) = read_stamps(&held_out_stamps, side);
    bad_backgrounds.iter().chain(&bad_stamps).chain(&bad_held_out).for_each(|error| observer.skipped(error));
    for (what, count) in [("backgrounds", backgrounds.len()), ("stamps", stamps.len().min(held_out_stamps.len()))] {
        if count == 0 {
            return Err(Error::argument(what, "too few that can be used"));
        }
    }
    let studio = |images: &Pictures, stamps, shape: usize, views: Views| Studio {
        pictures: part(images, shape),
        backgrounds: &backgrounds,
        stamps,
        size: network.config().preprocess().network_size(SHAPES[shape].0),
        seed: options.seed,
        views,
    };
    let of = |count: usize, shape: usize| (count * SHAPES[shape].1 / SHARES).max(1);
    let shapes = 0..SHAPES.len();
    let composites: usize = shapes.clone().map(|shape| of(options.composites, shape)).sum();
    let total = images.len() * (1 + options.views) + composites;
    let quiet = &mut Quiet(observer);
    let held_out = shapes.clone().filter_map(|shape| {
        let studio = studio(&held_out_images, &held_out_stamps, shape, Views::HeldOut { shape: shape as u64 });
        prepare(network, teachers, &studio, 1, of(options.validation, shape), 0, quiet).transpose()
    });
    let held_out = held_out.collect::<Result<Vec<_>>>()?;
    let banks = shapes.filter_map(|shape| {
        let studio = studio(&images, &stamps, shape, Views::Training { shape: shape as u64 });
        prepare(network, teachers, &studio, options.views, of(options.composites, shape), total, observer).transpose()
    });
    let banks = banks.collect::<Result<Vec<_>>>()?;
    for list in [&images, &sources.backgrounds, &sources.stamps] {
        list.tell_damaged(observer);
    }
    if banks.is_empty() || held_out.is_empty() {
        return Err(Error::argument("images", "too few that can be used, to train on and to hold some out"));
    }
    Ok((banks, held_out))
}

/// The pictures that are seen in a shape.
fn part(images: &Pictures, shape: usize) -> Pictures {
    let before: usize = SHAPES[..shape].iter().map(|(_, share)| share).sum();
    let shares = before..before + SHAPES[shape].1;
    images.select(&(0..images.len()).filter(|index| shares.contains(&(index % SHARES))).collect::<Vec<_>>())
}

/// A seeded choice of pictures.
fn sample(pictures: &Pictures, limit: usize, seed: u64) -> Pictures {
    let mut indices: Vec<usize> = (0..pictures.len()).collect();
    indices.shuffle(&mut rng(seed, Stream::DistillSample, 0));
    indices.truncate(limit);
    pictures.select(&indices)
}

/// Passes on only what cannot be used, and an end.
struct Quiet<'a>(&'a mut dyn Observer);

impl Observer for Quiet<'_> {
    fn skipped(&mut self, error: &Error) {
        self.0.skipped(error);
    }
    fn trouble(&mut self, error: &Error) {
        self.0.trouble(error);
    }
    fn stepped(&mut self, _: &StepReport<'_>) {}
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}
