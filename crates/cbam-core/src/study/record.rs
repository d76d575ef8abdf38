//! What is measured on one picture, as it is kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::eval::{self, Region, Remarks, area_under};
use crate::maps::{AttentionMap, MapRange};
use crate::model::Look;
use crate::{Error, Result};

/// What the model says about a picture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seen {
    /// The class that comes first.
    pub class: usize,
    /// Its probability, in `[0, 1]`.
    pub confidence: f32,
    /// How many classes come before the true one, and its probability; none if the true class is not known.
    pub truth: Option<(usize, f32)>,
    /// The share of the picture that the objects cover, in `[0, 1]`; none if it is not known where they are.
    pub share: Option<f64>,
    /// What was changed or assumed about the picture and its truth.
    #[serde(default)]
    pub remarks: Remarks,
}

impl Seen {
    pub(super) fn new(look: &Look, class: Option<usize>, share: Option<f64>) -> Result<Self> {
        let probabilities = look.readout.probabilities.view();
        if probabilities.iter().any(|probability| !probability.is_finite()) {
            return Err(Error::network("the network's answer", "a probability is not a number"));
        }
        let first = look.likeliest;
        let first = first.ok_or_else(|| Error::network("the network's answer", "it says nothing of classes"))?;
        let truth = match class {
            Some(class) => Some((eval::rank(probabilities, class)?, probabilities[class])),
            None => None,
        };
        Ok(Self { class: first, confidence: probabilities[first], truth, share, remarks: Remarks::default() })
    }
}

/// How well a map points.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Located {
    /// Whether its strongest pixel lies on an object.
    pub pointing: bool,
    /// The share of its sum that lies on the objects, in `[0, 1]`.
    pub energy: f64,
    /// The IoU with the objects at each of [`thresholds`](crate::eval::thresholds), in `[0, 1]`.
    pub iou: Vec<f64>,
    /// Whether the central pixel lies on an object.
    pub centre: bool,
    /// The IoU of the box that the map draws at each of these thresholds, in `[0, 1]`.
    pub boxes: Vec<f64>,
}

impl Located {
    /// Scores a map at the picture's resolution.
    pub(super) fn new(map: ArrayView2<'_, f32>, region: &Region) -> Result<Self> {
        let score = eval::PictureScore::on(map, region)?;
        let boxes = eval::box_iou(map, &region.boxes)?.to_vec();
        let eval::PictureScore { pointing, energy, iou, centre } = score;
        Ok(Self { pointing, energy, iou: iou.to_vec(), centre, boxes })
    }

    pub(super) fn score(&self) -> eval::PictureScore {
        let iou = std::array::from_fn(|k| self.iou.get(k).copied().unwrap_or(0.0));
        eval::PictureScore { pointing: self.pointing, energy: self.energy, iou, centre: self.centre }
    }
}

/// Whether the decision rests on what a map names; see [`faithfulness()`](crate::eval::faithfulness()).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Faithful {
    /// The confidence at each step of insertion, from none of the picture to all, in `[0, 1]`.
    pub insertion: Vec<f32>,
    /// The confidence at each step of deletion, from all of the picture to none, in `[0, 1]`.
    pub deletion: Vec<f32>,
    /// The share of the confidence that is lost where the picture is multiplied with the map, in `[0, 1]`.
    pub drop: f64,
    /// Whether confidence grows instead.
    pub increase: bool,
    /// ROAD: the confidence with the least relevant pixels filled in, less that with the most relevant filled in, halved.
    pub road: f64,
}

impl From<eval::Faithfulness> for Faithful {
    fn from(of: eval::Faithfulness) -> Self {
        Self {
            drop: of.confidence.drop(),
            increase: of.confidence.increase(),
            road: of.road.score(),
            insertion: of.curves.insertion,
            deletion: of.curves.deletion,
        }
    }
}

impl Faithful {
    /// The area under insertion, in `[0, 1]`; high is good.
    pub fn insertion_auc(&self) -> f64 {
        area_under(&self.insertion)
    }

    /// The area under deletion, in `[0, 1]`; low is good.
    pub fn deletion_auc(&self) -> f64 {
        area_under(&self.deletion)
    }
}

/// A map that took long to make, and how long.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Made {
    rows: usize,
    columns: usize,
    /// The values as little-endian f32, in base64.
    values: String,
    pub(super) seconds: f64,
}

impl Made {
    pub(super) fn new(map: &Array2<f32>, seconds: f64) -> Self {
        let bytes: Vec<u8> = map.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { rows: map.nrows(), columns: map.ncols(), values: STANDARD.encode(bytes), seconds }
    }

    /// The map.
    ///
    /// # Errors
    /// [`Error::Argument`] about `name` if it is not what it says.
    pub(super) fn map(&self, name: &str) -> Result<AttentionMap> {
        let map = self.values().ok_or_else(|| Error::argument(name, "the kept map is not whole"))?;
        AttentionMap::new(map, MapRange::Positive)
    }

    fn values(&self) -> Option<Array2<f32>> {
        let bytes = STANDARD.decode(&self.values).ok()?;
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Array2::from_shape_vec((self.rows, self.columns), values).ok()
    }
}

/// What is measured on one cluttered picture.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct InClutter {
    /// The kind of clutter: the name of a [`ClutterKind`](crate::eval::ClutterKind).
    pub kind: String,
    /// What the model says about it.
    pub seen: Seen,
    /// How well the map of each subject points; none of a costly map, and where it is not known where the objects are.
    pub located: Vec<Option<Located>>,
}

/// What is measured of one subject on one picture.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct MeasuredMap {
    /// How well it points, if it is known where the objects are.
    pub located: Option<Located>,
    /// Whether the decision rests on what it names, on the subset.
    pub faithful: Option<Faithful>,
    /// The rank correlation with the map after each randomisation, in `[-1, 1]`.
    pub sane: Option<Vec<f64>>,
    /// The seconds that it took to make, of a costly map.
    pub seconds: Option<f64>,
}

/// Everything that is measured on one picture.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Measured {
    /// The picture, by its place in [`StudyPictures::rows`](super::StudyPictures::rows).
    pub row: usize,
    /// What the model says about it.
    pub seen: Seen,
    /// For each of [`Study::subjects`](super::Study::subjects).
    pub maps: Vec<MeasuredMap>,
    /// On clutter that training uses, and on clutter that it does not; empty if clutter is not asked for.
    pub clutter: Vec<InClutter>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_map_is_the_same_to_the_bit_or_none() {
        let map = Array2::from_shape_fn((3, 2), |(y, x)| 0.1 * (y as f32 + 0.3 * x as f32));
        let made = Made::new(&map, 0.5);
        assert_eq!(made.map("rise").unwrap().values(), &map);
        let error = Made { rows: 4, ..made }.map("rise").unwrap_err().to_string();
        assert_eq!(error, "rise: the kept map is not whole");
    }
}
