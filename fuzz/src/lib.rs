//! What the fuzz targets share: which panics count, a folder for readers that take a path, archives around a pickle, limits.

use std::panic::{set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cbam_core::graph::{Find, Graph};
use cbam_core::photo::{Limits, is_decoding};
use cbam_core::weights::{Checkpoint, StoredTensor};

/// Lets a panic of somebody else's decoder pass, which the core makes an error of; each other panic ends the process, and so counts.
pub fn begin() {
    let aborting = take_hook();
    set_hook(Box::new(move |panic| {
        let own = panic.location().is_none_or(|place| place.file().contains("cbam-core"));
        if own || !is_decoding() {
            aborting(panic);
        }
    }));
}

/// A folder of this process. `scripts/fuzz.py` removes it.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder for temporary files").keep())
}

/// A file of this process with this content.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, bytes).expect("a temporary file");
    path
}

/// Limits under which each decoder still reaches all of its code.
pub const LIMITS: Limits = Limits { max_side: 2048, max_pixels: 1 << 18, max_bytes: 1 << 22 };

/// Decodes a picture, and checks that what comes out keeps the limits.
pub fn picture(name: &str, bytes: &[u8]) {
    let Ok(encoded) = cbam_core::photo::Encoded::new(name.as_ref(), bytes, &LIMITS) else { return };
    assert!(encoded.needs() >= bytes.len() as u64);
    let Ok(photo) = encoded.decode() else { return };
    let size = photo.size();
    assert!(size.width >= 1 && size.height >= 1 && size.width.max(size.height) <= LIMITS.max_side, "{size}");
    assert!(size.pixels() <= LIMITS.max_pixels, "{size}");
    let samples = size.pixels() as usize * usize::from(photo.image.color().bytes_per_pixel());
    assert_eq!(photo.image.as_bytes().len(), samples);
}

/// Checks what holds of every weights file that opens, and gives it as it is read again after it was saved.
pub fn weights(checkpoint: &Checkpoint, length: usize) {
    let bytes = |tensor: &StoredTensor| tensor.bytes().len();
    let mut total = 0;
    for tensor in checkpoint.tensors.values() {
        assert_eq!(bytes(tensor), tensor.len() * tensor.dtype().size());
        assert_eq!(tensor.doubles().len(), tensor.len());
        total += bytes(tensor);
    }
    assert!(total <= 4 * length, "{total} bytes of tensors from {length} bytes");
    let _ = checkpoint.recognise();
    let path = folder().join("saved.safetensors");
    if checkpoint.save(&path, Default::default()).is_err() {
        return;
    }
    let again = Checkpoint::open_with(&path, &cbam_core::weights::ReadOptions::default().with_prefixes_kept());
    let again = again.expect("what was saved opens");
    assert!(checkpoint.tensors.keys().eq(again.tensors.keys()));
    assert_eq!(checkpoint.metadata, again.metadata);
    for (own, other) in checkpoint.tensors.values().zip(again.tensors.values()) {
        assert_eq!((own.form(), own.bytes()), (other.form(), other.bytes()));
    }
    let _ = checkpoint.save(&path, cbam_core::weights::Precision::HalfMatrices);
}

/// What an input stands for, by its first byte: the bytes of a file, or records in a sound archive; `None` if there is no first byte.
pub fn file_or_archive(data: &[u8]) -> Option<bytes::Bytes> {
    let (kind, data) = data.split_first()?;
    Some(if kind % 2 == 0 { data.to_vec() } else { archive(&records(data)) }.into())
}

/// Checks what holds of every graph that opens: values are made before they are taken, and once; numbers are no more than their file's.
pub fn graph(name: &str, bytes: bytes::Bytes) {
    let length = bytes.len();
    let graph = match Graph::from_bytes(name, bytes) {
        Ok(graph) => graph,
        Err(error) => return assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}"),
    };
    let mut made = vec![false; graph.values.len()];
    let given = graph.inputs.iter().map(|input| input.value).chain(graph.weights.iter().map(|weight| weight.value));
    given.for_each(|value| made[value.index()] = true);
    for node in &graph.nodes {
        assert!(node.takes().all(|value| made[value.index()]), "{node}");
        for value in node.makes() {
            assert!(!std::mem::replace(&mut made[value.index()], true), "{node}");
        }
    }
    // Few numbers that are computed of others stand beside those of the file.
    let (total, few) = (graph.weights.iter().map(|weight| weight.tensor.bytes().len()).sum::<usize>(), 512 * graph.weights.len());
    assert!(total <= 8 * length + few, "{total} bytes of numbers from {length} bytes");
    let shapes = graph.example_shapes();
    let found = Find::new(&graph, &shapes).all();
    assert!(found.default_place.is_none_or(|place| place < found.places.len()));
    let _ = (found.maps(), graph.fingerprint());
}

/// The records that an input describes, each a length of its name, the name, a length of two bytes, and the content; what is cut short
/// is as long as there are bytes.
pub fn records(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut records = Vec::new();
    while let Some((&name, rest)) = bytes.split_first() {
        let (name, rest) = rest.split_at(rest.len().min(name.into()));
        let (length, rest) = rest.split_at(rest.len().min(2));
        let length = length.iter().rev().fold(0, |length, byte| length * 256 + usize::from(*byte));
        let (content, rest) = rest.split_at(rest.len().min(length));
        records.push((name, content));
        bytes = rest;
    }
    records
}

/// A zip archive of these records, stored as they are, without checksums.
pub fn archive(records: &[(&[u8], &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in records {
        let (start, length) = (out.len() as u32, content.len() as u32);
        let mut common = [20_u16, 0, 0, 0, 0].map(u16::to_le_bytes).concat();
        common.extend([0, length, length].map(u32::to_le_bytes).concat());
        common.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
        out.extend([b"PK\x03\x04", common.as_slice(), name, content].concat());
        directory.extend([b"PK\x01\x02\x14\0", common.as_slice(), &[0; 10], &start.to_le_bytes(), name].concat());
    }
    let (start, length, count) = (out.len() as u32, directory.len() as u32, records.len() as u16);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend([length, start].map(u32::to_le_bytes).concat());
    out.extend([0, 0]);
    out
}
