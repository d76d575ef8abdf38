//! Sets the RUNPATH of every binary, so that libtorch is found without `LD_LIBRARY_PATH`; and tells the crate the state of
//! the sources that its scores depend on, so that none is kept from another state of them.

use std::path::{Path, PathBuf};

/// What scores depend on: every source, and the versions of what they are built from. Whatever is added to the crate counts
/// by itself; only the programs that score nothing are left out, since each change costs all scores that are kept.
const SCORED: [&str; 5] = ["src", "crates", "Cargo.toml", "Cargo.lock", ".cargo/config.toml"];
const LEFT_OUT: [&str; 3] = ["src/bin/cbam-run", "src/bin/cbam-train", "src/bin/cbam-weights"];

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

/// FNV-1a of the names, lengths and contents of [`SCORED`], and of libtorch's version.
fn sources() -> u64 {
    let mut files = Vec::new();
    for name in SCORED {
        collect(name.into(), &mut files);
    }
    if let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        collect(Path::new(&lib).join("../build-version"), &mut files);
    }
    files.sort();
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3_u64);
        }
    };
    for file in &files {
        let content = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        if file.is_relative() {
            add(file.to_string_lossy().as_bytes());
        }
        add(&(content.len() as u64).to_le_bytes());
        add(&content);
    }
    hash
}

/// The files under a path, each watched: a folder is too, for what may be added to it.
fn collect(path: PathBuf, files: &mut Vec<PathBuf>) {
    if LEFT_OUT.iter().any(|left_out| path == Path::new(left_out)) || !path.exists() {
        return;
    }
    println!("cargo:rerun-if-changed={}", path.display());
    match std::fs::read_dir(&path) {
        Ok(entries) => entries.flatten().for_each(|entry| collect(entry.path(), files)),
        Err(_) => files.push(path),
    }
}
