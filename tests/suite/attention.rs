//! The attention layers: against PyTorch and timm, by their laws, and in use.

mod configurations;
pub(crate) mod golden;
mod laws;
mod layers;

use tch::{Device, Kind, Tensor, nn};

/// The tests run side by side on tiny tensors: more threads in each only wait for one another.
fn one_thread() {
    tch::set_num_threads(1);
}

/// A tensor of waves: asymmetric, of both signs, the same on every run; different for each seed.
fn waves(size: &[i64], seed: u32) -> Tensor {
    one_thread();
    let count: i64 = size.iter().product();
    let steps = Tensor::arange(count, (Kind::Double, Device::Cpu));
    let angles = &steps * 12.9898 + f64::from(seed) * 78.233;
    let noise = angles.sin() * 43_758.545_3; // the usual hash of shaders
    ((&noise - noise.floor()) * 2.4 - 1.1).to_kind(Kind::Float).reshape(size)
}

/// Overwrites every parameter with waves / 2, so that a test does not hang on the random start; the statistics stay.
fn set_parameters(variables: &nn::VarStore, seed: u32) {
    let mut named: Vec<_> = variables.variables().into_iter().collect();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    for (seed, (name, mut variable)) in (seed..).zip(named) {
        if !name.contains("running") {
            tch::no_grad(|| variable.copy_(&(waves(&variable.size(), seed) * 0.5)));
        }
    }
}

/// The largest absolute difference.
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}
