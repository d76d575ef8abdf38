//! One training: its optimizer, its state, and what happens after each step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::{Tensor, no_grad};

use super::clock::Clock;
use super::log::Log;
use super::precision::LossScale;
use super::state::State;
use super::watch::Watch;
use super::{Observer, RunOptions, Settings, StepReport};
use crate::network::Network;
use crate::photo::{self, Limits, Photo};
use crate::train::optim::{Ema, Group, Optimizer, ParameterInfo, Rule, clip_norm};
use crate::{Error, ErrorKind, Remedy, Result};

/// The note that holds the scale of the loss.
const LOSS_SCALE: &str = "loss_scale";
/// How many held-out pictures are watched if none are named.
pub(in crate::train) const WATCHED: usize = 3;
/// The folder of their panels, in that of the logs.
const WATCH: &str = "watch";

/// What a training tells the machinery about itself.
pub(in crate::train) struct Setup<'a> {
    /// Its name.
    pub(in crate::train) training: &'static str,
    /// What a checkpoint must have in common with it.
    pub(in crate::train) settings: Settings,
    /// How many steps there are.
    pub(in crate::train) steps: usize,
    /// The optimizer of all variables that require a gradient.
    pub(in crate::train) rule: Rule,
    /// The groups of the parameters.
    pub(in crate::train) group: &'a dyn Fn(ParameterInfo) -> Group,
    /// The most that the gradients' norm may be.
    pub(in crate::train) clip: f64,
    /// The decay of a moving average of the weights, if there is to be one.
    pub(in crate::train) ema: Option<f64>,
}

/// A training under way.
pub(in crate::train) struct Trainer<'a> {
    options: &'a RunOptions,
    training: &'static str,
    settings: Settings,
    variables: BTreeMap<String, Tensor>,
    optimizer: Optimizer,
    clip: f64,
    ema: Option<Ema>,
    loss_scale: LossScale,
    notes: BTreeMap<String, String>,
    step: usize,
    steps: usize,
    /// The step that the checkpoint on disk is of, if it is known.
    saved: Option<usize>,
    rate: f64,
    clock: Clock,
    log: Option<Log>,
    watch: Option<Watch>,
}

impl<'a> Trainer<'a> {
    /// Begins a training of those variables of `network` that require a gradient, or goes on with one: the network
    /// then takes over the checkpoint's weights. A new training is saved at once: a place that cannot be written to
    /// shows before the hours of work.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if the checkpoint is another training's, or exists and is not to be resumed; what opening, saving and
    /// libtorch return.
    pub(in crate::train) fn begin(
        network: &Network,
        setup: Setup<'_>,
        options: &'a RunOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let network_config = serde_json::to_string(network.config());
        let network_config = network_config.map_err(|error| Error::argument("network", error))?;
        let settings = setup
            .settings
            .with("training", setup.training)
            .with("version of cbam", env!("CARGO_PKG_VERSION"))
            .with("precision", options.precision)
            .with("network", network_config);
        let variables: BTreeMap<_, _> = network.variables().variables().into_iter().collect();
        let ema = setup.ema.map(|decay| {
            let variables = variables.iter().map(|(name, value)| (name.clone(), value.shallow_clone()));
            Ema::new(variables, decay)
        });
        let mut trainer = Self {
            options,
            training: setup.training,
            settings,
            optimizer: Optimizer::new(network.variables(), setup.rule, setup.group)?,
            variables,
            clip: setup.clip,
            ema: ema.transpose()?,
            loss_scale: LossScale::new(options.precision, network.device())?,
            notes: BTreeMap::new(),
            step: 0,
            steps: setup.steps,
            saved: None,
            rate: 0.0,
            clock: Clock::default(),
            log: None,
            watch: None,
        };
        let watched = options.watch.iter().map(|path| Ok((path.clone(), photo::open(path, &Limits::default())?)));
        let watched = watched.collect::<Result<Vec<_>>>()?;
        match (&options.resume, &options.checkpoint) {
            (Some(path), _) => trainer.restore(path)?,
            (None, Some(path)) if path.exists() => {
                return Err(Error::argument(path.display(), "an unfinished training").with_remedy(Remedy::Resume));
            }
            (None, Some(path)) => trainer.save(path, observer)?,
            (None, None) => {}
        }
        if let Some(folder) = &options.log_dir {
            trainer.log = Some(Log::begin(folder, options.resume.is_some().then_some(trainer.step))?);
            trainer.watch = (!watched.is_empty()).then(|| Watch::new(&folder.join(WATCH), watched));
        } else if !watched.is_empty() {
            return Err(Error::argument("watch", "the panels go to the logs: name a folder with log-dir"));
        }
        Ok(trainer)
    }

    /// Draws the watched pictures as they are before the first step. Where none were named, `held_out` gives some.
    pub(in crate::train) fn watch(
        &mut self,
        network: &Network,
        held_out: impl Iterator<Item = Result<(PathBuf, Photo)>>,
        observer: &mut dyn Observer,
    ) {
        if let (Some(folder), None) = (&self.options.log_dir, &self.watch) {
            let pictures = held_out.filter_map(Result::ok).take(WATCHED).collect();
            self.watch = Some(Watch::new(&folder.join(WATCH), pictures));
        }
        if self.step == 0 {
            self.draw(network, observer);
        }
    }

    fn draw(&mut self, network: &Network, observer: &mut dyn Observer) {
        if let (Some(log), Some(watch)) = (&mut self.log, &self.watch) {
            watch.draw(network, self.step, log).unwrap_or_else(|error| observer.trouble(&error));
        }
    }

    /// Logs figures of this moment under the name of a group. A log that cannot be written is given up, and that is reported.
    pub(in crate::train) fn log(&mut self, group: &str, figures: &[(&str, f64)], observer: &mut dyn Observer) {
        let written = self.log.as_mut().map_or(Ok(()), |log| log.figures(self.step, group, figures));
        if let Err(error) = written {
            self.log = None;
            observer.trouble(&error);
        }
    }

    fn restore(&mut self, path: &Path) -> Result<()> {
        let state = State::open(path)?;
        self.settings.check(&state.settings, path)?;
        let fault = |error: Error| Error::weights(path, error);
        let averages = self.ema.as_ref().map(Ema::averages).unwrap_or_default();
        for (own, saved) in [(&self.variables, &state.variables), (&averages, &state.averages)] {
            if !own.keys().eq(saved.keys()) {
                return Err(Error::weights(path, "its variables are not those of this network"));
            }
            for (name, value) in own {
                if value.size() != saved[name].size() {
                    return Err(Error::weights(path, format!("{name} has another shape in this network")));
                }
                no_grad(|| value.shallow_clone().f_copy_(&saved[name]))?;
            }
        }
        self.optimizer.restore(&state.moments, state.optimizer_step).map_err(fault)?;
        self.notes = state.notes;
        if let Some(note) = self.notes.get(LOSS_SCALE) {
            let restored = self.loss_scale.restore(note);
            restored.ok_or_else(|| Error::weights(path, format!("the note {LOSS_SCALE}: {note:?}")))?;
        }
        self.step = state.step;
        self.saved = Some(state.step);
        Ok(())
    }

    fn save(&mut self, path: &Path, observer: &mut dyn Observer) -> Result<()> {
        let clone = |(name, value): (&String, &Tensor)| (name.clone(), value.shallow_clone());
        let mut notes = self.notes.clone();
        notes.insert(LOSS_SCALE.to_owned(), self.loss_scale.note());
        let state = State {
            training: self.training.to_owned(),
            step: self.step,
            optimizer_step: self.optimizer.steps(),
            settings: self.settings.clone(),
            notes,
            variables: self.variables.iter().map(clone).collect(),
            moments: self.optimizer.moments(),
            averages: self.ema.as_ref().map(Ema::averages).unwrap_or_default(),
        };
        state.save(path)?;
        self.saved = Some(self.step);
        observer.saved(path, self.step);
        Ok(())
    }

    /// Saves the state on the way, unless it is saved already. If it cannot be written, the observer hears of it, and the one
    /// before stays.
    pub(in crate::train) fn checkpoint(&mut self, observer: &mut dyn Observer) {
        let path = self.options.checkpoint.as_ref().filter(|_| self.saved != Some(self.step));
        let saved = path.map_or(Ok(()), |path| self.save(path, observer));
        saved.unwrap_or_else(|error| observer.trouble(&error));
    }

    /// Steps done; the number, counted from 0, of the next one.
    pub(in crate::train) fn step(&self) -> usize {
        self.step
    }

    /// The next step's number, counted from 0; `None` when all are done.
    pub(in crate::train) fn next_step(&self) -> Option<usize> {
        (self.step < self.steps).then_some(self.step)
    }

    /// What `work` returns, worked out once in a training: whoever goes on with it gets what was found at first.
    pub(in crate::train) fn once<T: Serialize + DeserializeOwned>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let wrong = |error: serde_json::Error| Error::weights(format!("the checkpoint's note {name}"), error);
        if !self.notes.contains_key(name) {
            self.notes.insert(name.to_owned(), serde_json::to_string(&work()?).map_err(wrong)?);
        }
        // Read back at once too: a decimal number may lose its last bit, and then it should for everybody.
        serde_json::from_str(&self.notes[name]).map_err(wrong)
    }

    /// Runs a forward pass in the precision of this training.
    pub(in crate::train) fn forward<T>(&self, work: impl FnOnce() -> T) -> T {
        self.loss_scale.forward(work)
    }

    /// Changes the parameters by the gradients of a loss, clipped.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if the loss is not finite.
    pub(in crate::train) fn learn(&mut self, loss: &Tensor, rate: f64) -> Result<()> {
        let value = loss.f_double_value(&[])?;
        if !value.is_finite() {
            let message = format!("too high: the loss is {value} at step {}", self.step + 1);
            return Err(Error::argument("learning rate", message));
        }
        self.rate = rate;
        if let Some(mut gradients) = self.loss_scale.gradients(&self.optimizer, loss)? {
            clip_norm(&mut gradients, self.clip)?;
            self.optimizer.step(&gradients, rate)?;
            if let Some(ema) = &mut self.ema {
                ema.update(self.optimizer.steps())?;
            }
        }
        Ok(())
    }

    /// Ends a step: tells of it, and saves the state if it is time to, if it was the last one, or if the training is to end.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] if the observer ends the training, after saving; what saving returns if that was
    /// necessary. A checkpoint on the way that cannot be written is reported to the observer, and the one before stays.
    pub(in crate::train) fn finish_step(
        &mut self,
        network: &Network,
        pictures: usize,
        figures: &[(&'static str, f64)],
        observer: &mut dyn Observer,
    ) -> Result<()> {
        self.step += 1;
        let report = StepReport {
            step: self.step,
            steps: self.steps,
            pictures,
            images_per_second: self.clock.images_per_second(pictures),
            rate: self.rate,
            figures,
        };
        observer.stepped(&report);
        let speed = [("rate", report.rate), ("images_per_second", report.images_per_second)];
        self.log("train", &[figures, &speed].concat(), observer);
        let (last, ends) = (self.step == self.steps, observer.cancelled());
        if last || is_time(self.step, self.options.watch_every) {
            self.draw(network, observer);
        }
        if let Some(path) = self.options.checkpoint.as_ref().filter(|_| last || ends) {
            self.save(path, observer)?;
        } else if is_time(self.step, self.options.checkpoint_every) {
            self.checkpoint(observer);
        }
        if ends && !last { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    /// How many values learn.
    pub(in crate::train) fn parameters(&self) -> usize {
        self.optimizer.len()
    }

    /// Puts the moving average of the weights in their place, if there is one; twice, and all is as before.
    pub(in crate::train) fn swap_average(&mut self) -> Result<()> {
        self.ema.as_mut().map_or(Ok(()), Ema::swap)
    }
}

/// Whether something is due that is done after every `every` steps.
fn is_time(step: usize, every: usize) -> bool {
    every > 0 && step.is_multiple_of(every)
}
