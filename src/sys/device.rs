//! `auto`, `cpu`, `cuda`, `cuda:1`: from what the user asked for to a device that works.

use tch::Device;

use super::cuda;
use crate::{Error, Remedy, Result};

pub use cbam_core::device::DeviceSpec;

/// Turns a specification into a device that works, opening the CUDA libraries if a GPU is to be used.
///
/// Call it before anything else of libtorch, a seed included: what asks libtorch about CUDA before its libraries are
/// open fixes the answer for the life of the process.
///
/// # Errors
/// [`ErrorKind::Device`](crate::ErrorKind::Device) if a GPU is asked for and the driver reports none of that index, or the CUDA libraries
/// cannot be opened. `auto` is an error only if there is a GPU and a CUDA library that is found cannot be used.
pub fn resolve(spec: DeviceSpec) -> Result<Device> {
    match spec {
        DeviceSpec::Cpu => Ok(Device::Cpu),
        DeviceSpec::Auto => {
            // Without the CUDA libraries this is a CPU installation, and the driver need not be asked.
            if !cuda::libraries_installed() || cuda::gpu_count() == 0 {
                return Ok(Device::Cpu);
            }
            cuda::open().map_err(|message| {
                Error::device("auto", format!("there is a GPU, but {message}")).with_remedy(Remedy::Cpu)
            })?;
            Ok(Device::Cuda(0))
        }
        DeviceSpec::Cuda(index) => {
            match cuda::gpu_count() {
                0 => {
                    let message = "the NVIDIA driver reports no GPU on this machine";
                    return Err(Error::device(spec, message).with_remedy(Remedy::Cpu));
                }
                count if index >= count => {
                    return Err(Error::device(spec, format!("this machine has {count} GPU(s), counted from 0")));
                }
                _ => cuda::open().map_err(|message| {
                    let installed = cuda::libraries_installed();
                    let remedy = if installed { Remedy::Cpu } else { Remedy::CudaLibraries };
                    Error::device(spec, message).with_remedy(remedy)
                })?,
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
