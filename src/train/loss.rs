//! What the attention is trained for: to keep the teacher's answer, and to look where the evidence lies.

use tch::{Kind, Tensor};

use crate::Result;
use crate::network::Output;

/// KL(teacher ‖ student) of the class distributions at temperature 1, `[N]`.
pub(super) fn class_divergence(teacher: &Tensor, logits: &Tensor) -> Result<Tensor> {
    let student = logits.f_log_softmax(-1, Kind::Float)?;
    Ok((teacher.f_exp()? * (teacher - student)).f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?)
}

/// How far the attention is from its targets `[N, rows, columns]`, `[N]`.
///
/// On every spatial gate, KL(target ‖ softmax of the gate's logits over the positions): that leaves the gate's level
/// to the classifier, and 0.05 · (mean logit)² holds it near ½. On every patch attention, KL(target ‖ attention
/// received). All count the same.
pub(super) fn focus_divergence(output: &Output, targets: &Tensor) -> Result<Tensor> {
    let mut total = Tensor::f_zeros([targets.size()[0]], (Kind::Float, targets.device()))?;
    for block in &output.attention {
        if let Some(gate) = &block.spatial {
            let [height, width] = [gate.logits.size()[1], gate.logits.size()[2]];
            let logits = gate.logits.f_flatten(1, 2)?;
            let level = logits.f_mean_dim([1i64].as_slice(), false, Kind::Float)?.f_square()?;
            total += divergence(targets, [height, width], &logits.f_log_softmax(-1, Kind::Float)?)? + level * 0.05;
        }
        if let Some(patch) = &block.patch {
            let received = patch.weights.f_mean_dim([1i64, 2].as_slice(), false, Kind::Float)?; // [N, T], sums to 1
            total += divergence(targets, patch.grid, &received.f_log()?)?;
        }
    }
    Ok(total)
}

/// KL(target ‖ q) over the positions, for targets reduced to the grid and scaled to sum to 1; 0 where a target is empty.
fn divergence(targets: &Tensor, grid: [i64; 2], log_q: &Tensor) -> Result<Tensor> {
    let targets = targets.f_unsqueeze(1)?.f_adaptive_avg_pool2d(grid)?.f_flatten(1, 3)?;
    let mass = targets.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Float)?;
    let target = &targets / mass.f_clamp_min(1e-6)?;
    let log_target = target.f_clamp_min(1e-9)?.f_log()?;
    Ok((&target * (log_target - log_q)).f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_divergence_is_zero_at_the_target_and_known_elsewhere() {
        let target = Tensor::from_slice(&[1.0f32, 3.0, 0.0, 0.0]).view([1, 2, 2]);
        let equal = Tensor::from_slice(&[0.25f32, 0.75, 1e-9, 1e-9]).view([1, 4]).log();
        assert!(divergence(&target, [2, 2], &equal).unwrap().double_value(&[0]).abs() < 1e-6);
        let uniform = Tensor::from_slice(&[0.25f32; 4]).view([1, 4]).log();
        let expected = 0.75 * 3f64.ln(); // ¼ ln(¼ / ¼) + ¾ ln(¾ / ¼)
        assert!((divergence(&target, [2, 2], &uniform).unwrap().double_value(&[0]) - expected).abs() < 1e-6);
        assert_eq!(divergence(&(target * 0.0), [2, 2], &uniform).unwrap().double_value(&[0]), 0.0);
    }

    #[test]
    fn class_divergence_is_the_textbook_sum() {
        let teacher = Tensor::from_slice(&[0.5f32, 0.5]).view([1, 2]).log();
        let logits = Tensor::from_slice(&[0.0f32, 3f32.ln()]).view([1, 2]);
        let expected = 0.5 * (0.5f64 / 0.25).ln() + 0.5 * (0.5f64 / 0.75).ln();
        assert!((class_divergence(&teacher, &logits).unwrap().double_value(&[0]) - expected).abs() < 1e-6);
    }
}
