//! Networks whose weights were made meaningless, layer by layer from the top (Adebayo et al. 2018).

use cbam::network::Network;
use cbam::{Error, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

/// What is randomised, each with all before it.
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
    let last_block = variables.iter().filter_map(|(name, _)| block(name)).max();
    for (name, tensor) in &mut variables {
        if name.starts_with("attention.") {
            if level >= 2 {
                shuffle(tensor, &mut rng)?;
            }
            continue;
        }
        let chosen = match block(name) {
            Some(block) => level == 3 || (level == 2 && last_block.is_some_and(|last| 2 * block > last)),
            None if name.contains("_fc.") => true,
            None if name.contains("_conv_head.") || name.contains("_bn1.") => level >= 1,
            None => level == 3,
        };
        if chosen {
            let values = fresh.get(name).ok_or_else(|| Error::argument("sanity check", format!("no fresh {name}")))?;
            tch::no_grad(|| tensor.f_copy_(values))?;
        }
    }
    Ok(network)
}

/// The number of the backbone's block that a variable belongs to.
fn block(name: &str) -> Option<usize> {
    name.split_once("_blocks.")?.1.split('.').next()?.parse().ok()
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
}
