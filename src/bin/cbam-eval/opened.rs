//! The network that is measured.

use cbam::eval::ScoreCache;
use cbam::explain::Features;
use cbam::model::{Description, Model};
use cbam::network::{Inference, Network};
use cbam::torchscript::ScriptedNetwork;
use cbam::{Error, Result};
use ndarray::Array1;
use sha2::{Digest, Sha256};
use tch::Device;

use crate::args::Cli;

/// The network that is measured, as its file has it.
pub(crate) enum Opened {
    Network(Box<Network>),
    Inference(Box<Inference>),
    Script(Box<ScriptedNetwork>),
}

impl Opened {
    /// A network in the form in which it looks fastest.
    pub(crate) fn ready(network: Network) -> Result<Self> {
        Ok(if network.is_f32_on_cpu() {
            Self::Inference(Box::new(network.for_inference()?))
        } else {
            Self::Network(Box::new(network))
        })
    }

    /// As what it is asked.
    pub(crate) fn model(&self) -> &dyn Model {
        match self {
            Self::Network(network) => &**network,
            Self::Inference(network) => &**network,
            Self::Script(network) => &**network,
        }
    }

    /// As the explanation methods see it.
    pub(crate) fn features(&self) -> &dyn Features {
        match self {
            Self::Network(network) => &**network,
            Self::Inference(network) => &**network,
            Self::Script(network) => &**network,
        }
    }

    pub(crate) fn describe(&self) -> Description {
        self.model().describe()
    }

    pub(crate) fn device(&self) -> Device {
        match self {
            Self::Network(network) => network.device(),
            Self::Inference(_) => Device::Cpu,
            Self::Script(network) => network.device(),
        }
    }

    /// What it is called in reports.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Network(network) => network.config().arch.to_string(),
            Self::Inference(network) => network.config().arch.to_string(),
            Self::Script(_) => "TorchScript".to_owned(),
        }
    }

    /// Whether it has attention; none if that cannot be told.
    pub(crate) fn has_attention(&self) -> Option<bool> {
        match self {
            Self::Network(network) => Some(!network.config().attention.is_empty()),
            Self::Inference(network) => Some(!network.config().attention.is_empty()),
            Self::Script(_) => None,
        }
    }

    /// A hash of all that its answers depend on.
    pub(crate) fn fingerprint(&self, cli: &Cli) -> Result<String> {
        match (self, &cli.foreign.torchscript) {
            (Self::Network(network), _) => of_network(network),
            (Self::Inference(network), _) => of_network(network.network()?),
            (Self::Script(_), Some(path)) => {
                let bytes = std::fs::read(path).map_err(Error::io(path))?;
                Ok(ScoreCache::key(&[&bytes, format!("{:?} {:?}", cli.foreign, self.describe()).as_bytes()]))
            }
            (Self::Script(_), None) => Err(Error::argument("--torchscript", "is not named")),
        }
    }
}

/// A hash of a network's configuration and weights.
fn of_network(network: &Network) -> Result<String> {
    let mut hash = Sha256::new();
    let config = serde_json::to_vec(network.config()).map_err(|error| Error::argument("network", error))?;
    hash.update(config);
    let mut variables: Vec<_> = network.variables().variables().into_iter().collect();
    variables.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, tensor) in variables {
        hash.update(name.as_bytes());
        let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(tch::Kind::Float)?.f_contiguous()?;
        let mut values = Array1::<f32>::zeros(tensor.numel());
        if let Some(values) = values.as_slice_mut() {
            let count = values.len();
            tensor.f_copy_data(values, count)?;
        }
        for value in values {
            hash.update(value.to_le_bytes());
        }
    }
    Ok(ScoreCache::key(&[&hash.finalize()]))
}
