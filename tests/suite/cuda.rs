//! What a GPU says against what a CPU says.
//!
//! Every test here is ignored, since it needs a GPU: `cargo test --release --test suite cuda_ -- --ignored --test-threads 1`, or
//! `scripts/gpu-check.sh` where there is no Rust. With `CBAM_TEST_DEVICE=cpu` they compare the CPU with itself: that shows that the
//! tests hold, and nothing of a GPU.

mod explain;
mod layers;
mod network;
mod programs;
mod training;

use std::sync::OnceLock;

use cbam::sys::{DeviceSpec, resolve};
use tch::{Device, Tensor};

/// The device as a program takes it.
fn there() -> String {
    std::env::var("CBAM_TEST_DEVICE").unwrap_or_else(|_| "cuda".to_owned())
}

/// The device that is compared with the CPU. Every test asks first, before anything else of libtorch.
fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    *DEVICE.get_or_init(|| {
        let spec: DeviceSpec = there().parse().unwrap();
        resolve(spec).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// By what share of the largest value f32 may be off: a GPU's convolutions and matrix products keep ten bits (TF32) unless
/// `NVIDIA_TF32_OVERRIDE=0` says otherwise.
fn share() -> f64 {
    if std::env::var("NVIDIA_TF32_OVERRIDE").as_deref() == Ok("0") || device() == Device::Cpu { 1e-4 } else { 5e-3 }
}

/// The largest difference, as a share of the largest value expected; where that is 0 everywhere, as it is.
fn off(expected: &Tensor, got: &Tensor) -> f64 {
    let here = |tensor: &Tensor| tensor.to_device(Device::Cpu).to_kind(tch::Kind::Double);
    let (expected, got) = (here(expected), here(got));
    assert_eq!(expected.size(), got.size());
    let most = expected.abs().max().double_value(&[]);
    (expected - got).abs().max().double_value(&[]) / if most > 0.0 { most } else { 1.0 }
}
