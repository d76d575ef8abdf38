//! The figures of a set of pictures.

use serde::{Serialize, Serializer};

use crate::eval::{
    AccuracySummary, BOX_IOUS, BoxAccuracy, CalibrationSummary, Difference, Estimate, LocalisationSummary,
};

/// Figures over one selection of pictures.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Figures {
    /// What is selected, in words.
    pub name: String,
    /// Top-1 and top-5, over pictures whose class is known.
    pub accuracy: AccuracySummary,
    /// Whether confidence can be believed, over the same pictures; none if there is none.
    pub calibration: Option<CalibrationSummary>,
    /// By the subject's name, in the order in which they were asked for; empty if it is known of no picture where the objects are.
    #[serde(serialize_with = "as_object")]
    pub maps: Vec<(String, MapFigures)>,
}

impl Figures {
    /// The figures of a map, by its name (`fused`), or of a baseline (`centre Gaussian`).
    pub fn map(&self, name: &str) -> Option<&MapFigures> {
        self.maps.iter().find(|(own, _)| own == name).map(|(_, figures)| figures)
    }
}

/// How well one map points.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MapFigures {
    /// The pointing game, energy and IoU.
    #[serde(flatten)]
    pub summary: LocalisationSummary,
    /// `MaxBoxAcc` at each of [`BOX_IOUS`].
    pub boxes: [BoxAccuracy; BOX_IOUS.len()],
}

/// How faithful one map is, over the subset.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct FaithFigures {
    /// The subject's name.
    pub map: String,
    /// On how many pictures it was measured.
    pub n: usize,
    /// The area under insertion, in `[0, 1]`; high is good.
    pub insertion: Estimate,
    /// The area under deletion, in `[0, 1]`; low is good.
    pub deletion: Estimate,
    /// The share of the confidence that is lost under the map, in `[0, 1]`; low is good.
    pub average_drop: Estimate,
    /// How often confidence grows under the map, in `[0, 1]`; high is good.
    pub increase: Estimate,
    /// ROAD; high is good.
    pub road: Estimate,
    /// The mean confidence at equal steps of insertion, from 0 to 1.
    pub insertion_curve: Vec<f64>,
    /// The mean confidence at equal steps of deletion, from 0 to 1.
    pub deletion_curve: Vec<f64>,
}

/// How much a map changes as the weights are randomised.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SanityFigures {
    /// The map's name.
    pub map: String,
    /// On how many pictures it was measured.
    pub n: usize,
    /// The rank correlation with the map before, in `[-1, 1]`, for each randomised model; near 0 is good.
    pub correlation: Vec<Estimate>,
}

/// The difference between two maps in one figure.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DifferenceFigures {
    /// The map's name.
    pub map: String,
    /// The name of the map that is taken off.
    pub against: String,
    /// The figure's name.
    pub figure: &'static str,
    /// Whether more is better.
    pub high_is_good: bool,
    /// How much the map has more, and how sure that is.
    #[serde(flatten)]
    pub difference: Difference,
}

fn as_object<S: Serializer>(maps: &[(String, MapFigures)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(maps.iter().map(|(name, figures)| (name, figures)))
}
