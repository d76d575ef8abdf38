//! The core's errors as exceptions, and its remedies in the words of Python.

use std::io::ErrorKind;

use cbam_core::{Error, Remedy};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

/// The module that defines the exceptions.
fn module(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    Ok(MODULE.get_or_try_init(py, || py.import("cbam.errors").map(Bound::unbind))?.bind(py))
}

/// An exception of the package's class of that name.
fn made(class: &str, arguments: impl FnOnce(Python<'_>) -> PyResult<Bound<'_, PyTuple>>) -> PyErr {
    Python::attach(|py| {
        let made = || module(py)?.getattr(class)?.call1(arguments(py)?);
        made().map_or_else(|error| error, PyErr::from_value)
    })
}

/// An error of the core as the exception that mirrors it.
pub(crate) fn raised(error: Error) -> PyErr {
    let class = match &error {
        Error::Interrupted => return PyKeyboardInterrupt::new_err(()),
        Error::Io { path, error } => {
            let class = if error.kind() == ErrorKind::NotFound { "MissingFileError" } else { "FileError" };
            let (number, path) = (error.raw_os_error(), path.clone());
            let message = error.to_string();
            // Python puts the number before the words by itself.
            let words = message.split(" (os error").next().unwrap_or(&message).to_owned();
            let path = path.into_os_string();
            return made(class, |py| (number.unwrap_or(0), words, path).into_pyobject(py));
        }
        Error::Photo { .. } => "PhotoError",
        Error::Weights { .. } => "WeightsError",
        Error::Truth { .. } => "TruthError",
        Error::Argument { .. } => "ArgumentError",
        Error::Network { .. } => "NetworkError",
        Error::Input { .. } => "InputError",
        Error::Device { .. } => "DeviceError",
        _ => "InternalError",
    };
    let message = error.advised(&remedy).to_string();
    made(class, |py| (message,).into_pyobject(py))
}

/// What helps, by the names of this package.
fn remedy(remedy: &Remedy) -> Option<String> {
    const WATCH: &str = "cbam.watch(model) and cbam.explain(model, x) look into it where PyTorch runs it";
    Some(match remedy {
        Remedy::Backbone { arch, drop_attention, normalises } => {
            let drop = if *drop_attention { ", drop_attention=True" } else { "" };
            let input = if *normalises { "; mean and std then say how pictures are normalised" } else { "" };
            format!("arch={arch:?}{drop} takes it without{input}")
        }
        Remedy::Weights => "weights= opens it".to_owned(),
        Remedy::TorchScript | Remedy::Graph => WATCH.to_owned(),
        Remedy::Squares(_) => "square=True gives the network squares".to_owned(),
        Remedy::DropAttention | Remedy::Without(_) | Remedy::Part(_) | Remedy::StrideIn { .. } => {
            remedy.to_string().replace("drop_attention`", "drop_attention=True`")
        }
        // Nothing here runs on a GPU, in 16 bits, or trains.
        _ => return None,
    })
}

/// A result of the core as Python has it.
pub(crate) trait OrRaise<T> {
    /// The value, or the exception that mirrors the error.
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for cbam_core::Result<T> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(raised)
    }
}
