//! How attention layers are built. The layers themselves, for tch networks, are in the crate `cbam`.

mod bam;
mod cbam;
mod channel;
mod eca;
mod patch;
mod spatial;
mod squeeze_excite;

pub use bam::{BamConfig, BamForm};
pub use cbam::CbamConfig;
pub use channel::{ChannelAttentionConfig, Pool};
pub use eca::EcaConfig;
pub use patch::PatchAttentionConfig;
pub use spatial::{Padding, PoolOrder, SpatialAttentionConfig};
pub use squeeze_excite::SqueezeExciteConfig;
