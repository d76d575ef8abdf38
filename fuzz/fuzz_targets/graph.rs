//! What `torch.export.save` writes: the bytes of a file, or records in a sound archive: the graph as JSON, and what it takes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| {
    if let Some(bytes) = cbam_fuzz::file_or_archive(data) {
        cbam_fuzz::graph("net.pt2", bytes);
    }
});
