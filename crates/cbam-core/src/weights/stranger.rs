//! Files that are no weights here, by their first bytes: what they are, and what to do with them.

/// What is said of a file of which nothing is known.
pub(crate) const UNKNOWN: &str = "neither safetensors nor a PyTorch file";

/// What a file that is neither safetensors nor a PyTorch file is.
pub(crate) fn name(bytes: &[u8]) -> String {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let at = |place: usize, magic: &[u8]| bytes.get(place..).is_some_and(|rest| rest.starts_with(magic));
    let known = if bytes.is_empty() {
        "the file is empty"
    } else if starts(b"\x1f\x8b") {
        "compressed with gzip: unpack it first"
    } else if starts(b"\x28\xb5\x2f\xfd") {
        "compressed with zstd: unpack it first"
    } else if starts(b"\xfd7zXZ\0") {
        "compressed with xz: unpack it first"
    } else if starts(b"BZh") {
        "compressed with bzip2: unpack it first"
    } else if starts(b"7z\xbc\xaf\x27\x1c") || starts(b"Rar!") {
        "a 7z or RAR archive: unpack it first"
    } else if at(257, b"ustar") {
        "a tar archive: unpack it first (what torch.save writes as .pth.tar is none)"
    } else if starts(b"\x89HDF") {
        "an HDF5 file, as Keras writes: neither safetensors nor a PyTorch file"
    } else if starts(b"\x93NUMPY") {
        "a NumPy array (.npy): neither safetensors nor a PyTorch file"
    } else if starts(b"GGUF") {
        "a GGUF file: neither safetensors nor a PyTorch file"
    } else if at(4, b"TFL3") {
        "a TensorFlow Lite model: neither safetensors nor a PyTorch file"
    } else if is_onnx(bytes) {
        "an ONNX model, which is not read: write the PyTorch network's weights with torch.save(model.state_dict(), file)"
    } else if is_saved_model(bytes) {
        "a TensorFlow model: neither safetensors nor a PyTorch file"
    } else if starts(b"version https://git-lfs") {
        "a pointer of Git LFS, not the file itself: fetch that with git lfs pull"
    } else if is_page(bytes) {
        "a web page, not the file that was to be downloaded"
    } else if starts(b"\x89PNG") || starts(b"\xff\xd8\xff") || (starts(b"RIFF") && at(8, b"WEBP")) {
        "a picture: neither safetensors nor a PyTorch file"
    } else if starts(&[super::opcode::PROTO]) {
        "a pickle, but not one that torch.save wrote"
    } else {
        UNKNOWN
    };
    known.to_owned()
}

/// A `ModelProto`: its version, then who made it, which exporters write first.
fn is_onnx(bytes: &[u8]) -> bool {
    let names = [b"pytorch".as_slice(), b"onnx", b"tf2onnx", b"keras2onnx", b"skl2onnx", b"paddle"];
    match bytes {
        [0x08, 1..=0x1f, 0x12, length, rest @ ..] => {
            let name = rest.get(..usize::from(*length)).unwrap_or(rest).to_ascii_lowercase();
            names.iter().any(|known| name.windows(known.len()).any(|part| part == *known))
        }
        _ => false,
    }
}

/// TensorFlow's `SavedModel`: its version, 1, then a graph.
fn is_saved_model(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x08\x01\x12")
}

fn is_page(bytes: &[u8]) -> bool {
    let start = bytes[..bytes.len().min(64)].to_ascii_lowercase();
    let start = start.trim_ascii_start();
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
}
