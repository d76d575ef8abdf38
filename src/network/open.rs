//! Networks of weights files as libtorch's.

use std::collections::BTreeMap;
use std::path::Path;

use tch::Device;

use super::{Network, NetworkFile, OpenOptions};
use crate::backbone::{Arch, to_be_loaded};
use crate::weights::{Apply, Checkpoint, LoadReport, Otherwise};
use crate::{Error, Result};

/// A network, and what opening its file took for granted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The network.
    pub network: Network,
    /// Its file, without the tensors.
    pub file: NetworkFile,
    /// What became of the variables and the tensors.
    pub report: LoadReport,
}

impl Opened {
    /// What a user should know of it: see [`NetworkFile::notes`].
    pub fn notes(&self) -> Vec<String> {
        self.file.notes()
    }

    /// The same in a program's words: see [`NetworkFile::notes_with`].
    pub fn notes_with(&self, say: &dyn Fn(Otherwise) -> Option<String>) -> Vec<String> {
        self.file.notes_with(say)
    }
}

impl Network {
    /// The network of a weights file, as [`open`](Self::open) reads it, with what is known of it beside, and what was taken for
    /// granted.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`ErrorKind::Weights`](crate::ErrorKind::Weights) if an option has no effect on this network, or if
    /// attention would be left out.
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions, device: Device) -> Result<Opened> {
        Self::of_file(NetworkFile::open(path, options)?, device)
    }

    /// The network of a weights file, taken for `arch`, and what became of its tensors. Those that the network has no use for are
    /// left out; attention is recognised as [`open`](Self::open) does.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`ErrorKind::Weights`](crate::ErrorKind::Weights) if the file is of another backbone, or holds attention
    /// that is not known.
    pub fn open_as(path: impl AsRef<Path>, arch: Arch, device: Device) -> Result<(Self, LoadReport)> {
        let mut options = OpenOptions::default();
        options.arch = Some(arch);
        let opened = Self::open_with(path, &options, device)?;
        Ok((opened.network, opened.report))
    }

    /// The network of a file that was read.
    ///
    /// # Errors
    /// [`ErrorKind::Weights`](crate::ErrorKind::Weights) if its tensors do not fit; [`ErrorKind::Torch`](crate::ErrorKind::Torch) if
    /// libtorch fails.
    pub fn of_file(mut file: NetworkFile, device: Device) -> Result<Opened> {
        let network = to_be_loaded(|| Self::new(file.config.clone(), device));
        let mut network = network.map_err(|error| Error::weights(&file.name, error))?;
        network.joint = file.joint;
        let tensors = Checkpoint::new(std::mem::take(&mut file.tensors), BTreeMap::new());
        let mut report = tensors.apply(&network.variables.variables(), "", false)?;
        file.complete(&report)?;
        report.unused.clone_from(&file.left_out);
        Ok(Opened { network, file, report })
    }
}
