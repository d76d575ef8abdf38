//! JPEGs: zune-jpeg first, libjpeg after it; EXIF and XMP; ICC profiles.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| cbam_fuzz::picture("picture.jpeg", data));
