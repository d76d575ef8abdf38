//! The programs, by the names under which a package installs them. Each ends the process that it is called in.

use std::ffi::OsString;

use cbam_cli::common::Called;
use cbam_cli::light::Light;
use pyo3::prelude::*;

/// A program called with these arguments, the first of them the name of its file.
fn called(arguments: Vec<OsString>) -> Called {
    Called { name: None, arguments }
}

/// `cbam-run`.
#[pyfunction]
pub(crate) fn run_main(py: Python<'_>, arguments: Vec<OsString>) {
    py.detach(|| cbam_cli::run::main(&Light, &called(arguments)));
}

/// `cbam-weights`.
#[pyfunction]
pub(crate) fn weights_main(py: Python<'_>, arguments: Vec<OsString>) {
    py.detach(|| cbam_cli::weights::main(&Light, &called(arguments)));
}

/// `cbam-eval`.
#[pyfunction]
pub(crate) fn evaluate_main(py: Python<'_>, arguments: Vec<OsString>) {
    py.detach(|| cbam_cli::eval::main(&Light, &called(arguments)));
}

/// `cbam-view`.
#[pyfunction]
pub(crate) fn view_main(py: Python<'_>, arguments: Vec<OsString>) {
    py.detach(|| cbam_cli::view::main(&Light, &called(arguments)));
}
