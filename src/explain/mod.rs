//! Explanations from outside the network, of anything that is [`Features`]; [`TensorFeatures`] makes any tch network that.

mod tensors;

pub use cbam_core::explain::*;
pub use tensors::{TensorFeatures, grad_cam};
pub(crate) use tensors::{features_of, gradient, slope_of, tensor_scores};
