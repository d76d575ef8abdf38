//! What is measured on one picture, as it is kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbam_core::eval::{self, Region, Remarks, area_under};
use cbam_core::model::Look;
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

/// What the network says about a picture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The class that comes first, and its probability.
    pub(crate) class: usize,
    pub(crate) confidence: f32,
    /// How many classes come before the true one, and its probability.
    pub(crate) truth: Option<(usize, f32)>,
    /// The share of the picture that the objects cover.
    pub(crate) share: Option<f64>,
    /// What is to be said of the picture and its truth.
    #[serde(default)]
    pub(crate) remarks: Remarks,
}

impl Seen {
    pub(crate) fn new(look: &Look, class: Option<usize>, share: Option<f64>) -> cbam_core::Result<Self> {
        let probabilities = look.readout.probabilities.view();
        if probabilities.iter().any(|probability| !probability.is_finite()) {
            return Err(cbam_core::Error::network("the network's answer", "a probability is not a number"));
        }
        let first = look.likeliest;
        let first =
            first.ok_or_else(|| cbam_core::Error::network("the network's answer", "it says nothing of classes"))?;
        let truth = match class {
            Some(class) => Some((eval::rank(probabilities, class)?, probabilities[class])),
            None => None,
        };
        Ok(Self { class: first, confidence: probabilities[first], truth, share, remarks: Remarks::default() })
    }
}

/// How well a map points.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Located {
    pub(crate) pointing: bool,
    pub(crate) energy: f64,
    pub(crate) iou: Vec<f64>,
    pub(crate) centre: bool,
    /// The IoU of the box that the map draws.
    pub(crate) boxes: Vec<f64>,
}

impl Located {
    /// Scores a map at the picture's resolution.
    pub(crate) fn new(map: ArrayView2<'_, f32>, region: &Region) -> cbam_core::Result<Self> {
        let score = eval::PictureScore::on(map, region)?;
        let boxes = eval::box_iou(map, &region.boxes)?.to_vec();
        let eval::PictureScore { pointing, energy, iou, centre } = score;
        Ok(Self { pointing, energy, iou: iou.to_vec(), centre, boxes })
    }

    pub(crate) fn score(&self) -> eval::PictureScore {
        let iou = std::array::from_fn(|k| self.iou.get(k).copied().unwrap_or(0.0));
        eval::PictureScore { pointing: self.pointing, energy: self.energy, iou, centre: self.centre }
    }
}

/// Whether the decision rests on what a map names.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Faithful {
    pub(crate) insertion: Vec<f32>,
    pub(crate) deletion: Vec<f32>,
    pub(crate) drop: f64,
    pub(crate) increase: bool,
    pub(crate) road: f64,
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
    pub(crate) fn insertion_auc(&self) -> f64 {
        area_under(&self.insertion)
    }

    pub(crate) fn deletion_auc(&self) -> f64 {
        area_under(&self.deletion)
    }
}

/// A map that took long to make, and how long.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Made {
    rows: usize,
    columns: usize,
    /// The values as little-endian f32, in base64.
    values: String,
    pub(crate) seconds: f64,
}

impl Made {
    pub(crate) fn new(map: &Array2<f32>, seconds: f64) -> Self {
        let bytes: Vec<u8> = map.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { rows: map.nrows(), columns: map.ncols(), values: STANDARD.encode(bytes), seconds }
    }

    /// The map; none if it is not what it says.
    pub(crate) fn map(&self) -> Option<Array2<f32>> {
        let bytes = STANDARD.decode(&self.values).ok()?;
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Array2::from_shape_vec((self.rows, self.columns), values).ok()
    }
}

/// What is measured on one cluttered picture.
#[derive(Debug, Clone)]
pub(crate) struct InClutter {
    pub(crate) kind: String,
    pub(crate) seen: Seen,
    /// For each subject.
    pub(crate) located: Vec<Option<Located>>,
}

/// Everything that is measured on one picture.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) row: usize,
    pub(crate) seen: Seen,
    /// For each subject: localisation, faithfulness, and the rank correlation with the map after each randomisation.
    pub(crate) located: Vec<Option<Located>>,
    pub(crate) faithful: Vec<Option<Faithful>>,
    pub(crate) sane: Vec<Option<Vec<f64>>>,
    /// The seconds that a costly map took.
    pub(crate) seconds: Vec<Option<f64>>,
    /// On clutter that training uses, and on clutter that it does not.
    pub(crate) clutter: Vec<InClutter>,
}
