//! The scores of a network's answers, as tensors with their graph.

use tch::{Kind, Tensor};

use crate::Result;
use crate::classes::Outputs;

/// The least distance of a probability from 0 and 1 for its score.
const LEAST: f64 = 1e-7;

/// As [`Outputs::scores`], of a tensor, so that gradients can be taken: numbers `[N, numbers]` to `[N, answers]`.
pub(crate) fn scores(outputs: Outputs, numbers: &Tensor) -> Result<Tensor> {
    let scores = match outputs {
        Outputs::Softmax | Outputs::Sigmoid => numbers.shallow_clone(),
        Outputs::Probabilities => numbers.f_to_kind(Kind::Float)?.f_logit(LEAST)?,
    };
    if numbers.size().last() != Some(&1) {
        return Ok(scores);
    }
    Ok(Tensor::f_cat(&[&scores.f_neg()?, &scores], -1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{to_host, to_tensor};

    #[test]
    fn tensors_have_the_scores_that_arrays_have() {
        for (outputs, numbers) in [
            (Outputs::Softmax, vec![0.9, -2.0, 3.0]),
            (Outputs::Sigmoid, vec![0.9]),
            (Outputs::Probabilities, vec![0.25, 0.0, 1.0, 0.999]),
            (Outputs::Probabilities, vec![0.3]),
        ] {
            let numbers = ndarray::Array2::from_shape_vec((1, numbers.len()), numbers).unwrap();
            let of_tensor =
                to_host::<ndarray::Ix2>(&scores(outputs, &to_tensor(numbers.view()).unwrap()).unwrap()).unwrap();
            let of_array = outputs.scores(numbers.view());
            assert!((of_tensor - of_array).iter().all(|difference| difference.abs() < 1e-5), "{outputs}");
        }
    }
}
