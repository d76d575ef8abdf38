//! How right a network is, and how well its maps point: plain numbers on the host, no tensor.
//!
//! | module | question | figures |
//! |---|---|---|
//! | [`Accuracy`] | is the class right? | top-1, top-5, each with a Wilson interval |
//! | [`Calibration`] | can its confidence be believed? | ECE, negative log likelihood |
//! | [`Localisation`], [`MaxBoxAcc`] | does the map lie on the object? | pointing game, energy, best-threshold IoU; boxes |
//! | [`faithfulness()`] | does the decision rest on what the map names? | insertion, deletion, drop, increase, ROAD |
//! | [`rank_correlation`] | does the map depend on the weights? | Spearman's rank correlation |
//! | [`Difference`] | is one method better than another? | paired bootstrap interval |
//! | [`Truth`] | what is right? | a table, COCO, Pascal VOC, masks or class folders |
//! | [`Remarks`] | what was left out, changed or assumed? | counts, and the first places |
//! | [`centre_gaussian`] | what does a guess score? | the baselines |
//! | [`Clutter`] | and on pictures made difficult? | seeded composites |
//! | [`ScoreCache`] | what was measured before? | scores by the content of the picture |
//! | [`PictureSource`] | where are the pictures? | a folder, or a tar archive read in order |
//!
//! The accumulators keep sums only, so their memory does not grow with the number of pictures.

mod accuracy;
mod baseline;
mod bootstrap;
mod cache;
mod calibration;
mod clutter;
mod components;
mod estimate;
mod faithfulness;
mod localisation;
mod max_box;
mod remarks;
mod sanity;
mod source;
mod truth;

pub use crate::photo::ClutterKind;
pub use accuracy::{Accuracy, AccuracySummary, rank};
pub use baseline::{centre_gaussian, centre_point};
pub use bootstrap::{Difference, RESAMPLES};
pub use cache::ScoreCache;
pub use calibration::{BINS, Bin, Calibration, CalibrationSummary};
pub use clutter::{Clutter, Cluttered};
pub use estimate::{Estimate, Mean, Proportion};
pub use faithfulness::{
    Classify, Confidence, Curves, Faithfulness, FaithfulnessOptions, Road, area_under, faithfulness, gaussian_blur,
    impute,
};
pub use localisation::{Localisation, LocalisationSummary, PictureScore, THRESHOLDS, thresholds};
pub use max_box::{BOX_IOUS, BoxAccuracy, MaxBoxAcc, box_iou, drawn_box};
pub use remarks::{Remark, RemarkKind, Remarks};
pub use sanity::rank_correlation;
pub use source::PictureSource;
pub use truth::{BoundingBox, ClassNames, Object, Region, Truth, TruthFormat, TruthRow};
