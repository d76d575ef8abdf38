//! Networks whose weights were made meaningless, layer by layer from the top (Adebayo et al. 2018).

use cbam::Result;
use cbam::network::Network;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

/// What is randomised, each with all before it.
pub(crate) const LEVELS: [&str; 4] = ["classifier", "last convolution", "attention and later half", "all weights"];

/// The network, opened anew by `open`, at each of [`LEVELS`].
///
/// A weight tensor of two or more dimensions has its entries shuffled, so that their distribution stays; biases and
/// normalisation stay as they are.
pub(crate) fn cascade(open: impl Fn() -> Result<Network>, seed: u64) -> Result<Vec<Network>> {
    (0..LEVELS.len()).map(|level| randomised(open()?, level, seed)).collect()
}

fn randomised(network: Network, level: usize, seed: u64) -> Result<Network> {
    let variables = network.variables().variables();
    // In the order in which they were made: the backbone's blocks, its stem, head and classifier.
    let order = network.variables().trainable_variables();
    let place = |tensor: &Tensor| order.iter().position(|other| other.data_ptr() == tensor.data_ptr());
    let is_weight = |tensor: &Tensor| tensor.dim() >= 2;
    let mut backbone: Vec<(usize, &String)> = Vec::new();
    let mut attention: Vec<&String> = Vec::new();
    for (name, tensor) in variables.iter().filter(|(_, tensor)| is_weight(tensor)) {
        match (name.starts_with("attention."), place(tensor)) {
            (false, Some(place)) if !name.contains("stem") => backbone.push((place, name)),
            (false, _) if level == LEVELS.len() - 1 => backbone.push((0, name)),
            (true, _) if level >= 2 => attention.push(name),
            _ => {}
        }
    }
    backbone.sort_unstable();
    attention.sort_unstable();
    let count = match level {
        0 => 1,
        1 => 2,
        2 => backbone.len() / 2,
        _ => backbone.len(),
    };
    let chosen = backbone.iter().rev().take(count).map(|(_, name)| *name).chain(attention);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for name in chosen {
        let mut tensor = variables[name].shallow_clone();
        let mut shuffled: Vec<i64> = (0..tensor.numel() as i64).collect();
        shuffled.shuffle(&mut rng);
        let shuffled = Tensor::f_from_slice(&shuffled)?.f_to_device(tensor.device())?;
        tch::no_grad(|| -> Result<()> {
            let values = tensor.f_flatten(0, -1)?.f_index_select(0, &shuffled)?.f_view(&tensor.size()[..])?;
            tensor.f_copy_(&values)?;
            Ok(())
        })?;
    }
    Ok(network)
}
