//! cbam-run.

fn main() {}
