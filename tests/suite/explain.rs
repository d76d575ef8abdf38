//! Explanation methods.

mod golden;
