//! What the benches share.
#![allow(dead_code, reason = "every bench takes its part")]

use std::num::NonZeroUsize;
use std::path::PathBuf;

use cbam::attention::{Cbam, CbamConfig, CbamOutput, PatchAttention, PatchAttentionConfig, PatchAttentionOutput};
use cbam::maps::Readout;
use cbam::model::Model;
use cbam::network::{ForwardPrecision, Inference, Network};
use cbam::{Error, Result};
use ndarray::Array4;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

/// The threads of every bench.
pub(crate) const THREADS: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// The default network with its attention, in the form in which it looks fastest, on the threads that `cbam-run` gives it: the crate's
/// own kernels take rayon's.
pub(crate) fn default_network(device: Device, precision: ForwardPrecision) -> Result<Looking> {
    let network = Network::pretrained(device)?;
    if device == Device::Cpu && precision == ForwardPrecision::Bf16 {
        cbam::sys::set_threads(NonZeroUsize::MIN);
        return Ok(Looking::Inference(Box::new(network.for_inference()?.in_precision(precision)?)));
    }
    Looking::of(network.in_precision(precision)?)
}

/// A network as it looks.
pub(crate) enum Looking {
    Inference(Box<Inference>),
    Network(Box<Network>),
}

impl Looking {
    pub(crate) fn of(network: Network) -> Result<Self> {
        if !network.is_f32_on_cpu() {
            return Ok(Self::Network(Box::new(network)));
        }
        cbam::sys::set_threads(NonZeroUsize::MIN);
        Ok(Self::Inference(Box::new(network.for_inference()?)))
    }

    pub(crate) fn model(&self) -> &dyn Model {
        match self {
            Self::Inference(network) => &**network,
            Self::Network(network) => &**network,
        }
    }

    /// Everything that it says about pictures `[N, 3, H, W]`, which lie where it takes them from.
    pub(crate) fn forward(&self, xs: &Pixels) -> Result<Vec<Readout>> {
        match (self, xs) {
            (Self::Inference(network), Pixels::Array(xs)) => Ok(network.run(xs.view(), &[])?),
            (Self::Network(network), Pixels::Tensor(xs)) => tch::no_grad(|| network.forward(xs, false)).map(|output| {
                std::hint::black_box(output);
                Vec::new()
            }),
            _ => Err(Error::argument("pixels", "lie elsewhere")),
        }
    }

    /// Pictures as of a normal distribution, where it takes them from.
    pub(crate) fn pixels(&self, [n, c, h, w]: [usize; 4]) -> Pixels {
        let size = [n, c, h, w].map(|side| side as i64);
        match self {
            Self::Inference(_) => {
                let values = Vec::<f32>::try_from(normal(&size, Device::Cpu).flatten(0, -1)).unwrap_or_default();
                Pixels::Array(Array4::from_shape_vec((n, c, h, w), values).expect("as many as the shape says"))
            }
            Self::Network(network) => Pixels::Tensor(normal(&size, network.device())),
        }
    }
}

/// Pictures `[N, 3, H, W]`.
pub(crate) enum Pixels {
    Array(Array4<f32>),
    Tensor(Tensor),
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
