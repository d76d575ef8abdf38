//! Explanation methods.

mod golden;
mod laws;
