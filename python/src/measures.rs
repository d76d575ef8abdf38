//! How well maps point, how right a network is, and how faithful maps are to it.

use std::path::PathBuf;

use cbam_core::Error;
use cbam_core::classes::Outputs;
use cbam_core::eval::{
    Accuracy, BoundingBox, Calibration, ClassNames, FaithfulnessOptions, Localisation, MaxBoxAcc, PictureScore,
    Proportion, Region, Remarks, Truth, TruthRow, box_iou, faithfulness, rank,
};
use cbam_core::photo::ImageSize;
use cbam_core::study::at_size;
use ndarray::{Array2, ArrayView4};
use numpy::{IntoPyArray, PyReadonlyArray2, PyReadonlyArray3};
use pyo3::prelude::*;
use serde_json::json;

use crate::errors::OrRaise;
use crate::look::Look;
use crate::threads::{answering, apart};

/// Where the objects of a picture are.
#[pyclass(frozen, module = "cbam._cbam")]
pub(crate) struct Objects(Region);

/// What one map scores on one picture.
#[pyclass(frozen, module = "cbam._cbam")]
pub(crate) struct Score {
    score: PictureScore,
    boxes: Vec<f64>,
}

#[pymethods]
impl Objects {
    /// Of a picture of this width and height: those in boxes, each its left, top, right and bottom edge in pixels.
    #[staticmethod]
    fn in_boxes(size: (u32, u32), boxes: Vec<[f64; 4]>) -> PyResult<Self> {
        let size = ImageSize::new(size.0, size.1);
        let boxes: Vec<_> = boxes.into_iter().map(|[x0, y0, x1, y1]| BoundingBox { x0, y0, x1, y1 }).collect();
        for found in &boxes {
            let cut = found.cut(size);
            if !(cut.x0 < cut.x1 && cut.y0 < cut.y1) {
                return Err(Error::argument("truth", format!("no pixel of a picture of {size} lies in {found:?}")))
                    .or_raise();
            }
        }
        if boxes.is_empty() {
            return Err(Error::argument("truth", "no box is given")).or_raise();
        }
        Ok(Self(Region::of_boxes(&boxes, size)))
    }

    /// Those whose pixels a mask `[H, W]` has.
    #[staticmethod]
    fn in_mask(mask: PyReadonlyArray2<'_, bool>) -> PyResult<Self> {
        let inside = mask.as_array().to_owned();
        if !inside.iter().any(|inside| *inside) {
            return Err(Error::argument("truth", "a mask without an object")).or_raise();
        }
        Ok(Self(Region::of_mask(inside, None)))
    }

    /// The share of the picture that they cover.
    #[getter]
    fn share(&self) -> f64 {
        self.0.share()
    }
}

/// The truth of a file or folder about pictures of these names, whose classes have these labels: for each picture its class, and its
/// objects as a function of its width and height; and what was left out, changed or assumed.
#[pyclass(frozen, module = "cbam._cbam")]
pub(crate) struct Truths {
    rows: Vec<TruthRow>,
    remarks: Vec<String>,
}

#[pymethods]
impl Truths {
    #[new]
    fn new(py: Python<'_>, path: PathBuf, labels: Vec<String>, names: Vec<String>) -> PyResult<Self> {
        let truth = apart(py, |_| Truth::open(&path, &ClassNames::new(labels), &names))?;
        let remarks = truth.remarks.iter().map(ToString::to_string).collect();
        Ok(Self { rows: truth.rows, remarks })
    }

    #[getter]
    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }

    /// The pictures, by the paths that the truth has for them.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.image.clone()).collect()
    }

    /// The true class of a row.
    fn class_(&self, row: usize) -> Option<usize> {
        self.rows.get(row)?.class
    }

    /// The objects of a row, on a picture of this width and height; `None` if nobody knows them.
    fn objects(&self, py: Python<'_>, row: usize, size: (u32, u32)) -> PyResult<Option<Objects>> {
        let Some(row) = self.rows.get(row).filter(|row| row.has_object()) else { return Ok(None) };
        apart(py, |_| {
            let region = row.region(ImageSize::new(size.0, size.1), &mut Remarks::default())?;
            Ok(Some(Objects(region)))
        })
    }
}

/// What a look's map of that name scores where objects are.
#[pyfunction]
pub(crate) fn score(py: Python<'_>, look: &Look, map: &str, objects: &Objects) -> PyResult<Score> {
    apart(py, |_| {
        let (height, width) = objects.0.inside.dim();
        let map = at_size(&look.attention(map)?, ImageSize::new(width as u32, height as u32))?;
        let boxes = box_iou(map.view(), &objects.0.boxes)?.to_vec();
        Ok(Score { score: PictureScore::on(map.view(), &objects.0)?, boxes })
    })
}

#[pymethods]
impl Score {
    #[getter]
    fn pointing(&self) -> bool {
        self.score.pointing
    }

    #[getter]
    fn energy(&self) -> f64 {
        self.score.energy
    }

    #[getter]
    fn iou(&self) -> Vec<f64> {
        self.score.iou.to_vec()
    }
}

/// The figures of scores, as JSON.
#[pyfunction]
pub(crate) fn localisation(scores: Vec<PyRef<'_, Score>>) -> String {
    let (mut all, mut boxes) = (Localisation::default(), MaxBoxAcc::default());
    for of in &scores {
        all.add(&of.score);
        boxes.add(&of.boxes);
    }
    json!({ "localisation": all.summary(), "boxes": boxes.summary() }).to_string()
}

/// The share of successes in trials with its 95 % interval, as JSON.
#[pyfunction]
pub(crate) fn proportion(successes: u64, trials: u64) -> String {
    json!(Proportion::new(successes, trials)).to_string()
}

/// How right and how sure looks are whose true classes are known, as JSON.
#[pyfunction]
pub(crate) fn correctness(looks: Vec<PyRef<'_, Look>>, classes: Vec<usize>) -> PyResult<String> {
    let (mut accuracy, mut calibration) = (Accuracy::default(), Calibration::default());
    for (look, class) in looks.iter().zip(classes) {
        let probabilities = look.answers();
        if class >= probabilities.len() {
            let message = format!("class {class} is none of the {} that the network knows", probabilities.len());
            return Err(Error::argument("truth", message)).or_raise();
        }
        let before = rank(probabilities.view(), class).or_raise()?;
        accuracy.add_rank(before);
        let first = probabilities.iter().copied().fold(0.0, f32::max);
        calibration.add(f64::from(first), before == 0, f64::from(probabilities[class]));
    }
    Ok(json!({ "accuracy": accuracy.summary(), "calibration": calibration.summary() }).to_string())
}

/// How faithful a look's map is to the network that a function runs: pictures `[N, C, H, W]` to numbers `[N, numbers]`; as JSON.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "one call, from one place")]
pub(crate) fn faithful(
    py: Python<'_>,
    look: PyRef<'_, Look>,
    map: &str,
    pixels: PyReadonlyArray3<'_, f32>,
    class_: usize,
    run: Bound<'_, PyAny>,
    outputs: &str,
    batch: usize,
) -> PyResult<String> {
    let outputs: Outputs = outputs.parse().or_raise()?;
    let (_, height, width) = pixels.as_array().dim();
    let map = look.attention(map).or_raise()?.of_input();
    let (pixels, run) = (pixels.as_array().to_owned(), run.unbind());
    let options = FaithfulnessOptions::default().with_batch(batch.max(1));
    let measured = answering(
        py,
        |ask, given| {
            let map = at_size(&map, ImageSize::new(width as u32, height as u32))?;
            let mut classify = |batch: ArrayView4<'_, f32>| {
                given.check()?;
                let (to, answer) = std::sync::mpsc::channel();
                ask((batch.as_standard_layout().into_owned(), to));
                let numbers: Array2<f32> = answer.recv().map_err(|_| Error::Interrupted)?;
                outputs.probabilities(numbers.view())
            };
            faithfulness(pixels.view(), map.view(), class_, &options, &mut classify)
        },
        &mut |py, (batch, to): (ndarray::Array4<f32>, std::sync::mpsc::Sender<Array2<f32>>)| {
            let numbers = run.bind(py).call1((batch.into_pyarray(py),))?;
            let _ = to.send(numbers.extract::<PyReadonlyArray2<'_, f32>>()?.as_array().to_owned());
            Ok(())
        },
    )?;
    let figures = json!({
        "insertion": measured.curves.insertion_auc(),
        "deletion": measured.curves.deletion_auc(),
        "drop": measured.confidence.drop(),
        "increase": measured.confidence.increase(),
        "road": measured.road.score(),
    });
    Ok(figures.to_string())
}
