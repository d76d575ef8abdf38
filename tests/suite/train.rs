//! Training: optimizers against PyTorch's, recipes on a handful of made-up pictures, and runs that are killed and go on.

mod distill;
mod kill;
mod optim;
mod supervised;
