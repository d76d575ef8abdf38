//! Classes from folders: the usual training, with attention or without, of everything or of the new parts alone.

mod augment;
mod batches;
mod evaluate;
mod folder;
mod mix;
mod options;
mod start;

use serde::Serialize;
use tch::{Kind, Tensor};

use super::loader::LoaderReport;
use super::optim::{Group, ParameterInfo};
use super::random::{Stream, rng};
use super::run::{Setup, Trainer, VALIDATION, WATCHED};
use super::{CONVOLUTION_GROUP, Observer, RunOptions, Schedule, trainable};
use crate::backbone::Arch;
use crate::eval::AccuracySummary;
use crate::network::Network;
use crate::{Error, ErrorKind, Result};
use batches::{Batch, Batches};
use evaluate::HeldOut;
use folder::Data;

pub use options::{OptimizerKind, SupervisedOptions, TrainPart};
pub use start::{Start, supervised_network};

/// Whether a variable of this name is the classifier's.
fn of_classifier(arch: Arch, name: &str) -> bool {
    let inside = name.strip_prefix("backbone.").and_then(|name| name.strip_prefix(arch.classifier()));
    inside.is_some_and(|rest| rest.starts_with('.'))
}

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct SupervisedReport {
    /// The classes.
    pub classes: usize,
    /// The pictures trained on, and those held out.
    pub pictures: [usize; 2],
    /// The number of values that learned.
    pub parameters: usize,
    /// The accuracy on the held-out pictures at the end.
    pub accuracy: AccuracySummary,
    /// How fast the loader was; nothing if the features were kept.
    pub loader: LoaderReport,
}

/// The names of the classes of a folder or archive, in the order of the network's logits.
///
/// # Errors
/// [`ErrorKind::Argument`] or [`ErrorKind::Io`], as [`supervised`].
pub fn class_names(options: &SupervisedOptions) -> Result<Vec<String>> {
    options.check()?;
    Ok(Data::find(options)?.labels)
}

/// How fast the pictures of one epoch are read and augmented, with no network behind them. Those that cannot be read go to
/// [`Observer::skipped`], and count for none.
///
/// # Errors
/// As [`supervised`].
pub fn loader_speed(
    network: &Network,
    options: &SupervisedOptions,
    observer: &mut dyn Observer,
) -> Result<LoaderReport> {
    options.check()?;
    let data = Data::find(options)?;
    data.tell(observer);
    let mut batches = Batches::new(&data.training, network, options);
    let mut report = batches.run(0, 0, observer, &mut |_, observer| {
        if observer.cancelled() { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    })?;
    data.training.pictures.tell_damaged(observer);
    batches.check()?;
    report.pictures -= batches.bad().len();
    Ok(report)
}

/// Trains `network` on the classes that its labels name; its weights are then those after the last step, or their moving
/// average.
///
/// # Errors
/// [`ErrorKind::Argument`] if an option is out of range, the folders are not the classes of the network, nothing is there to
/// train, the training diverges or the checkpoint is not of this training; [`ErrorKind::Interrupted`] if the observer ends it;
/// [`ErrorKind::Io`] if a folder cannot be listed, [`ErrorKind::Torch`] if libtorch fails. Single pictures that cannot be read go
/// to [`Observer::skipped`].
pub fn supervised(
    network: &mut Network,
    options: &SupervisedOptions,
    run: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<SupervisedReport> {
    options.check()?;
    let data = Data::find(options)?;
    if network.config().labels != data.labels {
        return Err(Error::argument("images", "the folders are not the classes of the network"));
    }
    let arch = network.config().arch;
    trainable(network, |name| options.train.has(arch, name))?;
    network.train_backbone(options.train == TrainPart::All);
    let network = &*network;
    let mut batches = Batches::new(&data.training, network, options);
    let steps = options.epochs * batches.len();
    let setup = Setup {
        training: "supervised",
        settings: options.settings(&data),
        steps,
        rule: options.optimizer.rule(),
        group: &|parameter: ParameterInfo| Group {
            rate: rate(&parameter),
            weight_decay: if parameter.axes > 1 { options.weight_decay } else { 0.0 },
        },
        clip: options.clip,
        ema: options.ema,
    };
    let mut trainer = Trainer::begin(network, setup, run, observer)?;
    data.tell(observer);
    let warm_up = (options.warm_up * steps as f64).round() as usize;
    let schedule = Schedule { peak: options.learning_rate, warm_up, steps };

    // Behind a frozen trunk, pictures that always look the same are run through it once.
    let keeps_features = !options.augment && options.train != TrainPart::All;
    let held_out = if keeps_features {
        tch::no_grad(|| batches.keep_features(observer))?;
        tch::no_grad(|| HeldOut::cached(network, &data.held_out, observer))?
    } else {
        HeldOut::Pictures(&data.held_out, false)
    };
    trainer.watch(network, data.held_out.pictures.spread(WATCHED), observer);
    let mut loader = LoaderReport::default();
    // A kill between an epoch's last checkpoint and its measurement: that is made up for.
    let epoch = trainer.step() / batches.len();
    let ended = epoch > 0 && trainer.step() == epoch * batches.len();
    let mut measured = Measured { held_out, epochs: options.epochs };
    let mut accuracy = ended.then(|| measured.after(epoch, &mut trainer, network, observer)).transpose()?;
    while let Some(step) = trainer.next_step() {
        let (epoch, first) = (step / batches.len(), step % batches.len());
        loader.add(batches.run(epoch, first, observer, &mut |batch, observer| {
            if batch.classes.is_empty() {
                return trainer.finish_step(network, 0, &[], observer);
            }
            let step = trainer.step();
            // Dropout and stochastic depth draw from libtorch's generator.
            tch::manual_seed(rand::Rng::random(&mut rng(options.seed, Stream::Torch, step as u64)));
            let (loss, figures) = trainer.forward(|| loss(network, &batch, options, step))?;
            trainer.learn(&loss, schedule.at(step))?;
            trainer.finish_step(network, batch.classes.len(), &figures, observer)
        })?);
        batches.check()?;
        // An end during the measurement finds the state saved.
        trainer.checkpoint(observer);
        accuracy = Some(measured.after(epoch + 1, &mut trainer, network, observer)?);
    }
    let accuracy = accuracy.ok_or_else(|| Error::argument("epochs", "must be at least 1"))?;
    data.training.pictures.tell_damaged(observer);
    data.held_out.pictures.tell_damaged(observer);
    let lost = data.training.lost(&data.labels, batches.bad());
    if !lost.is_empty() {
        observer.noted(&format!("not one picture could be read, to train on, of {}", lost.join(", ")));
    }
    trainer.swap_average()?;
    Ok(SupervisedReport {
        classes: data.labels.len(),
        pictures: [data.training.len(), data.held_out.len()],
        parameters: trainer.parameters(),
        accuracy,
        loader,
    })
}

/// What measures the network between the epochs.
struct Measured<'a> {
    held_out: HeldOut<'a>,
    epochs: usize,
}

impl Measured<'_> {
    /// The accuracy after that many epochs, of the moving average of the weights, or of the weights if there is none; logged,
    /// and reported to the observer.
    fn after(
        &mut self,
        epoch: usize,
        trainer: &mut Trainer<'_>,
        network: &Network,
        observer: &mut dyn Observer,
    ) -> Result<AccuracySummary> {
        trainer.swap_average()?;
        let summary = self.held_out.evaluate(network, observer);
        trainer.swap_average()?;
        let summary = summary?;
        let (n, top1, top5) = (summary.n as f64, summary.top1.value, summary.top5.value);
        let figures = [("epoch", epoch as f64), ("n", n), ("top1", top1), ("top5", top5)];
        trainer.log(VALIDATION, &figures, observer);
        observer.evaluated(epoch, self.epochs, &summary);
        Ok(summary)
    }
}

/// The loss of one batch, and how many of its pictures were right (of those that are not mixed).
fn loss(
    network: &Network,
    batch: &Batch,
    options: &SupervisedOptions,
    step: usize,
) -> Result<(Tensor, Vec<(&'static str, f64)>)> {
    let mut xs = batch.xs.shallow_clone();
    let mut targets = mix::targets(&batch.classes, network.config().classes, options.label_smoothing)?;
    targets = targets.f_to_device(network.device())?;
    if options.mixup > 0.0 {
        let rng = &mut rng(options.seed, Stream::Mix, step as u64);
        [xs, targets] = mix::mixup(&xs, &targets, options.mixup, rng)?;
    }
    let output = if batch.is_features { network.tail(&xs, true)? } else { network.forward(&xs, true)? };
    let loss = mix::cross_entropy(&output.logits, &targets)?;
    let mut figures = vec![("loss", loss.f_double_value(&[])?)];
    if options.mixup == 0.0 {
        let right = output.logits.f_argmax(-1, false)?.f_eq_tensor(&targets.f_argmax(-1, false)?)?;
        figures.push(("top1", right.f_to_kind(Kind::Float)?.f_mean(Kind::Float)?.f_double_value(&[])?));
    }
    Ok((loss, figures))
}

/// What a parameter's learning rate is multiplied with: new attention gates every feature, and can lose them all at the rate
/// of a classifier; its 7×7 convolutions learn three times as fast as the rest of it.
fn rate(parameter: &ParameterInfo<'_>) -> f64 {
    match (parameter.name.starts_with("attention."), parameter.store_group) {
        (true, CONVOLUTION_GROUP) => 0.9,
        (true, _) => 0.3,
        (false, _) => 1.0,
    }
}
