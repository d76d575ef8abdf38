//! What a distillation trains on, and for how long.

use std::path::PathBuf;

use super::draw::Sources;
use crate::network::Network;
use crate::train::run::Settings;
use crate::{Error, Result};

/// What to train on, and for how long.
#[derive(Debug, Clone)]
pub struct DistillOptions {
    /// Folders and tar archives of pictures.
    pub images: Vec<PathBuf>,
    /// Folders and tar archives of backgrounds.
    pub backgrounds: Vec<PathBuf>,
    /// Folders and tar archives of cut-out objects with an alpha channel.
    pub stamps: Vec<PathBuf>,
    /// Weights files of other networks of the same classes, whose answers and evidence count beside the network's own on clean
    /// pictures. Their attention, if they have any, is left out.
    pub teachers: Vec<PathBuf>,
    /// Use only this many pictures, chosen by the seed; `None` uses all.
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
    /// At most this many held-out pictures, and as many composites of held-out stamps, to validate on.
    pub validation: usize,
    /// The seed of everything random.
    pub seed: u64,
}

impl Default for DistillOptions {
    fn default() -> Self {
        Self {
            images: Vec::new(),
            backgrounds: Vec::new(),
            stamps: Vec::new(),
            teachers: Vec::new(),
            limit: None,
            views: 2,
            composites: 2500,
            steps: 1500,
            learning_rate: 3e-3,
            clean_weight: 10.0,
            focus_weight: 0.3,
            validation: 300,
            seed: 0,
        }
    }
}

impl DistillOptions {
    /// That no count is 0.
    pub(super) fn check(&self) -> Result<()> {
        let counts = [
            ("views", self.views),
            ("composites", self.composites),
            ("steps", self.steps),
            ("validation", self.validation),
        ];
        match counts.into_iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(Error::argument(name, "must be at least 1")),
            None => Ok(()),
        }
    }

    /// What a checkpoint must have been made with.
    pub(super) fn settings(&self, sources: &Sources, teachers: &[Network]) -> Settings {
        let teachers = teachers.iter().map(|teacher| teacher.config().arch.name()).collect::<Vec<_>>();
        Settings::default()
            .with("images", sources.images.fingerprint())
            .with("backgrounds", sources.backgrounds.fingerprint())
            .with("stamps", sources.stamps.fingerprint())
            .with("teachers", teachers.join(" "))
            .with_optional("limit", self.limit)
            .with("views", self.views)
            .with("composites", self.composites)
            .with("steps", self.steps)
            .with("learning-rate", self.learning_rate)
            .with("clean-weight", self.clean_weight)
            .with("focus-weight", self.focus_weight)
            .with("validation", self.validation)
            .with("seed", self.seed)
    }
}
