//! Trained networks: the bundled one, those of files, and how one is saved.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Tensor};

use cbam_core::network::{BUNDLED, CONFIG, TRAINED};

use super::{Network, NetworkConfig, NetworkFile, OpenOptions};
use crate::backbone::to_be_loaded;
use crate::weights::{Apply, Checkpoint, Precision, restore, store_all};
use crate::{Error, Result};

/// Why a backbone is not taken without its attention.
pub(crate) const LEANS: &str = "its attention was trained together with its backbone, whose answers without it are worth little; \
                                give a network without attention";

impl Network {
    /// The bundled network: EfficientNet-Lite0 with its ImageNet weights and trained attention. Needs no file.
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch fails.
    pub fn pretrained(device: Device) -> Result<Self> {
        Ok(Self::of_file(NetworkFile::pretrained()?, device)?.network)
    }

    /// The bundled backbone alone, as it was published.
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch fails.
    pub fn plain(device: Device) -> Result<Self> {
        to_be_loaded(|| Self::with_bundled_backbone(NetworkConfig::plain(BUNDLED), device))
    }

    /// The network of a weights file: one that [`Network::save`] wrote, or one of somebody else's that its tensors' names and
    /// shapes tell ([`Checkpoint::recognise`]). What these cannot tell is taken as it is usual: [`open_with`](Self::open_with) says
    /// what, and takes options that decide it.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) or [`ErrorKind::Weights`](crate::ErrorKind::Weights) if the file cannot be read or is of
    /// no known network.
    pub fn open(path: impl AsRef<Path>, device: Device) -> Result<Self> {
        Ok(Self::open_with(path, &OpenOptions::default(), device)?.network)
    }

    /// The bundled backbone under attention that starts as the identity, ready to be trained.
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch fails.
    pub fn untrained(device: Device) -> Result<Self> {
        Self::with_bundled_backbone(NetworkConfig::attentive(BUNDLED), device)
    }

    /// The same for another network's backbone, with its classes, names and size: all but its attention, whose place the new one
    /// takes, and its temperature, which was fitted to its answers.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if it has no classifier, whose answers teach the attention, or attention that
    /// its backbone was trained with ([`Self::leans_on_attention`]).
    pub fn untrained_on(trained: &Self) -> Result<Self> {
        if trained.config.classes == 0 {
            return Err(Error::argument(
                "backbone",
                "no classifier, and attention is trained on a classifier's answers",
            ));
        }
        if trained.leans_on_attention() {
            return Err(Error::argument("backbone", LEANS));
        }
        let attention = NetworkConfig::attentive(trained.config.arch).attention;
        let network =
            Self::new(NetworkConfig { attention, temperature: 1.0, ..trained.config.clone() }, trained.device())?;
        trained.backbone_checkpoint()?.apply(&network.variables.variables(), "backbone.", true)?;
        Ok(network)
    }

    /// Whether its backbone was trained together with its attention, so that its answers without are worth little: if it is
    /// somebody else's network, if its backbone was trained ([`train_backbone`](Self::train_backbone)), or if there is attention at
    /// other places than those of [`NetworkConfig::attentive`], where this crate trains it on a finished backbone.
    pub fn leans_on_attention(&self) -> bool {
        let own = NetworkConfig::attentive(self.config.arch).attention;
        self.joint || self.config.attention.iter().any(|place| own.iter().all(|own| own.stage != place.stage))
    }

    /// Writes the attention with the network's configuration and `notes` (about its making), in its precision; and the backbone
    /// too unless it is the bundled one. [`Network::open`] reads it back.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) or [`ErrorKind::Weights`](crate::ErrorKind::Weights) if it cannot be written; nothing
    /// half-written stays.
    pub fn save(&self, path: impl AsRef<Path>, notes: &BTreeMap<String, String>) -> Result<()> {
        let path = path.as_ref();
        let config = serde_json::to_string(&self.config).map_err(|error| Error::weights(path, error))?;
        let mut metadata = notes.clone();
        metadata.insert(CONFIG.to_owned(), config);
        if self.joint {
            let (key, said) = TRAINED;
            metadata.insert(key.to_owned(), said.to_owned());
        }
        let bundled = self.has_bundled_backbone()?;
        let tensors =
            self.variables.variables().into_iter().filter(|(name, _)| !bundled || !name.starts_with("backbone."));
        Ok(Checkpoint::new(store_all(tensors)?, metadata).save(path, Precision::Keep)?)
    }

    fn with_bundled_backbone(config: NetworkConfig, device: Device) -> Result<Self> {
        let network = Self::new(config, device)?;
        NetworkFile::bundled_backbone()?.apply(&network.variables.variables(), "backbone.", true)?;
        Ok(network)
    }

    /// The backbone's tensors, by the names of its checkpoints.
    fn backbone_checkpoint(&self) -> Result<Checkpoint> {
        Ok(Checkpoint::new(store_all(self.backbone_variables())?, BTreeMap::new()))
    }

    /// The backbone's variables, by those names.
    fn backbone_variables(&self) -> impl Iterator<Item = (String, Tensor)> {
        let variables = self.variables.variables().into_iter();
        variables.filter_map(|(name, tensor)| Some((name.strip_prefix("backbone.")?.to_owned(), tensor)))
    }

    fn has_bundled_backbone(&self) -> Result<bool> {
        if self.config.arch != BUNDLED {
            return Ok(false);
        }
        let bundled = NetworkFile::bundled_backbone()?.tensors;
        for (name, tensor) in self.backbone_variables() {
            let Some(bundled) = bundled.get(&name) else { return Ok(false) };
            let bundled = restore(bundled)?.f_to_kind(tensor.kind())?.f_to_device(tensor.device())?;
            if !bundled.f_equal(&tensor)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
