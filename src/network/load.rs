//! Trained networks: the bundled one, those of files, and how one is saved.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Tensor};

use super::fit::Held;
use super::{Network, NetworkConfig, StageAttention};
use crate::attention::{BamConfig, EcaConfig, SqueezeExciteConfig};
use crate::backbone::{Arch, to_be_loaded};
use crate::weights::{AttentionKind, Checkpoint, LoadReport, Precision, Recognised, SiteAttention};
use crate::{Error, Result};

const BACKBONE: &[u8] = include_bytes!("../../assets/weights/efficientnet-lite0.safetensors");
const ATTENTION: &[u8] = include_bytes!("../../assets/weights/efficientnet-lite0-attention.safetensors");
/// The metadata key of the configuration, as JSON.
const CONFIG: &str = "network";
const BUNDLED: Arch = Arch::EfficientNetLite0;

impl Network {
    /// The bundled network: EfficientNet-Lite0 with its ImageNet weights and trained attention. Needs no file.
    ///
    /// # Errors
    /// [`Error::Torch`] if libtorch fails.
    pub fn pretrained(device: Device) -> Result<Self> {
        let attention = Checkpoint::from_bytes("the bundled attention", ATTENTION)?;
        to_be_loaded(|| Self::from_checkpoint(&attention, device))
    }

    /// The bundled backbone alone, as it was published.
    ///
    /// # Errors
    /// [`Error::Torch`] if libtorch fails.
    pub fn plain(device: Device) -> Result<Self> {
        to_be_loaded(|| Self::with_bundled_backbone(NetworkConfig::plain(BUNDLED), device))
    }

    /// The network of a weights file: one that [`Network::save`] wrote, or one of somebody else's that its tensors' names and
    /// shapes tell ([`Checkpoint::recognise`]): torchvision's and EfficientNet-Lite's backbones, and residual networks with
    /// CBAM, BAM, squeeze-and-excitation or ECA as the usual code bases write them.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Weights`] if the file cannot be read or is of no known network.
    pub fn open(path: impl AsRef<Path>, device: Device) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        to_be_loaded(|| Self::from_checkpoint(&checkpoint, device))
    }

    /// The network of a weights file, taken for `arch` whatever else its names and shapes may tell, and what became of its
    /// tensors. Those that the network has no use for are left out; attention is recognised as [`open`](Self::open) does, where
    /// it does.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::Weights`] if a variable of the network has no tensor of its shape in the file.
    pub fn open_as(path: impl AsRef<Path>, arch: Arch, device: Device) -> Result<(Self, LoadReport)> {
        let checkpoint = Checkpoint::open(path)?;
        if let Ok(Recognised { classes, attention, tensors, .. }) = checkpoint.recognise() {
            return Self::foreign(&checkpoint, arch, classes, attention, tensors, device);
        }
        let classifier = format!("{}.weight", arch.classifier());
        let classes = checkpoint.tensors.get(&classifier).and_then(|matrix| matrix.size().first().copied());
        let missing = || Error::weights(checkpoint.name(), format!("has no {classifier}, the classifier of {arch}"));
        let tensors =
            checkpoint.tensors.iter().map(|(name, value)| (format!("backbone.{name}"), value.shallow_clone()));
        Self::foreign(&checkpoint, arch, classes.ok_or_else(missing)?, Vec::new(), tensors.collect(), device)
    }

    /// A backbone with trained weights under attention that starts as the identity, ready to be trained. The backbone
    /// is that of a file, or the bundled one.
    ///
    /// # Errors
    /// As [`Network::open`].
    pub fn untrained(backbone: Option<&Path>, device: Device) -> Result<Self> {
        let Some(path) = backbone else {
            return Self::with_bundled_backbone(NetworkConfig::attentive(BUNDLED), device);
        };
        let trained = Self::from_checkpoint(&Checkpoint::open(path)?, device)?;
        let config = NetworkConfig { classes: trained.config.classes, ..NetworkConfig::attentive(trained.config.arch) };
        let network = Self::new(config, device)?;
        trained.backbone_checkpoint().apply(&network.variables.variables(), "backbone.", true)?;
        Ok(network)
    }

    /// Writes the attention with the network's configuration and `notes` (about its making), in its precision; and the backbone
    /// too unless it is the bundled one. [`Network::open`] reads it back.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Weights`] if it cannot be written; nothing half-written stays.
    pub fn save(&self, path: impl AsRef<Path>, notes: &BTreeMap<String, String>) -> Result<()> {
        let path = path.as_ref();
        let config = serde_json::to_string(&self.config).map_err(|error| Error::weights(path, error))?;
        let mut metadata = notes.clone();
        metadata.insert(CONFIG.to_owned(), config);
        let bundled = self.has_bundled_backbone()?;
        let tensors =
            self.variables.variables().into_iter().filter(|(name, _)| !bundled || !name.starts_with("backbone."));
        Checkpoint::new(tensors.collect(), metadata).save(path, Precision::Keep)
    }

    fn from_checkpoint(checkpoint: &Checkpoint, device: Device) -> Result<Self> {
        let Some(config) = checkpoint.metadata.get(CONFIG) else {
            return Self::recognise(checkpoint, device);
        };
        let config: NetworkConfig = serde_json::from_str(config)
            .map_err(|error| Error::weights(checkpoint.name(), format!("the metadata's \"{CONFIG}\": {error}")))?;
        let named = |error: Error| Error::weights(checkpoint.name(), error);
        let fits = |bundled| {
            let fits = Held { tensors: &checkpoint.tensors, bundled }.fits(&config);
            fits.map_err(|message| Error::weights(checkpoint.name(), format!("the metadata's \"{CONFIG}\": {message}")))
        };
        if checkpoint.tensors.keys().any(|name| name.starts_with("backbone.")) {
            fits(None)?;
            let network = Self::new(config, device).map_err(named)?;
            checkpoint.apply(&network.variables.variables(), "", true)?;
            return Ok(network);
        }
        if config.arch != BUNDLED {
            let message =
                format!("holds attention for {} without its backbone, and only {BUNDLED} is bundled", config.arch);
            return Err(Error::weights(checkpoint.name(), message));
        }
        fits(Some(NetworkConfig::plain(BUNDLED).classes))?;
        let network = Self::with_bundled_backbone(config, device).map_err(named)?;
        let attention = network.variables.variables().into_iter().filter(|(name, _)| name.starts_with("attention."));
        checkpoint.apply(&attention.collect(), "", true)?;
        Ok(network)
    }

    /// A network of somebody else's, told by the names and shapes of its tensors.
    fn recognise(checkpoint: &Checkpoint, device: Device) -> Result<Self> {
        let Recognised { arch, classes, attention, tensors, .. } = checkpoint.recognise()?;
        let arch: Arch = arch.parse().map_err(|error| Error::weights(checkpoint.name(), error))?;
        let (network, report) = Self::foreign(checkpoint, arch, classes, attention, tensors, device)?;
        if report.is_complete() {
            return Ok(network);
        }
        Err(Error::weights(checkpoint.name(), format!("not quite {arch}: {report}")))
    }

    /// A network of `tensors`, in this crate's names, with every variable taken from them.
    fn foreign(
        checkpoint: &Checkpoint,
        arch: Arch,
        classes: i64,
        attention: Vec<SiteAttention>,
        tensors: BTreeMap<String, Tensor>,
        device: Device,
    ) -> Result<(Self, LoadReport)> {
        let named = |error: Error| Error::weights(checkpoint.name(), error);
        let attention = attention.into_iter().map(stage_attention).collect();
        let config = NetworkConfig { classes, attention, ..NetworkConfig::plain(arch) };
        let held = Held { tensors: &tensors, bundled: None };
        held.fits(&config)
            .map_err(|message| Error::weights(checkpoint.name(), format!("not quite {arch}: {message}")))?;
        let network = to_be_loaded(|| Self::new(config, device)).map_err(named)?;
        let report = Checkpoint::new(tensors, BTreeMap::new()).apply(&network.variables.variables(), "", false)?;
        if report.missing.is_empty() && report.wrong_shape.is_empty() {
            return Ok((network, report));
        }
        Err(Error::weights(checkpoint.name(), format!("not quite {arch}: {report}")))
    }

    fn with_bundled_backbone(config: NetworkConfig, device: Device) -> Result<Self> {
        let network = Self::new(config, device)?;
        bundled_backbone()?.apply(&network.variables.variables(), "backbone.", true)?;
        Ok(network)
    }

    /// The backbone's tensors, by the names of its checkpoints.
    fn backbone_checkpoint(&self) -> Checkpoint {
        let variables = self.variables.variables().into_iter();
        let tensors = variables.filter_map(|(name, tensor)| Some((name.strip_prefix("backbone.")?.to_owned(), tensor)));
        Checkpoint::new(tensors.collect(), BTreeMap::new())
    }

    fn has_bundled_backbone(&self) -> Result<bool> {
        if self.config.arch != BUNDLED {
            return Ok(false);
        }
        let bundled = bundled_backbone()?.tensors;
        let same = |(name, tensor): (&String, &Tensor)| {
            let bundled = bundled.get(name).map(|bundled| bundled.to_kind(tensor.kind()).to_device(tensor.device()));
            bundled.is_some_and(|bundled| bundled.equal(tensor))
        };
        Ok(self.backbone_checkpoint().tensors.iter().all(same))
    }
}

/// The attention at one place, as this crate configures it.
fn stage_attention(SiteAttention { site, kind, .. }: SiteAttention) -> StageAttention {
    let place = StageAttention::at(site);
    match kind {
        AttentionKind::Cbam(config) => place.with_cbam(config),
        AttentionKind::Bam { reduction } => place.with_bam(BamConfig::default().with_reduction(reduction)),
        AttentionKind::SqueezeExcite { reduction, bias } => {
            place.with_se(SqueezeExciteConfig::default().with_reduction(reduction).with_bias(bias))
        }
        AttentionKind::Eca { kernel_size } => place.with_eca(EcaConfig::default().with_kernel_size(kernel_size)),
    }
}

fn bundled_backbone() -> Result<Checkpoint> {
    Checkpoint::from_bytes("the bundled backbone", BACKBONE)
}
