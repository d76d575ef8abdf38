//! Attention maps on the host: what they are, how they are resampled, fused, measured and scaled.
//!
//! Every map is at least 0 and is kept unscaled on its own grid; scaling ([`Scale`]) is a step of rendering.
//!
//! | name ([`MapName`]) | what it is | range |
//! |---|---|---|
//! | `spatial:STAGE` | that stage's spatial gate; `spatial` is the last one | [`MapRange::Unit`] |
//! | `patch` | attention received per patch, the mean over heads and queries, on the finest grid; `patch:HEAD` is one head, `patch:STAGE` and `patch:STAGE:HEAD` are those of another stage | [`MapRange::Relative`] |
//! | `patch@X,Y` | where the patch at pixel `X`, `Y` of the upright picture looks, the mean over heads | [`MapRange::Relative`] |
//! | `fused` | [`fuse`]: what of the picture tells the class most, from all patch attentions (or, without these, the gates of the last two resolutions), `gradcam`, and the features | [`MapRange::Positive`] |
//! | `object` | [`object`]: the whole thing, from the same | [`MapRange::Unit`] |
//! | `rollout` | [`rollout`] over several patch self-attentions: attention received in the end | [`MapRange::Relative`] |
//! | `METHOD:STAGE` | an explanation ([`Method`]), such as `gradcam` or `layercam:stage5`; of a scripted network at an output that holds features, `gradcam:output:1` | [`MapRange::Positive`] |
//! | `channel:STAGE` | the channel gate, a vector: [`Readout::channel`] | [`MapRange::Unit`] |

mod attention_map;
mod detail;
mod features;
mod fuse;
mod method;
mod name;
mod named;
mod readout;
mod resample;
mod rollout;
mod scale;
mod statistics;

pub use attention_map::{AttentionMap, MapRange, patch_index};
pub use detail::Detail;
pub use features::FeatureMaps;
pub use fuse::{Ground, attended, fuse, gated, likeness, object};
pub use method::Method;
pub use name::{HEAD, MapName, STEM};
pub(crate) use named::NO_ROLLOUT;
pub use readout::{ClassActivations, Explanation, GateReadout, OutputReadout, PatchReadout, QueryRow, Readout};
pub use resample::Resample;
pub(crate) use resample::Rows;
pub use rollout::{RolloutLayer, rollout, rollout_received};
pub use scale::{Scale, ScaleLimits};
pub use statistics::MapStatistics;
pub(crate) use statistics::mass_threshold;
