//! What is known of a weights file beyond its tensors' names and shapes.

use std::path::Path;

use crate::attention::PoolOrder;
use crate::backbone::{Arch, StrideIn};
use crate::weights::{Checkpoint, ReadOptions, RecogniseOptions};
use crate::{Error, Remedy, Result};

/// What is known of a weights file beyond its tensors' names and shapes.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// The backbone that it is of. What this has no use for is then left out, unless it looks like attention.
    pub arch: Option<Arch>,
    /// Leave out attention too; with [`arch`](Self::arch).
    pub drop_attention: bool,
    /// The entry of the file that holds the weights, or what stands before their names: see [`ReadOptions::part`].
    pub part: Option<String>,
    /// The convolution of its bottlenecks that halves the resolution.
    pub stride_in: Option<StrideIn>,
    /// Which of the two pooled maps its spatial gates see first.
    pub pool_order: Option<PoolOrder>,
    /// Whether a max pooling follows the first convolution of a residual network.
    pub max_pool: Option<bool>,
    /// Whether an EfficientNet-Lite in timm's names is padded alike on both sides, as timm's `efficientnet_lite0`, or as TensorFlow
    /// does, as its `tf_efficientnet_lite0`.
    pub symmetric: Option<bool>,
}

/// The error about options that have no effect on a file, if any is given.
fn refused(given: Vec<&'static str>, name: &Path, why: &str) -> Result<()> {
    if given.is_empty() { Ok(()) } else { Err(Error::weights(name, why).with_remedy(Remedy::Without(given))) }
}

impl OpenOptions {
    /// Whether anything in them is about recognising a network.
    pub fn recognises(&self) -> bool {
        !self.decided().is_empty()
    }

    /// Those that are about recognising a network, by the names of their fields.
    fn decided(&self) -> Vec<&'static str> {
        let Self { arch, drop_attention, part: _, stride_in, pool_order, max_pool, symmetric } = self;
        let all = [
            ("arch", arch.is_some()),
            ("drop_attention", *drop_attention),
            ("stride_in", stride_in.is_some()),
            ("pool_order", pool_order.is_some()),
            ("max_pool", max_pool.is_some()),
            ("symmetric", symmetric.is_some()),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(option, _)| option).collect()
    }

    /// Refuses them for a file whose metadata says which network it is, where they have no effect.
    ///
    /// # Errors
    /// [`Error::Weights`] if any of them is given.
    pub fn without_effect(&self, checkpoint: &Checkpoint) -> Result<()> {
        refused(self.decided(), checkpoint.name(), "its metadata says which network it is")
    }

    /// Refuses them for a file that holds the network's graph, where they have no effect.
    ///
    /// # Errors
    /// [`Error::Weights`], with the file's name, if any of them is given.
    pub fn without_effect_on_graph(&self, name: &Path) -> Result<()> {
        let mut given = self.decided();
        given.extend(self.part.is_some().then_some("part"));
        refused(given, name, "it holds the network's graph, which says all of it")
    }

    /// Those that reading a file takes.
    pub fn reading(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.part.clone_from(&self.part);
        options
    }

    /// Those that recognising a network takes.
    pub fn recognising(&self) -> RecogniseOptions {
        let &Self { arch, drop_attention, stride_in, pool_order, max_pool, symmetric, .. } = self;
        let mut options = RecogniseOptions::default();
        (options.arch, options.drop_attention) = (arch, drop_attention);
        (options.stride_in, options.pool_order) = (stride_in, pool_order);
        (options.max_pool, options.symmetric) = (max_pool, symmetric);
        options
    }
}
