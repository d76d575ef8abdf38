//! Sets the RUNPATH of every binary, so that libtorch is found without `LD_LIBRARY_PATH`; and tells the crate the state of
//! the sources that its scores depend on, so that none is kept from another state of them.

use std::path::{Path, PathBuf};

/// The sources that maps and scores depend on.
const SCORED: [&str; 9] =
    ["attention", "backbone", "eval", "explain", "maps", "network", "photo", "train/canvas.rs", "weights"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=CBAM_SCORED_SOURCES={:016x}", sources());
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target != "linux" {
        return;
    }
    // An installed binary (`make install`) finds the libraries that lie beside it, wherever the clone went.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/cbam");
    // A binary in target/ finds the libtorch that it was linked with; torch-sys says where that is.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    }
}

/// FNV-1a of the content of [`SCORED`].
fn sources() -> u64 {
    let mut files = Vec::new();
    for name in SCORED {
        let path = Path::new("src").join(name);
        println!("cargo:rerun-if-changed={}", path.display());
        collect(path, &mut files);
    }
    files.sort();
    let bytes =
        files.iter().flat_map(|file| std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn collect(path: PathBuf, files: &mut Vec<PathBuf>) {
    match std::fs::read_dir(&path) {
        Ok(entries) => entries.flatten().for_each(|entry| collect(entry.path(), files)),
        Err(_) => files.push(path),
    }
}
