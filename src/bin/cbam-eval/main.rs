//! cbam-eval.

fn main() {}
