//! Attention maps on the host: what they are, how they are resampled, fused, measured and scaled.
//!
//! Every map is at least 0 and is kept unscaled on its own grid; scaling ([`Scale`]) is a step of rendering.
//!
//! | name ([`MapName`]) | what it is | range |
//! |---|---|---|
//! | `spatial:STAGE` | that stage's spatial gate; `spatial` is the last one | [`MapRange::Unit`] |
//! | `patch` | attention received per patch, the mean over heads and queries; `patch:H` is head `H` | [`MapRange::Relative`] |
//! | `patch@X,Y` | where the patch at pixel `X`, `Y` of the upright picture looks, the mean over heads | [`MapRange::Relative`] |
//! | `fused` | [`fuse`] of `spatial` and `patch` | [`MapRange::Positive`] |
//! | `gradcam` | Grad-CAM, the reference; made by [`explain`](crate::explain) | [`MapRange::Positive`] |
//! | `channel:STAGE` | the channel gate, a vector: [`Readout::channel`] | [`MapRange::Unit`] |

mod attention_map;
mod fuse;
mod name;
mod named;
mod readout;
mod resample;
mod scale;
mod statistics;

pub use attention_map::{AttentionMap, MapRange};
pub use fuse::fuse;
pub use name::MapName;
pub use readout::{GateReadout, PatchReadout, QueryRow, Readout};
pub use resample::Resample;
pub use scale::{Scale, ScaleLimits};
pub use statistics::MapStatistics;
