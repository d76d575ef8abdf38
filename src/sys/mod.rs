//! The system underneath: choosing a device and opening the CUDA libraries at run time.
//!
//! Together with the kernels, the library's only place for `unsafe`.

mod cuda;
mod device;
mod grad;
mod threads;

pub use device::{DeviceSpec, resolve};
pub(crate) use grad::grad_enabled;
pub(crate) use threads::shares_cores;
pub use threads::{set_all_threads, set_threads};
