//! Models of ONNX.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| cbam_fuzz::graph("net.onnx", data.to_vec().into()));
