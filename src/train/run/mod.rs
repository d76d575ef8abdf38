//! The machinery of a training, whatever it teaches: steps, checkpoints, logs, an end at any moment.
//!
//! | module | what |
//! |---|---|
//! | `trainer` | gradients, clipping, the optimizer's step, and what follows it |
//! | `state`, `settings` | the checkpoint, and that it belongs to this training |
//! | `observer`, `clock` | who follows a training, and how fast it is |
//! | `precision` | f16 on CUDA |
//! | `log`, `watch` | figures for people and for TensorBoard, attention maps of fixed pictures |

mod clock;
mod log;
mod observer;
mod precision;
mod settings;
mod state;
mod trainer;
mod watch;

use std::path::PathBuf;

pub(super) use log::VALIDATION;
pub use observer::{Observer, StepReport};
pub use precision::ComputePrecision;
pub(super) use settings::Settings;
pub(super) use trainer::{Setup, Trainer, WATCHED};

/// How a training is kept and followed; nothing here changes what is computed but [`precision`](Self::precision).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RunOptions {
    /// The file that the state is saved to, at the start, on the way, and before an end; `None` saves nothing. It must not exist
    /// yet, unless it is resumed from.
    pub checkpoint: Option<PathBuf>,
    /// Save the state each time that this many steps are done; 0 saves it only at both ends.
    pub checkpoint_every: usize,
    /// Go on from this checkpoint.
    pub resume: Option<PathBuf>,
    /// The precision of the forward pass.
    pub precision: ComputePrecision,
    /// A folder of this training's own for its logs: `log.jsonl`, an event file for TensorBoard, panels of the watched
    /// pictures under `watch/`.
    pub log_dir: Option<PathBuf>,
    /// Pictures whose attention maps are drawn into the logs while the network learns; if none are named, some held-out
    /// ones.
    pub watch: Vec<PathBuf>,
    /// Draw them each time that this many steps are done, before the first step and after the last; 0 draws them only at both ends.
    pub watch_every: usize,
}

impl RunOptions {
    /// Saves to this file after every `every` steps.
    pub fn with_checkpoint(mut self, path: impl Into<PathBuf>, every: usize) -> Self {
        (self.checkpoint, self.checkpoint_every) = (Some(path.into()), every);
        self
    }

    /// Goes on from this checkpoint, and saves to it.
    pub fn with_resume(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.checkpoint.get_or_insert_with(|| path.clone());
        self.resume = Some(path);
        self
    }

    /// Logs into this folder.
    pub fn with_log_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.log_dir = Some(folder.into());
        self
    }

    /// Draws the attention on these pictures (or on held-out ones, if there are none) after every `every` steps.
    pub fn with_watch(mut self, pictures: Vec<PathBuf>, every: usize) -> Self {
        (self.watch, self.watch_every) = (pictures, every);
        self
    }

    /// With this precision.
    pub fn with_precision(mut self, precision: ComputePrecision) -> Self {
        self.precision = precision;
        self
    }
}
