//! Weights files of somebody else's networks: how they are opened, and what opening them takes for granted.

use std::collections::BTreeMap;
use std::path::Path;

use tch::Device;

use super::fit::Held;
use super::{Network, NetworkConfig, StageAttention};
use crate::attention::PoolOrder;
use crate::backbone::{Arch, StrideIn, to_be_loaded};
use crate::host::forms;
use crate::weights::{
    Apply, Assumption, Checkpoint, LoadReport, Otherwise, ReadOptions, RecogniseOptions, Recognised, StoredTensor,
};
use crate::{Error, Result};

/// How many tensors a note names.
const NAMED: usize = 8;

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

impl OpenOptions {
    /// With the file taken for this backbone.
    pub fn with_arch(mut self, arch: Arch) -> Self {
        self.arch = Some(arch);
        self
    }

    /// Whether anything in them is about recognising a network.
    pub fn recognises(&self) -> bool {
        !self.decided().is_empty()
    }

    /// Those that are about recognising a network, as the programs call them.
    fn decided(&self) -> Vec<&'static str> {
        let Self { arch, drop_attention, part: _, stride_in, pool_order, max_pool, symmetric } = self;
        let all = [
            ("--arch", arch.is_some()),
            ("--drop-attention", *drop_attention),
            ("--stride-in", stride_in.is_some()),
            ("--pool-order", pool_order.is_some()),
            ("--stem-pool", max_pool.is_some()),
            ("--padding", symmetric.is_some()),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(option, _)| option).collect()
    }

    /// Refuses them for a file whose metadata says which network it is, where they have no effect.
    ///
    /// # Errors
    /// [`Error::Weights`] if any of them is given.
    pub fn without_effect(&self, checkpoint: &Checkpoint) -> Result<()> {
        let given = self.decided();
        if given.is_empty() {
            return Ok(());
        }
        let has = if given.len() == 1 { "has" } else { "have" };
        let message = format!("its metadata says which network it is: {} {has} no effect", given.join(", "));
        Err(Error::weights(checkpoint.name(), message))
    }

    fn reading(&self) -> ReadOptions {
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

/// A network, and what opening its file took for granted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The network.
    pub network: Network,
    /// What names and shapes do not tell, and was taken for granted.
    pub assumptions: Vec<Assumption>,
    /// The names of the tensors that the network has no use for.
    pub left_out: Vec<String>,
    /// The classes of objects beside the weights that were passed over ([`Wrapping::unknown`](crate::weights::Wrapping::unknown)).
    pub unknown: Vec<String>,
    /// What became of the variables and the tensors.
    pub report: LoadReport,
}

impl Opened {
    /// What a user should know of it, a line each; none if nothing was taken for granted and nothing left out.
    pub fn notes(&self) -> Vec<String> {
        self.notes_with(&|_| None)
    }

    /// The same, each assumption with what a program has to say of what says otherwise: `else --stem-pool none`, say.
    pub fn notes_with(&self, say: &dyn Fn(Otherwise) -> Option<String>) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.assumptions.is_empty() {
            let assumed: Vec<String> = self.assumptions.iter().map(|assumption| assumption.said_with(say)).collect();
            notes.push(format!("assumed: {}", assumed.join("; ")));
        }
        if !self.left_out.is_empty() {
            let named = self.left_out[..self.left_out.len().min(NAMED)].join(", ");
            let more = self.left_out.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            notes.push(format!("left out: {named}{more}"));
        }
        if !self.unknown.is_empty() {
            notes.push(format!("passed over, beside the weights: objects of {}", self.unknown.join(", ")));
        }
        if self.network.config.classes == 0 {
            notes.push("no classifier: there are no classes, and no maps of one".to_owned());
        }
        notes
    }
}

impl Network {
    /// The network of a weights file, as [`open`](Self::open) reads it, with what is known of it beside, and what was taken for
    /// granted.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Weights`] if an option has no effect on this network, or if attention would be left
    /// out.
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions, device: Device) -> Result<Opened> {
        let checkpoint = Checkpoint::open_with(path, &options.reading())?;
        to_be_loaded(|| Self::of_checkpoint(&checkpoint, options, device))
    }

    /// The network of a weights file, taken for `arch`, and what became of its tensors. Those that the network has no use for are
    /// left out; attention is recognised as [`open`](Self::open) does.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Weights`] if the file is of another backbone, or holds attention that is not known.
    pub fn open_as(path: impl AsRef<Path>, arch: Arch, device: Device) -> Result<(Self, LoadReport)> {
        let opened = Self::open_with(path, &OpenOptions::default().with_arch(arch), device)?;
        Ok((opened.network, opened.report))
    }

    pub(super) fn of_checkpoint(checkpoint: &Checkpoint, options: &OpenOptions, device: Device) -> Result<Opened> {
        let Some(network) = Self::configured(checkpoint, device)? else {
            return Self::foreign(checkpoint, options, device);
        };
        options.without_effect(checkpoint)?;
        let (assumptions, left_out, report) = Default::default();
        let unknown = checkpoint.wrapping().unknown.clone();
        Ok(Opened { network, assumptions, left_out, unknown, report })
    }

    /// Which network a file of somebody else's is of: as [`Checkpoint::recognise_with`], and its tensors have the shapes of that
    /// network, so that it opens.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with), for a file whose metadata does not say it.
    pub fn recognise(checkpoint: &Checkpoint, options: &OpenOptions) -> Result<Recognised> {
        let (found, config) = Self::planned(checkpoint, options)?;
        let network = to_be_loaded(|| Self::new(config, Device::Cpu))?;
        let ours = Checkpoint::new(found.tensors.clone(), BTreeMap::new());
        let report = ours.fit(&forms(&network.variables.variables())?, "", false)?;
        complete(checkpoint, &found.arch, &report)?;
        Ok(found)
    }

    /// What a file of somebody else's shows, and how it would be built, if it holds as much.
    fn planned(checkpoint: &Checkpoint, options: &OpenOptions) -> Result<(Recognised, NetworkConfig)> {
        let found = checkpoint.recognise_with(&options.recognising())?;
        let arch: Arch = found.arch.parse().map_err(|error: Error| Error::weights(checkpoint.name(), error))?;
        let attention = found.attention.iter().cloned().map(StageAttention::from).collect();
        let (classes, variant) = (found.classes, found.variant.clone());
        let config = NetworkConfig { classes, attention, variant, ..NetworkConfig::plain(arch) };
        let held = Held { tensors: &found.tensors, bundled: None };
        held.fits(&config)
            .map_err(|message| Error::weights(checkpoint.name(), format!("not quite {arch}: {message}")))?;
        Ok((found, config))
    }

    /// A network of somebody else's, told by the names and shapes of its tensors.
    fn foreign(checkpoint: &Checkpoint, options: &OpenOptions, device: Device) -> Result<Opened> {
        let (found, config) = Self::planned(checkpoint, options)?;
        let mut network = Self::new(config, device).map_err(|error| Error::weights(checkpoint.name(), error))?;
        network.joint = !network.config.attention.is_empty();
        let Recognised { arch, assumptions, left_out, tensors, .. } = found;
        let mut report = apply(tensors, &network)?;
        complete(checkpoint, &arch, &report)?;
        report.unused.clone_from(&left_out);
        let unknown = checkpoint.wrapping().unknown.clone();
        Ok(Opened { network, assumptions, left_out, unknown, report })
    }
}

fn complete(checkpoint: &Checkpoint, arch: &str, report: &LoadReport) -> Result<()> {
    if report.is_complete() {
        return Ok(());
    }
    Err(Error::weights(checkpoint.name(), format!("not quite {arch}: {report}")))
}

fn apply(tensors: BTreeMap<String, StoredTensor>, network: &Network) -> Result<LoadReport> {
    Checkpoint::new(tensors, BTreeMap::new()).apply(&network.variables.variables(), "", false)
}
