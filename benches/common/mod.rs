//! What the benches share.
#![allow(dead_code, reason = "every bench takes its part")]

use std::num::NonZeroUsize;
use std::path::PathBuf;

use cbam::Result;
use cbam::attention::{Cbam, CbamConfig, CbamOutput, PatchAttention, PatchAttentionConfig, PatchAttentionOutput};
use cbam::network::{ForwardPrecision, Network, Output};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

/// The threads of every bench.
pub(crate) const THREADS: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// The default network with its attention, ready for inference, on the threads that `cbam-run` gives it: the crate's own
/// kernels take rayon's, and what libtorch does besides is too little to be shared.
pub(crate) fn default_network(device: Device, precision: ForwardPrecision) -> Result<Network> {
    let network = Network::pretrained(device)?.in_precision(precision)?.for_inference();
    if network.is_prepared() {
        cbam::sys::set_threads(NonZeroUsize::MIN);
    }
    Ok(network)
}

/// What the network says about pictures `[N, 3, H, W]` when nothing is trained.
pub(crate) fn infer(network: &Network, xs: &Tensor) -> Result<Output> {
    tch::no_grad(|| network.forward(xs, false))
}

/// Values as of a normal distribution, the same every time.
pub(crate) fn normal(size: &[i64], device: Device) -> Tensor {
    tch::manual_seed(0);
    Tensor::randn(size, (Kind::Float, Device::Cpu)).to_device(device)
}

/// CBAM as timm's `CbamModule` has it: r = 16, 7×7, with BatchNorm.
#[derive(Debug)]
pub(crate) struct CbamBlock {
    _variables: VarStore,
    layer: Cbam,
}

impl CbamBlock {
    pub(crate) fn new(channels: i64) -> Result<Self> {
        let variables = VarStore::new(Device::Cpu);
        let layer = Cbam::new(variables.root(), channels, &CbamConfig::default())?;
        Ok(Self { _variables: variables, layer })
    }

    pub(crate) fn forward(&self, xs: &Tensor) -> Result<CbamOutput> {
        tch::no_grad(|| self.layer.forward(xs, false))
    }
}

/// The patch self-attention of the default network's stage 5.
#[derive(Debug)]
pub(crate) struct PatchBlock {
    _variables: VarStore,
    layer: PatchAttention,
}

impl PatchBlock {
    /// The channels of that stage.
    pub(crate) const CHANNELS: i64 = 112;
    /// How many pixels one of its cells covers along a side.
    pub(crate) const STRIDE: i64 = 16;

    pub(crate) fn new() -> Result<Self> {
        let variables = VarStore::new(Device::Cpu);
        let layer = PatchAttention::new(variables.root(), Self::CHANNELS, &PatchAttentionConfig::default())?;
        Ok(Self { _variables: variables, layer })
    }

    /// Features for a picture of this size.
    pub(crate) fn features(height: i64, width: i64) -> Tensor {
        normal(&[1, Self::CHANNELS, height / Self::STRIDE, width / Self::STRIDE], Device::Cpu)
    }

    /// With the weights.
    pub(crate) fn forward(&self, xs: &Tensor) -> Result<PatchAttentionOutput> {
        tch::no_grad(|| self.layer.forward(xs))
    }
}

/// A bundled picture.
pub(crate) fn bundled(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/images").join(name)
}
