//! `auto`, `cpu`, `cuda`, `cuda:1`: from what the user asked for to a device that works.

use tch::Device;

use super::cuda;
use crate::{Error, Result};

pub use cbam_core::device::DeviceSpec;

/// Turns a specification into a device that works, opening the CUDA libraries if a GPU is to be used.
///
/// Call it before anything else of libtorch, a seed included: what asks libtorch about CUDA before its libraries are
/// open fixes the answer for the life of the process.
///
/// # Errors
/// [`Error::Device`] if a GPU is asked for and the driver reports none of that index, or the CUDA libraries cannot be
/// opened. `auto` is an error only if there is a GPU and a CUDA library that is found cannot be used.
pub fn resolve(spec: DeviceSpec) -> Result<Device> {
    match spec {
        DeviceSpec::Cpu => Ok(Device::Cpu),
        DeviceSpec::Auto => {
            // Without the CUDA libraries this is a CPU installation, and the driver need not be asked.
            if !cuda::libraries_installed() || cuda::gpu_count() == 0 {
                return Ok(Device::Cpu);
            }
            cuda::open().map_err(|message| Error::Device {
                device: "auto".into(),
                message: format!("there is a GPU, but {message}; --device cpu does without it"),
            })?;
            Ok(Device::Cuda(0))
        }
        DeviceSpec::Cuda(index) => {
            let fail = |message: String| Error::Device { device: spec.to_string(), message };
            match cuda::gpu_count() {
                0 => return Err(fail("the NVIDIA driver reports no GPU on this machine; use --device cpu".into())),
                count if index >= count => {
                    return Err(fail(format!("this machine has {count} GPU(s), counted from 0")));
                }
                _ => cuda::open().map_err(fail)?,
            }
            Ok(Device::Cuda(index))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_gpu_is_a_clear_error() {
        let Err(error) = resolve(DeviceSpec::Cuda(4096)) else { panic!("no machine has that many GPUs") };
        assert!(error.to_string().starts_with("device cuda:4096: "), "{error}");
    }
}
