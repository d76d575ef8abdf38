//! Networks whose weights were made meaningless, layer by layer from the top (Adebayo et al. 2018).

use cbam::network::Network;
use cbam::{Error, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

/// What is randomised, each with all before it.
///
/// Where no convolution of its own stands between the last stage and the classifier, the last block takes its place.
pub(crate) const LEVELS: [&str; 4] = ["classifier", "last convolution", "attention and later half", "all weights"];

/// The network, opened anew by `open`, at each of [`LEVELS`].
///
/// The backbone's layers take fresh weights, with their normalisation, as before any training. The attention would start
/// as the identity, whose maps are flat whatever the network; so its weights are shuffled, each tensor in itself.
pub(crate) fn cascade(open: impl Fn() -> Result<Network>, seed: u64) -> Result<Vec<Network>> {
    (0..LEVELS.len()).map(|level| randomised(open()?, level, seed)).collect()
}

fn randomised(network: Network, level: usize, seed: u64) -> Result<Network> {
    tch::manual_seed(seed as i64);
    let fresh = Network::new(network.config().clone(), network.device())?.variables().variables();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut variables: Vec<(String, Tensor)> = network.variables().variables().into_iter().collect();
    variables.sort_by(|a, b| a.0.cmp(&b.0));
    let classifier = format!("backbone.{}.", network.config().arch.classifier());
    let mut blocks: Vec<_> = variables.iter().filter_map(|(name, _)| block(name)).collect();
    blocks.sort_unstable();
    blocks.dedup();
    let place = |name: &str| block(name).and_then(|block| blocks.binary_search(&block).ok());
    let head = |name: &str| {
        ["backbone._conv_head.", "backbone._bn1.", "backbone.classifier."].iter().any(|of| name.starts_with(of))
    };
    let has_head = variables.iter().any(|(name, _)| head(name) && !name.starts_with(&classifier));
    for (name, tensor) in &mut variables {
        if name.starts_with("attention.") {
            if level >= 2 {
                shuffle(tensor, &mut rng)?;
            }
            continue;
        }
        let last = blocks.len().saturating_sub(1);
        let chosen = match place(name) {
            _ if name.starts_with(&classifier) => true,
            Some(place) => level == 3 || (level == 2 && 2 * place > last) || (level == 1 && place == last && !has_head),
            None if head(name) => level >= 1,
            None => level == 3,
        };
        if chosen {
            let values = fresh.get(name).ok_or_else(|| Error::argument("sanity check", format!("no fresh {name}")))?;
            tch::no_grad(|| tensor.f_copy_(values))?;
        }
    }
    Ok(network)
}

/// The backbone's block that a variable belongs to, as a number of its stage and one of its own; blocks sort as they run.
fn block(name: &str) -> Option<(usize, usize)> {
    let name = name.strip_prefix("backbone.")?;
    let number = |text: &str| text.split('.').next()?.parse().ok();
    if let Some(rest) = name.strip_prefix("_blocks.").or_else(|| name.strip_prefix("features.")) {
        return Some((0, number(rest)?));
    }
    let (stage, rest) = name.strip_prefix("layer")?.split_once('.')?;
    Some((stage.parse().ok()?, number(rest)?))
}

/// Puts the entries of a weight of two or more dimensions into another order.
fn shuffle(tensor: &mut Tensor, rng: &mut ChaCha8Rng) -> Result<()> {
    if tensor.dim() < 2 {
        return Ok(());
    }
    let mut order: Vec<i64> = (0..tensor.numel() as i64).collect();
    order.shuffle(rng);
    let order = Tensor::f_from_slice(&order)?.f_to_device(tensor.device())?;
    tch::no_grad(|| {
        let values = tensor.f_flatten(0, -1)?.f_index_select(0, &order)?.f_view(&tensor.size()[..])?;
        tensor.f_copy_(&values)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use cbam::backbone::Arch;
    use cbam::network::NetworkConfig;

    use super::*;

    #[test]
    fn each_level_changes_more_of_the_network() {
        let own = Network::pretrained(tch::Device::Cpu).unwrap().variables().variables();
        let levels = cascade(|| Network::pretrained(tch::Device::Cpu), 3).unwrap();
        let changed: Vec<Vec<&str>> = levels
            .iter()
            .map(|network| {
                let now = network.variables().variables();
                let differs = own.iter().filter(|(name, tensor)| !now[*name].equal(tensor));
                differs.map(|(name, _)| name.as_str()).collect()
            })
            .collect();
        assert!(changed[0].iter().all(|name| name.contains("_fc.")) && changed[0].len() == 2, "{:?}", changed[0]);
        assert!(changed[1].iter().any(|name| name.contains("_conv_head")));
        assert!(changed[1].iter().all(|name| !name.contains("_blocks")));
        assert!(changed[2].iter().any(|name| name.starts_with("attention.")));
        assert!(changed[2].iter().all(|name| !name.contains("_blocks.0.") && !name.contains("_conv_stem")));
        assert!(changed[3].iter().any(|name| name.contains("_conv_stem")));
        assert!(changed.windows(2).all(|pair| pair[0].len() < pair[1].len()));
    }

    #[test]
    fn networks_of_other_names_are_taken_apart_too() {
        for (arch, classifier, last) in [
            (Arch::ResNet18, "backbone.fc.", "backbone.layer4.1."),
            (Arch::MobileNetV2, "backbone.classifier.1.", "backbone.features.18."),
        ] {
            let network = || Network::new(NetworkConfig { classes: 4, ..NetworkConfig::plain(arch) }, tch::Device::Cpu);
            // Weights that no start has, so that a fresh one shows.
            let own = || {
                let network = network()?;
                let shift = |tensor: Tensor| tch::no_grad(|| tensor.shallow_clone().f_add_scalar_(100.0));
                network.variables().variables().into_values().try_for_each(|tensor| shift(tensor).map(drop))?;
                Ok(network)
            };
            let before = own().unwrap().variables().variables();
            let changed: Vec<Vec<&str>> = cascade(own, 3)
                .unwrap()
                .iter()
                .map(|network| {
                    let now = network.variables().variables();
                    let fresh =
                        |(name, _): &(&String, &Tensor)| now[*name].double_value(&vec![0; now[*name].dim()]) < 50.0;
                    before.iter().filter(fresh).map(|(name, _)| name.as_str()).collect()
                })
                .collect();
            assert!(changed[0].iter().all(|name| name.starts_with(classifier)), "{arch}: {:?}", changed[0]);
            assert!(changed[1].iter().any(|name| name.starts_with(last)), "{arch}: {:?}", changed[1]);
            assert!(changed[1].len() < changed[2].len() && changed[2].len() < changed[3].len(), "{arch}");
        }
    }
}
