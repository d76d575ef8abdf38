//! Networks whose weights were made meaningless, layer by layer from the top (Adebayo et al. 2018).

use std::fmt::{self, Display, Formatter};

use ndarray::ArrayD;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, Uniform};

use super::NetworkFile;
use crate::weights::StoredTensor;
use crate::{Error, Result};

/// How much of a network is randomised, each with all before it.
///
/// Where no convolution of its own stands between the last stage and the classifier, the last block takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RandomLevel {
    /// The classifier.
    Classifier,
    /// The last convolution.
    LastConvolution,
    /// The attention and the later half of the blocks.
    LaterHalf,
    /// All weights.
    All,
}

impl RandomLevel {
    /// Every level, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Classifier, Self::LastConvolution, Self::LaterHalf, Self::All];

    /// What is randomised, in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classifier => "classifier",
            Self::LastConvolution => "last convolution",
            Self::LaterHalf => "attention and later half",
            Self::All => "all weights",
        }
    }
}

impl Display for RandomLevel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl NetworkFile {
    /// The network with part of its weights made meaningless, the same ones for a seed.
    ///
    /// The backbone's layers take fresh weights, with their normalisation, as before any training: convolutions as their architecture
    /// starts them (uniform by fan-in for EfficientNet-Lite, else Kaiming-normal by fan-out), linear layers uniform by fan-in. The
    /// attention would start as the identity, whose maps are flat whatever the network; so its weights are shuffled, each tensor in
    /// itself.
    ///
    /// # Errors
    /// [`Error::Internal`] if a tensor's values are not as many as its shape says.
    pub fn randomised(&self, level: RandomLevel, seed: u64) -> Result<Self> {
        let mut file = self.clone();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let parts = Parts::of(self);
        for (name, tensor) in &mut file.tensors {
            if name.starts_with("attention.") {
                if level >= RandomLevel::LaterHalf && tensor.shape().len() > 1 {
                    let mut values = tensor.values().into_owned();
                    values.shuffle(&mut rng);
                    *tensor = stored(tensor.shape(), values)?;
                }
            } else if parts.level(name) <= level && tensor.dtype().is_float() {
                *tensor = stored(tensor.shape(), fresh(self, name, tensor.shape(), &mut rng))?;
            }
        }
        Ok(file)
    }
}

/// Which part of a network each tensor belongs to.
struct Parts {
    classifier: String,
    /// Of the backbone, sorted as they run.
    blocks: Vec<(usize, usize)>,
    /// Whether a convolution of its own stands between the last block and the classifier.
    has_head: bool,
}

impl Parts {
    fn of(file: &NetworkFile) -> Self {
        let classifier = format!("backbone.{}.", file.config.arch.classifier());
        let mut blocks: Vec<_> = file.tensors.keys().filter_map(|name| block(name)).collect();
        blocks.sort_unstable();
        blocks.dedup();
        let has_head = file.tensors.keys().any(|name| is_head(name) && !name.starts_with(&classifier));
        Self { classifier, blocks, has_head }
    }

    /// The level from which on a tensor of the backbone is randomised.
    fn level(&self, name: &str) -> RandomLevel {
        let last = self.blocks.len().saturating_sub(1);
        let place = block(name).and_then(|block| self.blocks.binary_search(&block).ok());
        match place {
            _ if name.starts_with(&self.classifier) => RandomLevel::Classifier,
            Some(place) if place == last && !self.has_head => RandomLevel::LastConvolution,
            Some(place) if 2 * place > last => RandomLevel::LaterHalf,
            None if is_head(name) => RandomLevel::LastConvolution,
            _ => RandomLevel::All,
        }
    }
}

fn is_head(name: &str) -> bool {
    ["backbone._conv_head.", "backbone._bn1.", "backbone.classifier."].iter().any(|of| name.starts_with(of))
}

/// The backbone's block that a tensor belongs to, as a number of its stage and one of its own; blocks sort as they run.
fn block(name: &str) -> Option<(usize, usize)> {
    let name = name.strip_prefix("backbone.")?;
    let number = |text: &str| text.split('.').next()?.parse().ok();
    if let Some(rest) = name.strip_prefix("_blocks.").or_else(|| name.strip_prefix("features.")) {
        return Some((0, number(rest)?));
    }
    let (stage, rest) = name.strip_prefix("layer")?.split_once('.')?;
    Some((stage.parse().ok()?, number(rest)?))
}

/// Weights as before any training.
fn fresh(file: &NetworkFile, name: &str, shape: &[i64], rng: &mut ChaCha8Rng) -> Vec<f32> {
    let count = shape.iter().product::<i64>() as usize;
    let inside = |shape: &[i64]| shape[1..].iter().product::<i64>() as f64;
    let mut uniform = |bound: f64| {
        let range = Uniform::new_inclusive(-bound, bound);
        (0..count).map(|_| range.as_ref().map_or(0.0, |range| range.sample(rng)) as f32).collect::<Vec<f32>>()
    };
    match shape {
        [_, _] => uniform(inside(shape).sqrt().recip()),
        [_, _, _, _] if file.config.arch.is_efficientnet_lite() => uniform(inside(shape).sqrt().recip()),
        [out, _, height, width] => {
            let deviation = (2.0 / (out * height * width) as f64).sqrt();
            (0..count).map(|_| (deviation * rng.sample::<f64, _>(StandardNormal)) as f32).collect()
        }
        _ if name.ends_with("running_mean") => vec![0.0; count],
        _ if name.ends_with(".weight") || name.ends_with("running_var") => vec![1.0; count],
        // A linear layer's bias starts as its weights do, a normalisation's and a convolution's at 0.
        _ => {
            let weight = name.strip_suffix("bias").and_then(|stem| file.tensors.get(&format!("{stem}weight")));
            match weight.map(StoredTensor::shape) {
                Some(shape @ [_, _]) => uniform(inside(shape).sqrt().recip()),
                _ => vec![0.0; count],
            }
        }
    }
}

fn stored(shape: &[i64], values: Vec<f32>) -> Result<StoredTensor> {
    let shape: Vec<usize> = shape.iter().map(|&side| side as usize).collect();
    Ok(ArrayD::from_shape_vec(shape, values).map_err(Error::internal)?.into())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::super::{InferenceNetwork, NetworkConfig, Parameters};
    use super::*;
    use crate::backbone::Arch;

    /// A hundred wherever a network asks for a number.
    #[derive(Default)]
    struct Hundreds(RefCell<BTreeMap<String, StoredTensor>>);

    impl Parameters for Hundreds {
        fn parameter(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
            let values = ArrayD::from_elem(shape, 100.0);
            self.0.borrow_mut().insert(name.to_owned(), values.clone().into());
            Ok(values.into_raw_vec_and_offset().0.into())
        }
    }

    /// The names of the tensors that differ, level by level.
    fn changed(file: &NetworkFile) -> Vec<Vec<String>> {
        let changed = |level| {
            let now = file.randomised(level, 3).unwrap();
            assert!(now.for_inference().is_ok());
            let differ = now.tensors.iter().filter(|(name, tensor)| file.tensors[*name] != **tensor);
            differ.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        RandomLevel::ALL.map(changed).into()
    }

    #[test]
    fn each_level_changes_more_of_the_network() {
        let file = NetworkFile::pretrained().unwrap();
        let changed = changed(&file);
        assert!(changed[0].iter().all(|name| name.contains("_fc.")) && changed[0].len() == 2, "{:?}", changed[0]);
        assert!(changed[1].iter().any(|name| name.contains("_conv_head")));
        assert!(changed[1].iter().all(|name| !name.contains("_blocks")));
        assert!(changed[2].iter().any(|name| name.starts_with("attention.")));
        assert!(changed[2].iter().all(|name| !name.contains("_blocks.0.") && !name.contains("_conv_stem")));
        assert!(changed[3].iter().any(|name| name.contains("_conv_stem")));
        assert!(changed.windows(2).all(|pair| pair[0].len() < pair[1].len()));
        let again = |seed| file.randomised(RandomLevel::All, seed).unwrap().tensors;
        assert!(again(3) == again(3) && again(3) != again(4), "the same for a seed");
    }

    #[test]
    fn networks_of_other_names_are_taken_apart_too() {
        for (arch, classifier, last) in [
            (Arch::ResNet18, "backbone.fc.", "backbone.layer4.1."),
            (Arch::MobileNetV2, "backbone.classifier.1.", "backbone.features.18."),
        ] {
            let mut file = NetworkFile::pretrained().unwrap();
            file.config = NetworkConfig { classes: 4, ..NetworkConfig::plain(arch) };
            // Weights that no start has, so that a fresh one shows.
            let hundreds = Hundreds::default();
            InferenceNetwork::new(file.config.clone(), &hundreds).unwrap();
            file.tensors = hundreds.0.into_inner();
            let changed = changed(&file);
            assert!(changed[0].iter().all(|name| name.starts_with(classifier)), "{arch}: {:?}", changed[0]);
            assert!(changed[1].iter().any(|name| name.starts_with(last)), "{arch}: {:?}", changed[1]);
            assert!(changed[1].len() < changed[2].len() && changed[2].len() < changed[3].len(), "{arch}");
        }
    }
}
