//! Attention without labels: the plain network on the clean picture teaches the attentive one in the clutter.

mod draw;
mod options;
mod plan;

use std::path::PathBuf;

use serde::Serialize;
use tch::{Kind, Tensor};

use super::features::{Bank, Banks};
use super::loss::{class_divergence, focus_divergence};
use super::optim::{AdamW, Group, ParameterInfo, Rule};
use super::run::{Setup, Trainer, VALIDATION, WATCHED};
use super::validate::{Validation, validate};
use super::{CONVOLUTION_GROUP, Observer, RunOptions, Schedule, trainable};
use crate::network::{Network, OpenOptions, Outputs};
use crate::text::printable_path;
use crate::{Error, Result};
use draw::{Sources, draw};
use plan::{BATCH, Plan};

pub use options::DistillOptions;

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

impl Losses {
    fn figures(&self) -> [(&'static str, f64); 5] {
        let Self { total, clean, cluttered, composite, focus } = *self;
        [("loss", total), ("clean", clean), ("cluttered", cluttered), ("composite", composite), ("focus", focus)]
    }
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

/// Trains the attention of `network`, its backbone frozen.
///
/// The network's attention should start as the identity (as [`Network::new`] leaves it). A training that goes on from a
/// checkpoint draws its views again, to the same bits.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the network has no attention, a source has no pictures, the training diverges
/// or the checkpoint is not of this training; [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) if the observer ends it;
/// [`ErrorKind::Io`](crate::ErrorKind::Io) if a source cannot be listed, [`ErrorKind::Weights`](crate::ErrorKind::Weights) if a teacher's
/// file is of no network of the same classes, [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch fails. Single pictures that
/// cannot be read go to [`Observer::skipped`].
pub fn distill(
    network: &mut Network,
    options: &DistillOptions,
    run: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<DistillReport> {
    if network.config().attention.is_empty() {
        return Err(Error::argument("network", "there is no attention to train"));
    }
    let (classes, outputs) = (network.config().classes, network.config().outputs);
    if classes < 2 || outputs != Outputs::Softmax {
        let message =
            format!("{classes} classes ({outputs}): the answers that teach are a softmax over two classes or more");
        return Err(Error::argument("network", message));
    }
    options.check()?;
    let sources = Sources::find(options)?;
    let teachers = teachers(network, options, observer)?;
    trainable(network, |name| name.starts_with("attention."))?;
    let setup = Setup {
        training: "distill",
        settings: options.settings(&sources, &teachers),
        steps: options.steps,
        rule: Rule::AdamW(AdamW::default()),
        group: &|parameter: ParameterInfo| Group {
            rate: if parameter.store_group == CONVOLUTION_GROUP { 3.0 } else { 1.0 },
            weight_decay: 1e-4,
        },
        clip: 5.0,
        ema: None,
    };
    let mut trainer = Trainer::begin(network, setup, run, observer)?;

    sources.tell(observer);
    let watched = sources.held_out();
    let (banks, held_out) = tch::no_grad(|| draw(network, &teachers, sources, options, observer))?;
    trainer.watch(network, watched.spread(WATCHED), observer);
    let before = trainer.once("before", || validate(network, &held_out))?;
    let schedule = Schedule { peak: options.learning_rate, warm_up: 20, steps: options.steps };
    let mut plan = Plan::new(&banks, options.seed)?;
    plan.skip_to(trainer.step());
    while let Some(step) = trainer.next_step() {
        // All views of a step have one shape.
        let (shape, picks) = plan.next(step);
        let (loss, losses) = trainer.forward(|| loss(network, &banks[shape], &picks, options))?;
        trainer.learn(&loss, schedule.at(step))?;
        trainer.finish_step(network, BATCH.iter().sum(), &losses.figures(), observer)?;
    }
    let count = |kind: fn(&Banks) -> &Bank| banks.iter().map(|banks| kind(banks).len()).sum();
    let views = [count(|banks| &banks.clean), count(|banks| &banks.cluttered), count(|banks| &banks.composite)];
    let after = validate(network, &held_out)?;
    trainer.log(VALIDATION, &after.figures(), observer);
    Ok(DistillReport { views, before, after })
}

/// The other networks that teach. What opening them took for granted goes to the observer.
fn teachers(network: &Network, options: &DistillOptions, observer: &mut dyn Observer) -> Result<Vec<Network>> {
    let classes = network.config().classes;
    let open = |path: &PathBuf| {
        let opened = Network::open_with(path, &OpenOptions::default(), network.device())?;
        opened.notes().iter().for_each(|note| observer.noted(&format!("{}: {note}", printable_path(path))));
        let teacher = opened.network;
        if teacher.config().classes != classes {
            let message = format!("{} classes, but the network that learns has {classes}", teacher.config().classes);
            return Err(Error::weights(path, message));
        }
        Ok(teacher)
    };
    options.teachers.iter().map(open).collect()
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
    let targets = gather(&[(&in_clutter.targets, cluttered), (&composed.targets, composite), (&bare.targets, clean)])?;
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
