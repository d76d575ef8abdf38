//! safetensors: the bytes of a file, or its header alone before a few bytes.
#![no_main]

use cbam_core::network::{NetworkFile, OpenOptions};
use cbam_core::weights::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    let bytes = match kind % 8 {
        0 => data.to_vec(),
        // The header has its length, and so many bytes of numbers follow it.
        width => [&(data.len() as u64).to_le_bytes(), data, &[1; 64][..8 << width.min(3)]].concat(),
    };
    let length = bytes.len();
    if let Ok(checkpoint) = Checkpoint::from_bytes("file.safetensors", bytes) {
        cbam_fuzz::weights(&checkpoint, length);
        let _ = NetworkFile::of(&checkpoint, &OpenOptions::default());
    }
});
