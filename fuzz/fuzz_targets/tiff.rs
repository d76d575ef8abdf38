//! TIFFs, read by the core's own code around the crate tiff.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| cbam_fuzz::picture("picture.tiff", data));
