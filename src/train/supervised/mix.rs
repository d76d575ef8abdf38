//! What the network should answer: the class, softened; and pictures that are mixed in pairs.

use rand::Rng;
use rand::prelude::Distribution;
use rand::seq::SliceRandom;
use rand_distr::Beta;
use tch::{Kind, Tensor};

use crate::{Error, Result};

/// Class distributions `[N, classes]`: 1 − `smoothing` on the true class, `smoothing` spread over all (Szegedy et al. 2016).
pub(super) fn targets(classes: &[usize], count: i64, smoothing: f64) -> Result<Tensor> {
    let indices: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
    let exact = Tensor::f_from_slice(&indices)?.f_one_hot(count)?.f_to_kind(Kind::Float)?;
    Ok(exact * (1.0 - smoothing) + smoothing / count as f64)
}

/// Mixup (Zhang et al. 2018): every row becomes λ of itself and 1 − λ of another, of `xs` and `targets` alike, with one λ from
/// Beta(α, α).
pub(super) fn mixup(xs: &Tensor, targets: &Tensor, alpha: f64, rng: &mut impl Rng) -> Result<[Tensor; 2]> {
    let beta = Beta::new(alpha, alpha).map_err(|error| Error::argument("mixup", error))?;
    let share = beta.sample(rng);
    let mut partners: Vec<i64> = (0..xs.size()[0]).collect();
    partners.shuffle(rng);
    let partners = Tensor::f_from_slice(&partners)?.f_to_device(xs.device())?;
    let mix = |rows: &Tensor| -> Result<Tensor> {
        Ok(rows.f_mul_scalar(share)?.f_add(&rows.f_index_select(0, &partners)?.f_mul_scalar(1.0 - share)?)?)
    };
    Ok([mix(xs)?, mix(targets)?])
}

/// The mean cross-entropy of class distributions, in nats.
pub(super) fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let log_probabilities = logits.f_log_softmax(-1, Kind::Float)?;
    Ok((targets * log_probabilities)
        .f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?
        .f_mean(Kind::Float)?
        .f_neg()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::random::{Stream, rng};

    #[test]
    fn softened_targets_and_their_loss_are_the_textbooks() {
        let targets = targets(&[2, 0], 4, 0.2).unwrap();
        let row: Vec<f64> = (0..4).map(|class| targets.double_value(&[0, class])).collect();
        for (value, expected) in row.iter().zip([0.05, 0.05, 0.85, 0.05]) {
            assert!((value - expected).abs() < 1e-6, "{row:?}");
        }
        let uniform = cross_entropy(&Tensor::zeros([2, 4], (Kind::Float, tch::Device::Cpu)), &targets).unwrap();
        assert!((uniform.double_value(&[]) - 4f64.ln()).abs() < 1e-6);
        let smooth = Tensor::from_slice(&[1i64]);
        let logits = Tensor::from_slice(&[0.3f32, -1.0, 2.0]).view([1, 3]);
        let expected = logits.cross_entropy_loss::<Tensor>(&smooth, None, tch::Reduction::Mean, -100, 0.1);
        let own = cross_entropy(&logits, &super::targets(&[1], 3, 0.1).unwrap()).unwrap();
        assert!((own - expected).abs().double_value(&[]) < 1e-6);
    }

    #[test]
    fn pictures_and_targets_are_mixed_alike() {
        let xs = Tensor::eye(6, (Kind::Float, tch::Device::Cpu));
        let [mixed, targets] = mixup(&xs, &xs, 0.4, &mut rng(1, Stream::Mix, 3)).unwrap();
        assert!(mixed.equal(&targets));
        assert!(mixed.sum_dim_intlist([1i64].as_slice(), false, Kind::Float).allclose(
            &xs.sum_dim_intlist([1i64].as_slice(), false, Kind::Float),
            1e-6,
            1e-6,
            false
        ));
        assert!(!mixed.equal(&xs));
        assert!(mixup(&xs, &xs, -1.0, &mut rng(1, Stream::Mix, 3)).is_err());
    }
}
