//! cbam-train.

fn main() {}
