//! cbam-weights.

fn main() {}
