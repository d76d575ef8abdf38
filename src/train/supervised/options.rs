//! What a supervised training trains, on what, and for how long.

use std::path::PathBuf;

use super::folder::Data;
use crate::backbone::Arch;
use crate::text::named;
use crate::train::optim::{AdamW, Rule, Sgd};
use crate::train::run::Settings;
use crate::{Error, Result};

/// Which part of the network learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrainPart {
    /// Everything; BatchNorm takes the batch's statistics, dropout is on.
    All,
    /// The attention, on a frozen backbone with a classifier that knows the classes.
    Attention,
    /// The classifier.
    Head,
    /// Both.
    #[default]
    HeadAndAttention,
}

impl TrainPart {
    /// Whether a variable of this name learns, of a network with this backbone.
    pub(super) fn has(self, arch: Arch, name: &str) -> bool {
        let attention = name.starts_with("attention.");
        let head = super::of_classifier(arch, name);
        match self {
            Self::All => true,
            Self::Attention => attention,
            Self::Head => head,
            Self::HeadAndAttention => head || attention,
        }
    }
}

named! {
    TrainPart as "train";
    All => "all", Attention => "attention", Head => "head", HeadAndAttention => "head+attention",
}

/// An optimizer, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OptimizerKind {
    /// AdamW, as it starts by default.
    #[default]
    AdamW,
    /// SGD with Nesterov's momentum, 0.9.
    Sgd,
}

impl OptimizerKind {
    pub(super) fn rule(self) -> Rule {
        match self {
            Self::AdamW => Rule::AdamW(AdamW::default()),
            Self::Sgd => Rule::Sgd(Sgd::default()),
        }
    }
}

named! { OptimizerKind as "optimizer"; AdamW => "adamw", Sgd => "sgd" }

/// What to train on, and how.
#[derive(Debug, Clone)]
pub struct SupervisedOptions {
    /// A folder, or a tar archive, with a folder of pictures for each class; folders that all pictures share are passed over.
    pub images: PathBuf,
    /// The same of held-out pictures; `None` holds out some of [`images`](Self::images).
    pub validation: Option<PathBuf>,
    /// One picture in about as many as this is held out, chosen by its name alone.
    pub hold_out: u64,
    /// At most this many training pictures of each class, chosen by the seed.
    pub limit: Option<usize>,
    /// The part that learns.
    pub train: TrainPart,
    /// How often every picture is seen.
    pub epochs: usize,
    /// Pictures a step.
    pub batch: usize,
    /// The optimizer.
    pub optimizer: OptimizerKind,
    /// The highest learning rate; that of the spatial convolutions is three times it. With new attention on a trained backbone,
    /// much over 10⁻³ may close its gates for good.
    pub learning_rate: f64,
    /// The weight decay of convolutions and matrices; biases and normalisations have none.
    pub weight_decay: f64,
    /// The share of all steps in which the learning rate rises, in `[0, 1]`; a cosine falls to zero after that.
    pub warm_up: f64,
    /// How much of a class's certainty is spread over all classes, in `[0, 1)`.
    pub label_smoothing: f64,
    /// α of mixup; 0 mixes nothing.
    pub mixup: f64,
    /// The decay of a moving average of the weights, which is then what is measured and saved.
    pub ema: Option<f64>,
    /// The most that the gradients' norm may be.
    pub clip: f64,
    /// Random parts, mirrored, in other colours. Without, every picture is seen by its middle, and behind a frozen
    /// trunk its features are kept in memory: about 50 kB a picture at 224 pixels.
    pub augment: bool,
    /// The least share of a picture's area that a random part has, in `(0, 1]`.
    pub min_area: f64,
    /// The seed of everything random.
    pub seed: u64,
}

impl Default for SupervisedOptions {
    fn default() -> Self {
        Self {
            images: PathBuf::new(),
            validation: None,
            hold_out: 10,
            limit: None,
            train: TrainPart::default(),
            epochs: 10,
            batch: 32,
            optimizer: OptimizerKind::default(),
            learning_rate: 1e-3,
            weight_decay: 0.01,
            warm_up: 0.05,
            label_smoothing: 0.1,
            mixup: 0.0,
            ema: None,
            clip: 5.0,
            augment: true,
            min_area: 0.25,
            seed: 0,
        }
    }
}

impl SupervisedOptions {
    /// That every number is in its range.
    pub(super) fn check(&self) -> Result<()> {
        let counts = [
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("limit", self.limit.unwrap_or(1)),
            ("hold-out", self.hold_out.saturating_sub(1) as usize),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, value)| *value == 0) {
            let least = if name == "hold-out" { 2 } else { 1 };
            return Err(Error::argument(name, format!("must be at least {least}")));
        }
        let ranges = [
            ("learning-rate", self.learning_rate, self.learning_rate > 0.0),
            ("weight-decay", self.weight_decay, self.weight_decay >= 0.0),
            ("warm-up", self.warm_up, (0.0..=1.0).contains(&self.warm_up)),
            ("label-smoothing", self.label_smoothing, (0.0..1.0).contains(&self.label_smoothing)),
            ("mixup", self.mixup, self.mixup >= 0.0 && self.mixup.is_finite()),
            ("clip", self.clip, self.clip > 0.0),
            ("min-area", self.min_area, self.min_area > 0.0 && self.min_area <= 1.0),
        ];
        match ranges.into_iter().find(|(.., fits)| !fits) {
            Some((name, value, _)) => Err(Error::argument(name, format!("{value} is out of range"))),
            None => Ok(()),
        }
    }

    /// What a checkpoint must have been made with.
    pub(super) fn settings(&self, data: &Data) -> Settings {
        Settings::default()
            .with("images", data.training.pictures.fingerprint())
            .with("held-out images", data.held_out.pictures.fingerprint())
            .with("train", self.train)
            .with("epochs", self.epochs)
            .with("batch", self.batch)
            .with("optimizer", self.optimizer)
            .with("learning-rate", self.learning_rate)
            .with("weight-decay", self.weight_decay)
            .with("warm-up", self.warm_up)
            .with("label-smoothing", self.label_smoothing)
            .with("mixup", self.mixup)
            .with_optional("ema", self.ema)
            .with("clip", self.clip)
            .with("augment", self.augment)
            .with("min-area", self.min_area)
            .with("seed", self.seed)
    }
}
