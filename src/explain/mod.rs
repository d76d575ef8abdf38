//! Explanations from outside the network: what a gradient says about a decision, as a reference for the attention maps.

mod grad_cam;

pub use grad_cam::grad_cam;
