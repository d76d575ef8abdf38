//! The programs, all but what runs networks: arguments → request → plan → run, the console, exit statuses, requests to end.
//!
//! [`run`], [`eval`], [`weights`] and [`view`] are the programs `cbam-run`, `cbam-eval`, `cbam-weights` and `cbam-view`; what opens networks for them is a
//! [`Backend`]. The core alone is one ([`light`]): it runs networks on a CPU and needs no libtorch. The crate `cbam` has another, with
//! GPUs, gradients at every stage and TorchScript; its program `cbam-train` uses [`common`] too.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod backend;
pub mod common;
pub mod eval;
pub mod light;
pub mod run;
#[cfg(feature = "view")]
pub mod view;
pub mod weights;

pub use backend::{Backend, Compared, GraphTaken, How, InputChange, Script, Taken};
