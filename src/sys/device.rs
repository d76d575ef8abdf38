//! `auto`, `cpu`, `cuda`, `cuda:1`: from what the user asked for to a device that works.

use std::fmt;
use std::str::FromStr;

use tch::Device;

use super::cuda;
use crate::{Error, Remedy, Result};

/// A device as a user asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceSpec {
    /// The first GPU if the driver reports one and the CUDA libraries are there, else the CPU.
    #[default]
    Auto,
    /// The CPU; no CUDA library is opened.
    Cpu,
    /// The GPU of that index; anything missing is an error.
    Cuda(usize),
}

impl FromStr for DeviceSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| Error::argument("device", format!("'{text}' is none of auto, cpu, cuda, cuda:N"))),
        }
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

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
    fn specifications_parse_and_print() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<DeviceSpec>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse::<DeviceSpec>().unwrap(), DeviceSpec::Cuda(0));
        for text in ["gpu", "cuda:", "cuda:x", "CPU", ""] {
            assert!(text.parse::<DeviceSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_absent_gpu_is_a_clear_error() {
        let Err(error) = resolve(DeviceSpec::Cuda(4096)) else { panic!("no machine has that many GPUs") };
        assert!(error.to_string().starts_with("device cuda:4096: "), "{error}");
    }
}
