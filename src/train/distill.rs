//! Attention without labels: the plain network on the clean picture teaches the attentive one in the clutter.

use std::path::PathBuf;

use rand::Rng;
use rand::distr::weighted::WeightedIndex;
use rand::prelude::Distribution;
use rand::seq::SliceRandom;
use serde::Serialize;
use tch::nn::OptimizerConfig;
use tch::{Kind, Tensor, nn};

use super::features::{Bank, Banks, prepare};
use super::loss::{class_divergence, focus_divergence};
use super::validate::{Validation, validate};
use super::views::{Studio, read_backgrounds, read_stamps, rng};
use super::{Pictures, Schedule};
use crate::network::Network;
use crate::photo::ImageSize;
use crate::{Error, Result};

/// How many of a batch are cluttered views, composites and clean pictures.
const BATCH: [usize; 3] = [12, 8, 12];
/// The parameter group of the 7×7 convolutions, which learn faster.
const CONVOLUTION_GROUP: usize = 1;
/// One picture and one stamp in so many is held out for validation.
const HELD_OUT: u64 = 20;
/// The shapes that views have, and out of [`SHARES`] pictures how many are seen in each: photos are mostly 4:3.
const SHAPES: [(ImageSize, usize); 3] = [
    (ImageSize { width: 4, height: 3 }, 2),
    (ImageSize { width: 1, height: 1 }, 1),
    (ImageSize { width: 3, height: 4 }, 1),
];
const SHARES: usize = 4;
/// Which random numbers are whose; a studio takes the stream of its shape.
const SAMPLE_STREAM: u64 = 0;
const STEPS_STREAM: u64 = 1;
const TRAINING_STREAMS: u64 = 2;
const HELD_OUT_STREAMS: u64 = 8;

/// What to train on, and for how long.
#[derive(Debug, Clone)]
pub struct DistillOptions {
    /// Folders and tar archives of pictures.
    pub images: Vec<PathBuf>,
    /// Folders and tar archives of backgrounds.
    pub backgrounds: Vec<PathBuf>,
    /// Folders and tar archives of cut-out objects with an alpha channel.
    pub stamps: Vec<PathBuf>,
    /// Use only so many pictures, chosen by the seed; all if none.
    pub limit: Option<usize>,
    /// Cluttered views of each picture.
    pub views: usize,
    /// Stamps on a background.
    pub composites: usize,
    /// Steps of 32 views.
    pub steps: usize,
    /// The highest learning rate; that of the spatial convolutions is three times it.
    pub learning_rate: f64,
    /// What the divergence on a clean picture counts, beside that on a view: the answer on clean pictures is what must
    /// not change.
    pub clean_weight: f64,
    /// The weight of looking in the right place, beside that of the right answer.
    pub focus_weight: f64,
    /// At most so many held-out pictures, and as many composites of held-out stamps, to validate on.
    pub validation: usize,
    /// The seed of everything random.
    pub seed: u64,
    /// Call [`Observer::checkpoint`] after so many steps.
    pub checkpoint_every: usize,
}

impl Default for DistillOptions {
    fn default() -> Self {
        Self {
            images: Vec::new(),
            backgrounds: Vec::new(),
            stamps: Vec::new(),
            limit: None,
            views: 2,
            composites: 1500,
            steps: 340,
            learning_rate: 2e-3,
            clean_weight: 6.0,
            focus_weight: 0.3,
            validation: 200,
            seed: 0,
            checkpoint_every: 100,
        }
    }
}

/// The terms of the loss at one step, each a mean over its views.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Losses {
    /// What is minimised.
    pub total: f64,
    /// KL(teacher ‖ student) on clean pictures, in nats.
    pub clean: f64,
    /// The same on cluttered views, the teacher seeing the clean picture.
    pub cluttered: f64,
    /// The same on composites.
    pub composite: f64,
    /// How far the gates are from the targets, in nats.
    pub focus: f64,
}

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct DistillReport {
    /// Clean pictures, cluttered views and composites trained on.
    pub views: [usize; 3],
    /// On held-out pictures and stamps, before the first step.
    pub before: Validation,
    /// The same after the last step.
    pub after: Validation,
}

/// Follows the training.
pub trait Observer {
    /// `count` more of all the views have been drawn and run through the frozen part.
    fn prepared(&mut self, count: usize, total: usize);
    /// A picture could not be used.
    fn skipped(&mut self, error: &Error);
    /// Step `step` of `steps` is done, counted from 1; each takes so many views.
    fn stepped(&mut self, step: usize, steps: usize, views: usize, losses: &Losses);
    /// It is time to save the network; an error ends the training.
    ///
    /// # Errors
    /// Whatever saving returns.
    fn checkpoint(&mut self, network: &Network, step: usize) -> Result<()>;
}

/// Trains the attention of `network`, its backbone frozen.
///
/// The network's attention should start as the identity (as [`Network::new`] leaves it).
///
/// # Errors
/// [`Error::Argument`] if the network has no attention, a source has no pictures or the training diverges, [`Error::Io`] if one cannot be
/// listed, [`Error::Torch`] if libtorch fails. Single pictures that cannot be read go to [`Observer::skipped`].
pub fn distill(network: &mut Network, options: &DistillOptions, observer: &mut dyn Observer) -> Result<DistillReport> {
    if network.config().attention.is_empty() {
        return Err(Error::argument("network", "there is no attention to train"));
    }
    let counts = [
        ("views", options.views),
        ("composites", options.composites),
        ("steps", options.steps),
        ("validation", options.validation),
        ("checkpoint every", options.checkpoint_every),
    ];
    for (name, value) in counts {
        if value == 0 {
            return Err(Error::argument(name, "must be at least 1"));
        }
    }
    let (banks, held_out) = tch::no_grad(|| draw(network, options, observer))?;
    let before = validate(network, &held_out)?;

    for (name, variable) in network.variables().variables() {
        let _ = variable.f_set_requires_grad(name.starts_with("attention."))?;
    }
    let mut optimizer =
        nn::AdamW { wd: 1e-4, ..nn::AdamW::default() }.build(network.variables(), options.learning_rate)?;
    let schedule = Schedule { peak: options.learning_rate, warm_up: 20, steps: options.steps };
    let kinds = |banks: &Banks| [&banks.cluttered, &banks.composite, &banks.clean].map(|bank| Order::new(bank.len()));
    let mut orders: Vec<[Order; 3]> = banks.iter().map(kinds).collect();
    let shapes = WeightedIndex::new(banks.iter().map(|banks| banks.clean.len()))
        .map_err(|error| Error::argument("images", error))?;
    let random = &mut rng(options.seed, STEPS_STREAM, 0);
    for step in 0..options.steps {
        let rate = schedule.at(step);
        optimizer.set_lr(rate);
        optimizer.set_lr_group(CONVOLUTION_GROUP, 3.0 * rate);
        // All views of a step have one shape.
        let shape = shapes.sample(random);
        let (banks, orders) = (&banks[shape], &mut orders[shape]);
        let picks = [0, 1, 2].map(|kind| orders[kind].next(BATCH[kind], random));
        let (loss, losses) = loss(network, banks, &picks, options)?;
        if !losses.total.is_finite() {
            let message =
                format!("{} is too high: the loss is {} at step {}", options.learning_rate, losses.total, step + 1);
            return Err(Error::argument("learning rate", message));
        }
        optimizer.backward_step_clip_norm(&loss, 5.0);
        observer.stepped(step + 1, options.steps, BATCH.iter().sum(), &losses);
        if (step + 1) % options.checkpoint_every == 0 && step + 1 < options.steps {
            observer.checkpoint(network, step + 1)?;
        }
    }
    let count = |kind: fn(&Banks) -> &Bank| banks.iter().map(|banks| kind(banks).len()).sum();
    let views = [count(|banks| &banks.clean), count(|banks| &banks.cluttered), count(|banks| &banks.composite)];
    Ok(DistillReport { views, before, after: validate(network, &held_out)? })
}

/// Draws all views, to train on and held out, for each shape; runs the frozen part of the network on them.
fn draw(network: &Network, options: &DistillOptions, observer: &mut dyn Observer) -> Result<(Vec<Banks>, Vec<Banks>)> {
    let (images, held_out_images) = Pictures::find(&options.images)?.split(HELD_OUT);
    let images = sample(&images, options.limit.unwrap_or(usize::MAX), options.seed);
    let held_out_images = sample(&held_out_images, options.validation, options.seed);
    let (stamps, held_out_stamps) = Pictures::find(&options.stamps)?.split(HELD_OUT);
    let side = network.config().short_side;
    let (backgrounds, bad_backgrounds) = read_backgrounds(&Pictures::find(&options.backgrounds)?, side);
    let (stamps, bad_stamps) = read_stamps(&stamps, side);
    let (held_out_stamps, bad_held_out) = read_stamps(&held_out_stamps, side);
    bad_backgrounds.iter().chain(&bad_stamps).chain(&bad_held_out).for_each(|error| observer.skipped(error));
    for (what, count) in [("backgrounds", backgrounds.len()), ("stamps", stamps.len().min(held_out_stamps.len()))] {
        if count == 0 {
            return Err(Error::argument(what, "too few that can be used"));
        }
    }
    let studio = |images: &Pictures, stamps, shape: usize, stream: u64| Studio {
        pictures: part(images, shape),
        backgrounds: &backgrounds,
        stamps,
        size: network.config().preprocess().network_size(SHAPES[shape].0),
        seed: options.seed,
        stream: stream + shape as u64,
    };
    let of = |count: usize, shape: usize| (count * SHAPES[shape].1 / SHARES).max(1);
    let shapes = 0..SHAPES.len();
    let composites: usize = shapes.clone().map(|shape| of(options.composites, shape)).sum();
    let total = images.len() * (1 + options.views) + composites;
    let quiet = &mut Quiet(observer);
    let held_out = shapes.clone().filter_map(|shape| {
        let studio = studio(&held_out_images, &held_out_stamps, shape, HELD_OUT_STREAMS);
        prepare(network, &studio, 1, of(options.validation, shape), 0, quiet).transpose()
    });
    let held_out = held_out.collect::<Result<Vec<_>>>()?;
    let banks = shapes.filter_map(|shape| {
        let studio = studio(&images, &stamps, shape, TRAINING_STREAMS);
        prepare(network, &studio, options.views, of(options.composites, shape), total, observer).transpose()
    });
    let banks = banks.collect::<Result<Vec<_>>>()?;
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
    indices.shuffle(&mut rng(seed, SAMPLE_STREAM, 0));
    indices.truncate(limit);
    pictures.select(&indices)
}

/// The loss of one batch, from positions in the cluttered, composite and clean banks.
fn loss(network: &Network, banks: &Banks, picks: &[Tensor; 3], options: &DistillOptions) -> Result<(Tensor, Losses)> {
    let gather = |parts: &[(&Tensor, &Tensor)]| -> Result<Tensor> {
        let parts = parts.iter().map(|(all, pick)| all.f_index_select(0, pick)).collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::f_cat(&parts, 0)?.f_to_device(network.device())?.f_to_kind(Kind::Float)?)
    };
    let [cluttered, composite, clean] = picks;
    let Banks { cluttered: in_clutter, composite: composed, clean: bare } = banks;
    let features =
        gather(&[(&in_clutter.features, cluttered), (&composed.features, composite), (&bare.features, clean)])?;
    let teacher = gather(&[
        (&in_clutter.log_probabilities, cluttered),
        (&composed.log_probabilities, composite),
        (&bare.log_probabilities, clean),
    ])?;
    // Clean pictures come last: they say nothing of where to look.
    let targets = gather(&[(&in_clutter.targets, cluttered), (&composed.targets, composite)])?;
    let output = network.tail(&features, true)?;
    let divergence = class_divergence(&teacher, &output.logits)?;
    let parts = divergence.f_split_with_sizes(BATCH.map(|size| size as i64).as_slice(), 0)?;
    let means = parts.iter().map(|part| part.f_mean(Kind::Float)).collect::<Result<Vec<_>, _>>()?;
    let focus = focus_divergence(&output, &targets)?.f_mean(Kind::Float)?;
    let share = BATCH.map(|size| size as f64 / BATCH.iter().sum::<usize>() as f64);
    let total = &means[0] * share[0]
        + &means[1] * share[1]
        + &means[2] * (share[2] * options.clean_weight)
        + &focus * options.focus_weight;
    let value = |tensor: &Tensor| tensor.double_value(&[]);
    let losses = Losses {
        total: value(&total),
        cluttered: value(&means[0]),
        composite: value(&means[1]),
        clean: value(&means[2]),
        focus: value(&focus),
    };
    Ok((total, losses))
}

/// The positions of a bank in random order, shuffled anew when they run out.
struct Order {
    positions: Vec<i64>,
    next: usize,
}

impl Order {
    fn new(len: usize) -> Self {
        Self { positions: (0..len as i64).collect(), next: len }
    }

    fn next(&mut self, count: usize, rng: &mut impl Rng) -> Tensor {
        let picks: Vec<i64> = (0..count)
            .map(|_| {
                if self.next == self.positions.len() {
                    self.positions.shuffle(rng);
                    self.next = 0;
                }
                self.next += 1;
                self.positions[self.next - 1]
            })
            .collect();
        Tensor::from_slice(&picks)
    }
}

/// Passes on only what cannot be used.
struct Quiet<'a>(&'a mut dyn Observer);

impl Observer for Quiet<'_> {
    fn prepared(&mut self, _: usize, _: usize) {}
    fn skipped(&mut self, error: &Error) {
        self.0.skipped(error);
    }
    fn stepped(&mut self, _: usize, _: usize, _: usize, _: &Losses) {}
    fn checkpoint(&mut self, _: &Network, _: usize) -> Result<()> {
        Ok(())
    }
}
