//! How well the attention does on pictures and stamps that it was not trained on.

use serde::Serialize;
use tch::{Kind, Tensor};

use super::features::{Bank, Banks, to_maps};
use super::loss::class_divergence;
use super::views::MASK_SIDE;
use crate::Result;
use crate::maps::{MapName, Resample};
use crate::network::{Network, Output};
use crate::photo::{Geometry, ImageSize};

/// Figures on held-out views.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Validation {
    /// How many pictures; there is one clean and one cluttered view of each.
    pub pictures: usize,
    /// KL(teacher ‖ student) on the clean pictures, in nats.
    pub clean: f64,
    /// The same on the cluttered views.
    pub cluttered: f64,
    /// The share of clean pictures with the teacher's first class, in 0..=1.
    pub clean_agreement: f64,
    /// The same for the cluttered views, the teacher seeing the clean picture.
    pub cluttered_agreement: f64,
    /// How many composites.
    pub composites: usize,
    /// The share of composites on which the fused map peaks on the stamp; none if the network has no fused map.
    pub pointing: Option<f64>,
    /// The mean share of the fused map that lies on the stamp.
    pub energy: Option<f64>,
}

pub(super) fn validate(network: &Network, banks: &Banks) -> Result<Validation> {
    tch::no_grad(|| {
        let (clean, clean_agreement) = agreement(network, &banks.clean)?;
        let (cluttered, cluttered_agreement) = agreement(network, &banks.cluttered)?;
        let found = localisation(network, &banks.composite)?;
        Ok(Validation {
            pictures: banks.clean.len(),
            clean,
            cluttered,
            clean_agreement,
            cluttered_agreement,
            composites: banks.composite.len(),
            pointing: found.map(|found| found[0]),
            energy: found.map(|found| found[1]),
        })
    })
}

/// The mean divergence from the teacher, and the share of pictures that both put in one class.
fn agreement(network: &Network, bank: &Bank) -> Result<(f64, f64)> {
    let (mut divergence, mut agreed) = (0.0, 0.0);
    for_each_batch(network, bank, |output, positions| {
        let teacher = bank.log_probabilities.f_index_select(0, positions)?.f_to_device(network.device())?;
        let same = teacher.f_argmax(-1, false)?.f_eq_tensor(&output.logits.f_argmax(-1, false)?)?;
        divergence += class_divergence(&teacher, &output.logits)?.f_sum(Kind::Double)?.double_value(&[]);
        agreed += same.f_sum(Kind::Double)?.double_value(&[]);
        Ok(())
    })?;
    Ok((divergence / bank.len() as f64, agreed / bank.len() as f64))
}

/// Pointing and energy of the fused map on the masks.
fn localisation(network: &Network, bank: &Bank) -> Result<Option<[f64; 2]>> {
    let side = ImageSize { width: MASK_SIDE as u32, height: MASK_SIDE as u32 };
    let geometry = Geometry { picture: side, network: side };
    let (mut hits, mut energy, mut fused) = (0.0, 0.0, true);
    for_each_batch(network, bank, |output, positions| {
        let masks = to_maps(&bank.targets.f_index_select(0, positions)?)?;
        for (readout, mask) in network.read(output, &[])?.iter().zip(masks) {
            fused &= readout.map_names().contains(&MapName::Fused);
            if fused {
                let map = readout.map(&MapName::Fused, &geometry)?.resample(side, Resample::Bilinear)?;
                let map = map.values();
                let peak = map.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).map(|(place, _)| place);
                hits += f64::from(u8::from(peak.is_some_and(|place| mask[place] >= 0.5)));
                energy += f64::from((map * &mask).sum() / map.sum().max(1e-12));
            }
        }
        Ok(())
    })?;
    Ok(fused.then(|| [hits, energy].map(|sum| sum / bank.len() as f64)))
}

/// Runs the network on a bank, 32 views at a time.
fn for_each_batch(network: &Network, bank: &Bank, mut work: impl FnMut(&Output, &Tensor) -> Result<()>) -> Result<()> {
    let positions: Vec<i64> = (0..bank.len() as i64).collect();
    for chunk in positions.chunks(32) {
        let chunk = Tensor::f_from_slice(chunk)?;
        let features = bank.features.f_index_select(0, &chunk)?.f_to_device(network.device())?;
        work(&network.tail(&features.f_to_kind(Kind::Float)?, false)?, &chunk)?;
    }
    Ok(())
}
