//! Explanation methods.

mod golden;
mod grad_cam;
mod laws;
