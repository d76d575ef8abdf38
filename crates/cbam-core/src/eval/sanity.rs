//! How alike two maps are: what the sanity check of Adebayo et al. 2018 ("Sanity Checks for Saliency Maps") asks before
//! and after a network's weights are randomised.

use ndarray::ArrayView2;

use crate::{Error, Result};

/// Spearman's rank correlation of two maps of one size, in `[-1, 1]`; equal values share the mean of their ranks.
///
/// A map that is the same everywhere has no order, and the correlation with it is 0.
///
/// # Errors
/// If the sizes differ, there is no pixel, or a value is not finite.
pub fn rank_correlation(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Result<f64> {
    if a.dim() != b.dim() || a.is_empty() {
        return Err(Error::argument("maps", format!("{:?} and {:?} cannot be compared", a.dim(), b.dim())));
    }
    if a.iter().chain(b.iter()).any(|value| !value.is_finite()) {
        return Err(Error::argument("maps", "a value is not finite"));
    }
    let (a, b) = (ranks(a), ranks(b));
    let middle = (a.len() as f64 - 1.0) / 2.0;
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b).map(|(a, b)| (a - middle, b - middle)) {
        both += a * b;
        of_a += a * a;
        of_b += b * b;
    }
    let scale = (of_a * of_b).sqrt();
    Ok(if scale > 0.0 { (both / scale).clamp(-1.0, 1.0) } else { 0.0 })
}

/// The rank of each value, from 0; equal values share the mean of theirs.
fn ranks(values: ArrayView2<'_, f32>) -> Vec<f64> {
    let values: Vec<f32> = values.iter().map(|value| value + 0.0).collect(); // −0 becomes 0
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let equal = order[start..].iter().take_while(|place| values[**place] == values[order[start]]).count();
        let rank = start as f64 + (equal as f64 - 1.0) / 2.0;
        for place in &order[start..start + equal] {
            ranks[*place] = rank;
        }
        start += equal;
    }
    ranks
}
