//! How well the attention does on pictures and stamps that it was not trained on.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::features::{Bank, Banks, to_maps};
use super::loss::class_divergence;
use crate::Result;
use crate::maps::Resample;
use crate::network::{Network, Output};
use crate::photo::{Geometry, ImageSize};

/// Figures on held-out views.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// How well each map finds the stamps.
    pub maps: Vec<MapScore>,
}

/// How well a map finds the stamps of the composites.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MapScore {
    /// The map's name.
    pub map: String,
    /// The share of composites on which it peaks on the stamp, in 0..=1.
    pub pointing: f64,
    /// The mean share of it that lies on the stamp, in 0..=1.
    pub energy: f64,
}

impl Validation {
    /// The figures of the answers, by name.
    pub(super) fn figures(&self) -> [(&'static str, f64); 4] {
        [
            ("clean", self.clean),
            ("cluttered", self.cluttered),
            ("clean_agreement", self.clean_agreement),
            ("cluttered_agreement", self.cluttered_agreement),
        ]
    }
}

pub(super) fn validate(network: &Network, held_out: &[Banks]) -> Result<Validation> {
    tch::no_grad(|| {
        let clean: Vec<&Bank> = held_out.iter().map(|banks| &banks.clean).collect();
        let cluttered: Vec<&Bank> = held_out.iter().map(|banks| &banks.cluttered).collect();
        let composites: Vec<&Bank> = held_out.iter().map(|banks| &banks.composite).collect();
        let [clean_divergence, clean_agreement] = agreement(network, &clean)?;
        let [cluttered_divergence, cluttered_agreement] = agreement(network, &cluttered)?;
        Ok(Validation {
            pictures: clean.iter().map(|bank| bank.len()).sum(),
            clean: clean_divergence,
            cluttered: cluttered_divergence,
            clean_agreement,
            cluttered_agreement,
            composites: composites.iter().map(|bank| bank.len()).sum(),
            maps: localisation(network, &composites)?,
        })
    })
}

/// The mean divergence from the teacher, and the share of pictures that both put in one class.
fn agreement(network: &Network, banks: &[&Bank]) -> Result<[f64; 2]> {
    let (mut divergence, mut agreed, mut count) = (0.0, 0.0, 0.0);
    for bank in banks {
        for_each_batch(network, bank, |output, positions| {
            let teacher = bank.log_probabilities.f_index_select(0, positions)?.f_to_device(network.device())?;
            let same = teacher.f_argmax(-1, false)?.f_eq_tensor(&output.logits.f_argmax(-1, false)?)?;
            divergence += class_divergence(&teacher, &output.logits)?.f_sum(Kind::Double)?.double_value(&[]);
            agreed += same.f_sum(Kind::Double)?.double_value(&[]);
            count += positions.numel() as f64;
            Ok(())
        })?;
    }
    Ok([divergence, agreed].map(|sum| sum / count))
}

/// Pointing and energy of every map on the masks.
fn localisation(network: &Network, banks: &[&Bank]) -> Result<Vec<MapScore>> {
    let mut scores: Vec<MapScore> = Vec::new();
    let mut count = 0.0;
    for bank in banks {
        for_each_batch(network, bank, |output, positions| {
            let masks = to_maps(&bank.targets.f_index_select(0, positions)?)?;
            for (readout, mask) in network.readouts(output)?.iter().zip(masks) {
                let size = ImageSize { width: mask.ncols() as u32, height: mask.nrows() as u32 };
                let geometry = Geometry::whole(size, size);
                for (i, name) in readout.map_names().iter().enumerate() {
                    let map = readout.map(name, &geometry)?.resample(size, Resample::Bilinear)?;
                    let map = map.values();
                    let peak = map.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).map(|(place, _)| place);
                    if scores.len() == i {
                        scores.push(MapScore { map: name.to_string(), pointing: 0.0, energy: 0.0 });
                    }
                    scores[i].pointing += f64::from(u8::from(peak.is_some_and(|place| mask[place] >= 0.5)));
                    scores[i].energy += f64::from((map * &mask).sum() / map.sum().max(1e-12));
                }
                count += 1.0;
            }
            Ok(())
        })?;
    }
    for score in &mut scores {
        score.pointing /= count;
        score.energy /= count;
    }
    Ok(scores)
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
