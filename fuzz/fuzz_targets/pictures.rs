//! All other formats, told by their content: BMP, DDS, EXR, farbfeld, GIF, HDR, ICO, PNM, QOI, TGA, WebP.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| cbam_fuzz::picture("picture.tga", data));
