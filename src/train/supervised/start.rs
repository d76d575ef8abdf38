//! The network that a supervised training starts from.

use tch::{Device, no_grad};

use super::of_classifier;
use crate::network::{LEANS, Network, NetworkConfig};
use crate::{Error, Result};

/// Where a network's backbone comes from.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// The bundled backbone.
    Bundled,
    /// The backbone of a trained network.
    Network(&'a Network),
    /// Nothing: fresh weights, from libtorch's generator.
    Scratch,
}

/// A network of this configuration, ready to be trained on the classes of its labels: the backbone as `start` says, the
/// attention starting as the identity. And whether the classifier is new: it is, unless the start's labels are the same classes.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the start is another architecture, or leans on its attention
/// ([`Network::leans_on_attention`]).
pub fn supervised_network(config: NetworkConfig, start: Start<'_>, device: Device) -> Result<(Network, bool)> {
    let network = Network::new(config, device)?;
    let bundled;
    let trained = match start {
        Start::Scratch => return Ok((network, true)),
        Start::Bundled => {
            bundled = Network::plain(device)?;
            &bundled
        }
        Start::Network(trained) if trained.leans_on_attention() => return Err(Error::argument("backbone", LEANS)),
        Start::Network(trained) => trained,
    };
    let (own, other) = (network.config(), trained.config());
    if own.arch != other.arch {
        let message = format!("the weights are {}, the network should be {}", other.arch, own.arch);
        return Err(Error::argument("backbone", message));
    }
    if own.variant != other.variant {
        let message =
            "the weights are of a network with another stem, stride or classifier than the usual one of its name";
        return Err(Error::argument("backbone", message));
    }
    let same_classes = !own.labels.is_empty() && own.labels == other.labels;
    let (saved, arch) = (trained.variables().variables(), own.arch);
    for (name, mut value) in network.variables().variables() {
        if name.starts_with("backbone.") && (same_classes || !of_classifier(arch, &name)) {
            let saved = saved.get(&name).filter(|saved| saved.size() == value.size());
            let saved = saved.ok_or_else(|| Error::argument("backbone", format!("has no {name} that fits")))?;
            no_grad(|| value.f_copy_(saved))?;
        }
    }
    Ok((network, !same_classes))
}
