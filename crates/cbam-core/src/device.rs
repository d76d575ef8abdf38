//! The names of what a network runs on, and of the numbers that it computes with. The core itself has a CPU and f32; the crate `cbam`
//! has them all.

use std::fmt;
use std::str::FromStr;

use crate::text::named;
use crate::{Error, Result};

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

/// The kind of number that a network computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardPrecision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, of which 11 are the number's: on three photos every map of the bundled network correlated with that of 32 bits by
    /// 0.9999 at least.
    F16,
    /// 16 bits, of which 8 are the number's, with the range of 32 bits. On a GPU for networks whose features f16 cannot hold: there the fused
    /// maps correlated by 0.95 at least, Grad-CAM by 0.67. In the form for inference of what convolutions multiply alone:
    /// [`InferenceNetwork::in_precision`](crate::network::InferenceNetwork::in_precision).
    Bf16,
}

named! { ForwardPrecision as "precision"; F32 => "f32", F16 => "f16", Bf16 => "bf16" }

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
    fn precisions_have_their_names() {
        for (precision, name) in
            [(ForwardPrecision::F32, "f32"), (ForwardPrecision::F16, "f16"), (ForwardPrecision::Bf16, "bf16")]
        {
            assert_eq!((precision.to_string().as_str(), name.parse::<ForwardPrecision>().unwrap()), (name, precision));
        }
        assert!("f64".parse::<ForwardPrecision>().unwrap_err().to_string().contains("f32, f16, bf16"));
    }
}
