//! A network as a weights file has it, before it is built.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::fit::Held;
use super::{InferenceNetwork, NetworkConfig, OpenOptions, Parameters, StageAttention};
use crate::backbone::Arch;
use crate::weights::{
    Assumption, Checkpoint, Dtype, Form, LoadReport, Mismatch, Otherwise, Recognised, StoredTensor, is_counter,
};
use crate::{Error, Result};

/// How many tensors a note names.
const NAMED: usize = 8;
/// The metadata key of the configuration, as JSON.
pub const CONFIG: &str = "network";
/// The metadata key of what a backbone was trained with that leans on its attention, and what it says.
pub const TRAINED: (&str, &str) = ("backbone", "trained together with its attention");
/// The longest fault of a configuration that a message repeats, in characters.
const LONGEST: usize = 300;
/// The network that is bundled.
pub const BUNDLED: Arch = Arch::EfficientNetLite0;
/// What it is called where it is shown.
pub const BUNDLED_NAME: &str = "EfficientNet-Lite0 with attention";

/// A network of a weights file: its configuration and its numbers, by the names that they have here, and what opening the file took
/// for granted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NetworkFile {
    /// What error messages call it.
    pub name: std::path::PathBuf,
    /// The network.
    pub config: NetworkConfig,
    /// Its numbers, `backbone.…` and `attention.…`.
    pub tensors: BTreeMap<String, StoredTensor>,
    /// Whether the backbone was trained together with the attention.
    pub joint: bool,
    /// Whether somebody else made it, and it was recognised by the names and shapes of its tensors.
    pub foreign: bool,
    /// What names and shapes do not tell, and was taken for granted.
    pub assumptions: Vec<Assumption>,
    /// The names of the tensors that the network has no use for.
    pub left_out: Vec<String>,
    /// The classes of objects beside the weights that were passed over ([`Wrapping::unknown`](crate::weights::Wrapping::unknown)).
    pub unknown: Vec<String>,
}

impl NetworkFile {
    /// Of a weights file, with what is known of it beside.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Weights`] if the file cannot be read or is of no known network, an option has no effect on it, or
    /// attention would be left out.
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self> {
        Self::of(&Checkpoint::open_with(path, &options.reading())?, options)
    }

    /// The same of a file that was read.
    ///
    /// # Errors
    /// As [`open`](Self::open), without [`Error::Io`].
    pub fn of(checkpoint: &Checkpoint, options: &OpenOptions) -> Result<Self> {
        match Self::configured(checkpoint)? {
            None => Self::foreign(checkpoint, options),
            Some(file) => {
                options.without_effect(checkpoint)?;
                Ok(file)
            }
        }
    }

    /// The bundled network: EfficientNet-Lite0 with its ImageNet weights and trained attention.
    ///
    /// # Errors
    /// [`Error::Weights`] if what is bundled is broken.
    pub fn pretrained() -> Result<Self> {
        let attention = Checkpoint::from_bytes("the bundled attention", cbam_lite0::ATTENTION)?;
        Self::of(&attention, &OpenOptions::default())
    }

    /// The bundled backbone alone, as it was published.
    ///
    /// # Errors
    /// As [`pretrained`](Self::pretrained).
    pub fn plain() -> Result<Self> {
        let backbone = Self::bundled_backbone()?;
        let tensors = backbone.tensors.iter().map(|(name, tensor)| (format!("backbone.{name}"), tensor.clone()));
        Ok(Self::new(&backbone, NetworkConfig::plain(BUNDLED), tensors.collect()))
    }

    /// A hash (SHA-256) of all that its answers depend on: its configuration, and every tensor by its name.
    ///
    /// # Errors
    /// [`Error::Internal`] if the configuration cannot be written as JSON.
    pub fn fingerprint(&self) -> Result<[u8; 32]> {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        add(&serde_json::to_vec(&self.config).map_err(Error::internal)?);
        for (name, tensor) in &self.tensors {
            add(name.as_bytes());
            add(tensor.form().to_string().as_bytes());
            add(&tensor.bytes());
        }
        Ok(hash.finalize().into())
    }

    /// The bundled backbone, as it was published, by the names of its own checkpoints.
    ///
    /// # Errors
    /// As [`pretrained`](Self::pretrained).
    pub fn bundled_backbone() -> Result<Checkpoint> {
        Checkpoint::from_bytes("the bundled backbone", cbam_lite0::BACKBONE)
    }

    fn new(checkpoint: &Checkpoint, config: NetworkConfig, tensors: BTreeMap<String, StoredTensor>) -> Self {
        let (assumptions, left_out) = Default::default();
        let (name, unknown) = (checkpoint.name().to_owned(), checkpoint.wrapping().unknown.clone());
        Self { name, config, tensors, joint: false, foreign: false, assumptions, left_out, unknown }
    }

    /// Of a file that says in its metadata which network it is; `None` if it does not.
    fn configured(checkpoint: &Checkpoint) -> Result<Option<Self>> {
        let Some(config) = checkpoint.metadata.get(CONFIG) else { return Ok(None) };
        let wrong = |message: String| Error::weights(checkpoint.name(), message);
        let config: NetworkConfig = serde_json::from_str(config).map_err(|error| {
            // It may repeat what stands in the file, of any length.
            let error: String = error.to_string().chars().take(LONGEST).collect();
            wrong(format!("the metadata's \"{CONFIG}\": {error}"))
        })?;
        let fits = |bundled| {
            let fits = Held { tensors: &checkpoint.tensors, bundled }.fits(&config);
            fits.map_err(|message| wrong(format!("the metadata's \"{CONFIG}\": {message}")))
        };
        let mut tensors = checkpoint.tensors.clone();
        if tensors.keys().any(|name| name.starts_with("backbone.")) {
            fits(None)?;
            let mut file = Self::new(checkpoint, config, tensors);
            let (key, said) = TRAINED;
            file.joint = checkpoint.metadata.get(key).is_some_and(|found| found == said);
            return Ok(Some(file));
        }
        if config.arch != BUNDLED {
            let message =
                format!("holds attention for {} without its backbone, and only {BUNDLED} is bundled", config.arch);
            return Err(wrong(message));
        }
        fits(Some(NetworkConfig::plain(BUNDLED).classes))?;
        let backbone = Self::bundled_backbone()?.tensors;
        tensors.extend(backbone.into_iter().map(|(name, tensor)| (format!("backbone.{name}"), tensor)));
        Ok(Some(Self::new(checkpoint, config, tensors)))
    }

    /// Gives the network of a file the temperature of its logits ([`NetworkConfig::temperature`]).
    ///
    /// # Errors
    /// [`Error::Weights`] if the file does not say in its metadata which network it is; [`Error::Argument`] for a temperature that is
    /// none.
    pub fn set_temperature(checkpoint: &mut Checkpoint, temperature: f64) -> Result<()> {
        let Some(mut file) = Self::configured(checkpoint)? else {
            let message = "has no place for a temperature; what cbam-train writes has one";
            return Err(Error::weights(checkpoint.name(), message));
        };
        file.config.temperature = temperature;
        file.config.check_temperature()?;
        let config = serde_json::to_string(&file.config).map_err(Error::internal)?;
        checkpoint.metadata.insert(CONFIG.to_owned(), config);
        Ok(())
    }

    /// Of a network of somebody else's, recognised by the names and shapes of its tensors.
    fn foreign(checkpoint: &Checkpoint, options: &OpenOptions) -> Result<Self> {
        let (found, config) = Self::planned(checkpoint, options)?;
        let Recognised { assumptions, left_out, tensors, .. } = found;
        let joint = !config.attention.is_empty();
        Ok(Self { joint, foreign: true, assumptions, left_out, ..Self::new(checkpoint, config, tensors) })
    }

    /// Which network a file of somebody else's is of: as [`planned`](Self::planned), and every tensor has its place in it, so that it
    /// opens.
    ///
    /// # Errors
    /// As [`of`](Self::of), for a file whose metadata does not say it.
    pub fn recognise(checkpoint: &Checkpoint, options: &OpenOptions) -> Result<Recognised> {
        Self::foreign(checkpoint, options)?.for_inference()?;
        Ok(Self::planned(checkpoint, options)?.0)
    }

    /// What a file of somebody else's shows, and how it would be built, if it holds as much.
    ///
    /// # Errors
    /// As [`of`](Self::of), for a file whose metadata does not say it.
    pub fn planned(checkpoint: &Checkpoint, options: &OpenOptions) -> Result<(Recognised, NetworkConfig)> {
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
        if self.config.classes == 0 {
            notes.push("no classifier: there are no classes, and no maps of one".to_owned());
        }
        notes
    }

    /// The network, ready for inference.
    ///
    /// # Errors
    /// [`Error::Weights`] if a tensor is missing, has another shape, or is one too many.
    pub fn for_inference(&self) -> Result<InferenceNetwork> {
        let asked = Asked { tensors: &self.tensors, report: RefCell::default() };
        let network = InferenceNetwork::new(self.config.clone(), &asked);
        let mut report = asked.report.into_inner();
        report.wrong_shape.sort();
        self.complete(&report)?;
        let network = network.map_err(|error| Error::weights(&self.name, error))?;
        let unused =
            self.tensors.keys().filter(|name| !is_counter(name) && report.applied.binary_search(name).is_err());
        report.unused = unused.cloned().collect();
        self.complete(&report)?;
        Ok(network)
    }

    /// Refuses tensors that are not all of the network, or more.
    ///
    /// # Errors
    /// [`Error::Weights`] with those concerned.
    pub fn complete(&self, report: &LoadReport) -> Result<()> {
        if report.is_complete() {
            return Ok(());
        }
        let foreign = || format!("not quite {}", self.config.arch);
        let what = if self.foreign { foreign() } else { "the weights do not fit the network".to_owned() };
        Err(Error::weights(&self.name, format!("{what}: {report}")))
    }
}

/// Tensors, and what becomes of them.
struct Asked<'a> {
    tensors: &'a BTreeMap<String, StoredTensor>,
    report: RefCell<LoadReport>,
}

impl Parameters for Asked<'_> {
    /// Zeros where there are none, so that all that is wrong is found.
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        let mut report = self.report.borrow_mut();
        let (shape, count) = (shape.iter().map(|&side| side as i64).collect(), shape.iter().product());
        let expected = Form { dtype: Dtype::F32, shape };
        let add = |names: &mut Vec<String>| {
            if let Err(place) = names.binary_search_by(|other| other.as_str().cmp(name)) {
                names.insert(place, name.to_owned());
            }
        };
        match self.tensors.get(name) {
            Some(tensor) if tensor.shape() == expected.shape && tensor.dtype().is_float() => {
                add(&mut report.applied);
                return Ok(tensor.values());
            }
            Some(tensor) => {
                let (expected, found) = (expected.to_string(), tensor.form().to_string());
                report.wrong_shape.push(Mismatch { name: name.to_owned(), expected, found });
            }
            None => add(&mut report.missing),
        }
        Ok(vec![0.0; count].into())
    }
}
