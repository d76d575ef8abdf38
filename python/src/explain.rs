//! The explanation methods, over a network that Python runs.
//!
//! The core computes on the pool; what it asks of the network is answered on the thread that called, where the user's modes, devices and
//! autograd are as the user set them.

use std::sync::mpsc::{Sender, channel};

use cbam_core::classes::Outputs;
use cbam_core::explain::{ExplainOptions, Features, Method, Slope, explain as explained};
use cbam_core::{Error, Result};
use ndarray::{Array2, Array3, Array4, ArrayView3, ArrayView4};
use numpy::{IntoPyArray, PyArray2, PyReadonlyArray2, PyReadonlyArray3};
use pyo3::prelude::*;

use crate::errors::OrRaise;
use crate::threads::answering;

/// What the core asks of the network.
pub(crate) enum Request {
    Logits(Array4<f32>, Sender<Array2<f32>>),
    LogitsFrom(Array4<f32>, Sender<Array2<f32>>),
    Features(Sender<Array3<f32>>),
    Slope(Sender<Slope>),
}

/// A network that is somewhere else, at one place.
struct Elsewhere<'a> {
    ask: &'a (dyn Fn(Request) + Sync),
    numbers: usize,
    outputs: Outputs,
    place: String,
}

/// How a picture is explained, in the words of Python.
#[derive(FromPyObject)]
pub(crate) struct Words {
    method: String,
    place: String,
    class_: usize,
    numbers: usize,
    outputs: String,
    batch: usize,
    masks: usize,
    seed: u64,
    window: usize,
    stride: usize,
}

/// The map of one picture, `[h, w]`, by a method of the core. `network` answers `logits(pixels)`, `logits_from(features)`, `features()`
/// and `slope()`, in arrays of `NumPy`.
#[pyfunction]
pub(crate) fn explain<'py>(
    py: Python<'py>,
    network: Bound<'py, PyAny>,
    pixels: PyReadonlyArray3<'py, f32>,
    how: Words,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let method: Method = how.method.parse().or_raise()?;
    let outputs: Outputs = how.outputs.parse().or_raise()?;
    let options = ExplainOptions::default()
        .with_batch(how.batch)
        .with_masks(how.masks)
        .with_seed(how.seed)
        .with_window(how.window)
        .with_stride(how.stride);
    let pixels = pixels.as_array().to_owned();
    let network = network.unbind();
    let map = answering(
        py,
        |ask, given| {
            let network = Elsewhere { ask, numbers: how.numbers, outputs, place: how.place };
            let stage = method.needs_stage().then_some(&*network.place);
            let go_on = &mut |_: usize, _: usize| given.goes_on();
            explained(&network, pixels.view(), method, stage, how.class_, &options, go_on)
        },
        &mut |py, request| answer(network.bind(py), request),
    )?;
    Ok(map.into_pyarray(py))
}

/// What the network answers. Nobody waits for it any more where sending fails.
fn answer(network: &Bound<'_, PyAny>, request: Request) -> PyResult<()> {
    let py = network.py();
    match request {
        Request::Logits(pixels, to) => {
            let numbers = network.call_method1("logits", (pixels.into_pyarray(py),))?;
            let _ = to.send(numbers.extract::<PyReadonlyArray2<'_, f32>>()?.as_array().to_owned());
        }
        Request::LogitsFrom(features, to) => {
            let numbers = network.call_method1("logits_from", (features.into_pyarray(py),))?;
            let _ = to.send(numbers.extract::<PyReadonlyArray2<'_, f32>>()?.as_array().to_owned());
        }
        Request::Features(to) => {
            let features = network.call_method0("features")?;
            let _ = to.send(features.extract::<PyReadonlyArray3<'_, f32>>()?.as_array().to_owned());
        }
        Request::Slope(to) => {
            let slope = network.call_method0("slope")?;
            let (features, gradient) = slope.extract::<(PyReadonlyArray3<'_, f32>, PyReadonlyArray3<'_, f32>)>()?;
            let _ =
                to.send(Slope { features: features.as_array().to_owned(), gradient: gradient.as_array().to_owned() });
        }
    }
    Ok(())
}

impl Elsewhere<'_> {
    /// What is answered; that it was not answered is because something was raised, which whoever called is told.
    fn asked<T>(&self, request: impl FnOnce(Sender<T>) -> Request) -> Result<T> {
        let (to, answer) = channel();
        (self.ask)(request(to));
        answer.recv().map_err(|_| Error::Interrupted)
    }
}

impl Features for Elsewhere<'_> {
    fn numbers(&self) -> usize {
        self.numbers
    }

    fn outputs(&self) -> Outputs {
        self.outputs
    }

    fn places(&self) -> Vec<String> {
        vec![self.place.clone()]
    }

    fn logits(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        // As PyTorch has them in memory.
        let pixels = pixels.as_standard_layout().into_owned();
        self.asked(|to| Request::Logits(pixels, to))
    }

    fn features(&self, _: &str, _: ArrayView3<'_, f32>) -> Result<Array3<f32>> {
        self.asked(Request::Features)
    }

    fn logits_from(&self, _: &str, features: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        let features = features.as_standard_layout().into_owned();
        self.asked(|to| Request::LogitsFrom(features, to))
    }

    fn slope(&self, _: &str, _: ArrayView3<'_, f32>, _: usize) -> Result<Slope> {
        self.asked(Request::Slope)
    }
}

/// The methods, and for each whether it follows a gradient, looks at features, and runs the network many times.
#[pyfunction]
pub(crate) fn methods() -> Vec<(&'static str, bool, bool, bool)> {
    let facts = |method: Method| (method.name(), method.needs_gradient(), method.needs_stage(), method.is_costly());
    Method::ALL.into_iter().map(facts).collect()
}

/// How alike two maps are in the order of their values, −1 to 1 (Spearman's rank correlation).
#[pyfunction]
pub(crate) fn rank_correlation(a: PyReadonlyArray2<'_, f32>, b: PyReadonlyArray2<'_, f32>) -> PyResult<f64> {
    cbam_core::eval::rank_correlation(a.as_array(), b.as_array()).or_raise()
}
