//! How the methods work, where they leave a choice.

use crate::{Error, Result};

/// How the methods that run the network many times do it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExplainOptions {
    /// The most copies of the picture (or of its features) that the network takes at once. Large pictures go in smaller
    /// batches: no batch has more than 2 million pixels, unless one picture has. Default: 16.
    pub batch: usize,
    /// RISE: how many random masks. Default: 1,000.
    pub masks: usize,
    /// RISE: what the masks are drawn from. Default: 0.
    pub seed: u64,
    /// Occlusion: the side of the grey square, in pixels of the network's input. Default: 32.
    pub window: usize,
    /// Occlusion: how far the square moves at a time, in pixels of the network's input. Default: 16.
    pub stride: usize,
}

impl Default for ExplainOptions {
    fn default() -> Self {
        Self { batch: 16, masks: 1000, seed: 0, window: 32, stride: 16 }
    }
}

impl ExplainOptions {
    /// Another [`batch`](Self::batch).
    pub fn with_batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// Another number of [`masks`](Self::masks).
    pub fn with_masks(self, masks: usize) -> Self {
        Self { masks, ..self }
    }

    /// Another [`seed`](Self::seed).
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Another [`window`](Self::window).
    pub fn with_window(self, window: usize) -> Self {
        Self { window, ..self }
    }

    /// Another [`stride`](Self::stride).
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Whether the methods can work so.
    ///
    /// # Errors
    /// [`Error::Argument`] if a number is 0, or the occlusion's stride is over its window, so that it would leave gaps.
    pub fn check(&self) -> Result<()> {
        for (name, value) in
            [("batch", self.batch), ("masks", self.masks), ("window", self.window), ("stride", self.stride)]
        {
            if value == 0 {
                return Err(Error::argument(name, "must be at least 1"));
            }
        }
        if self.stride > self.window {
            let message =
                format!("{} is over the window, {}: what lies between would be missed", self.stride, self.window);
            return Err(Error::argument("stride", message));
        }
        Ok(())
    }
}
