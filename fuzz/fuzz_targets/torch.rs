//! What `torch.save` writes: the bytes of a file, or records in a sound archive around a damaged pickle, or a legacy file.
#![no_main]

use cbam_core::weights::{Checkpoint, ReadOptions, instead_of_script};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| {
    let Some(bytes) = cbam_fuzz::file_or_archive(data) else { return };
    for options in [ReadOptions::default(), ReadOptions::default().with_part("model").with_prefixes_kept()] {
        match Checkpoint::from_bytes_with("file.pth", bytes.clone(), &options) {
            Ok(checkpoint) => cbam_fuzz::weights(&checkpoint, bytes.len()),
            Err(error) => assert!(error.to_string().starts_with("file.pth: "), "{error}"),
        }
    }
    let _ = instead_of_script("file.pt".as_ref(), &bytes);
});
