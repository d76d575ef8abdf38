//! The system underneath: choosing a device and opening the CUDA libraries at run time.
//!
//! Together with the kernels, the library's only place for `unsafe`.

mod cuda;
mod device;
mod grad;
#[cfg(unix)]
mod signal;
mod threads;

pub use device::{DeviceSpec, resolve};
pub(crate) use grad::grad_enabled;
#[cfg(unix)]
pub use signal::{is_ignored, survive_file_size_limit};
pub use threads::{MAX_THREADS, parse_threads, set_all_threads, set_threads};
