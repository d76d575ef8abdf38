//! The small perceptron of a channel gate.

use pulp::{Simd, WithSimd};

use super::{dispatch, with_scratch};

/// Two linear layers with a ReLU between them, for single vectors.
#[derive(Debug, Clone, Copy)]
pub struct Mlp<'a> {
    /// The first layer, `[hidden, C]`.
    pub first: &'a [f32],
    /// Its biases, `[hidden]`.
    pub first_bias: Option<&'a [f32]>,
    /// The second layer, `[C, hidden]`.
    pub second: &'a [f32],
    /// Its biases, `[C]`.
    pub second_bias: Option<&'a [f32]>,
}

impl Mlp<'_> {
    /// The sum of what it gives for each of `inputs`, `[C]`.
    pub fn sum(&self, inputs: &[&[f32]], outputs: &mut [f32]) {
        let hidden = self.second.len() / outputs.len();
        with_scratch(hidden, |hidden| dispatch(Task { mlp: self, inputs, hidden, outputs }));
    }
}

struct Task<'a> {
    mlp: &'a Mlp<'a>,
    inputs: &'a [&'a [f32]],
    hidden: &'a mut [f32],
    outputs: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { mlp, inputs, hidden, outputs } = self;
        // The second layer is linear: the hidden values can be added before it.
        for (index, (weights, hidden)) in mlp.first.chunks_exact(outputs.len()).zip(&mut *hidden).enumerate() {
            let bias = mlp.first_bias.map_or(0.0, |biases| biases[index]);
            *hidden = 0.0;
            for input in inputs {
                let x = dot(simd, weights, input) + bias;
                *hidden += if x < 0.0 { 0.0 } else { x }; // what is no number stays so
            }
        }
        for (index, (weights, output)) in mlp.second.chunks_exact(hidden.len()).zip(outputs).enumerate() {
            let bias = mlp.second_bias.map_or(0.0, |biases| biases[index]);
            *output = dot(simd, weights, hidden) + inputs.len() as f32 * bias;
        }
    }
}

#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, last_a), (b, last_b)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut sums = [simd.splat_f32s(0.0); 4];
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        sums[index % 4] = simd.mul_add_e_f32s(*a, *b, sums[index % 4]);
    }
    let sum = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
    simd.reduce_sum_f32s(sum) + last_a.iter().zip(last_b).map(|(a, b)| a * b).sum::<f32>()
}
