//! Attention layers for tch networks: one layer, one paper, one page each. Every layer returns what it attended to.
//!
//! | module | paper | returns |
//! |---|---|---|
//! | [`scaled_dot_product`](mod@scaled_dot_product) | Vaswani et al. 2017, *Attention Is All You Need*, eq. 1 | context, weights `[.., Tq, Tk]`; or, fused, the context alone |
//! | [`score`] | Bahdanau et al. 2015 (additive); Luong et al. 2015 (dot, general, concat) | scores `[N, Tq, Tk]`; context, weights |
//! | [`multi_head`] | Vaswani et al. 2017, section 3.2.2 | context `[N, Tq, dim]`, weights `[N, heads, Tq, Tk]` |
//! | [`channel`] | Woo et al. 2018, *CBAM*, eq. 2 | gated features, gate and logits `[N, C]` |
//! | [`spatial`] | Woo et al. 2018, *CBAM*, eq. 3 | gated features, gate and logits `[N, H, W]` |
//! | [`cbam`](mod@cbam) | Woo et al. 2018, *CBAM*, eq. 1 | gated features, both gates with their logits |
//! | [`squeeze_excite`] | Hu et al. 2018, *Squeeze-and-Excitation*, eqs. 2–4 | gated features, gate and logits `[N, C]` |
//! | [`eca`](mod@eca) | Wang et al. 2020, *ECA-Net*, eqs. 9, 12 | gated features, gate and logits `[N, C]` |
//! | [`bam`](mod@bam) | Park et al. 2018, *BAM*, eqs. 1–4 | gated features, gate `[N, C, H, W]`, and its means with their logits |
//! | [`patch`] | Vaswani et al. 2017 on the patches of a feature map (Dosovitskiy et al. 2021) | features, weights `[N, heads, T, T]`, grid |
//! | [`positions`] | Vaswani et al. 2017, section 3.5, on two axes | positions `[rows * columns, dim]` |
//!
//! A layer's own `forward` checks shape, kind and device once, at its edge, and returns a [`Result`](crate::Result).
//! The layers with one input also implement [`nn::Module`](tch::nn::Module) or [`nn::ModuleT`](tch::nn::ModuleT), so that they chain in
//! [`nn::seq_t`](tch::nn::seq_t); there they panic on a wrong input, as tch's own layers do.
//! Parameters and input must have the same kind (f32, f64, bf16 or f16) and device.
//!
//! ```
//! use cbam::attention::{Cbam, CbamConfig};
//! use tch::{Device, Kind, Tensor, nn, nn::ModuleT};
//!
//! # fn main() -> cbam::Result<()> {
//! let variables = nn::VarStore::new(Device::Cpu);
//! let p = variables.root();
//! let network = nn::seq_t()
//!     .add(nn::conv2d(&p / "conv", 3, 32, 3, nn::ConvConfig { padding: 1, ..Default::default() }))
//!     .add(Cbam::new(&p / "cbam", 32, &CbamConfig::default())?);
//! let features = network.forward_t(&Tensor::rand([2, 3, 24, 40], (Kind::Float, Device::Cpu)), false);
//! assert_eq!(features.size(), [2, 32, 24, 40]);
//!
//! // The layer by itself also says where it looked.
//! let cbam = Cbam::new(&p / "another", 32, &CbamConfig::default())?;
//! let output = cbam.forward(&features, false)?;
//! assert_eq!(output.channel.gate.size(), [2, 32]);
//! assert_eq!(output.spatial.expect("the default has a spatial gate").gate.size(), [2, 24, 40]);
//! # Ok(())
//! # }
//! ```

pub mod bam;
pub mod cbam;
pub mod channel;
mod check;
pub mod eca;
mod init;
pub mod multi_head;
pub mod patch;
pub mod positions;
pub mod scaled_dot_product;
pub mod score;
pub mod spatial;
pub mod squeeze_excite;

pub use bam::{Bam, BamOutput};
pub use cbam::{Cbam, CbamOutput, Gate};
pub use cbam_core::attention::{
    BamConfig, BamForm, CbamConfig, ChannelAttentionConfig, EcaConfig, Padding, PatchAttentionConfig, Pool, PoolOrder,
    SpatialAttentionConfig, SqueezeExciteConfig,
};
pub use channel::{ChannelAttention, ChannelAttentionOutput};
pub use eca::{Eca, EcaOutput};
pub use multi_head::{MultiHeadAttention, MultiHeadConfig, MultiHeadOutput};
pub use patch::{PatchAttention, PatchAttentionOutput, patchify, unpatchify};
pub use positions::sine_cosine_2d;
pub use scaled_dot_product::{AttentionOutput, scaled_dot_product, scaled_dot_product_fused};
pub use score::{Score, ScoreConfig, read_out};
pub use spatial::{SpatialAttention, SpatialAttentionOutput};
pub use squeeze_excite::{SqueezeExcite, SqueezeExciteOutput};
