//! maps.
mod readout;
pub use readout::{GateReadout, PatchReadout, QueryRow, Readout};
