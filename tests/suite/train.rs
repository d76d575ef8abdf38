//! Training: optimizers against PyTorch's, recipes on a handful of made-up pictures, and runs that are killed and go on.

pub(crate) mod distill;
mod kill;
mod optim;
pub(crate) mod supervised;
