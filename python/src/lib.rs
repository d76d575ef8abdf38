//! The Python package `cbam`: the core, in the words of Python. What is simpler there is written there (`cbam/`).
//!
//! | module | what |
//! |---|---|
//! | `pictures` | what Python holds as a picture |
//! | `network`, `opened`, `look` | networks, and what they see |
//! | `drawing` | overlays |
//! | `explain` | the explanation methods, over a network of Python's |
//! | `trace` | gates and attention in what PyTorch ran |
//! | `measures` | how well maps and truths agree |
//! | `programs` | the command line |
//! | `errors`, `threads` | exceptions; the pool of threads |

mod drawing;
mod errors;
mod explain;
mod look;
mod measures;
mod network;
mod opened;
mod pictures;
mod programs;
mod threads;
mod trace;

use pyo3::prelude::pymodule;

#[pymodule]
mod _cbam {
    #[pymodule_export]
    use super::drawing::{overlay, png, write_file, write_picture};
    #[pymodule_export]
    use super::explain::{explain, methods, rank_correlation};
    #[pymodule_export]
    use super::look::Look;
    #[pymodule_export]
    use super::measures::{Objects, Score, Truths, correctness, faithful, localisation, proportion, score};
    #[pymodule_export]
    use super::network::Network;
    #[pymodule_export]
    use super::programs::{evaluate_main, run_main, view_main, weights_main};
    #[pymodule_export]
    use super::threads::{set_threads, threads};
    #[pymodule_export]
    use super::trace::{Found, FoundAttention, FoundGate, FoundPlace, carried};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
