//! Sets the RUNPATH of every binary, so that libtorch is found without `LD_LIBRARY_PATH`; tells the crates that depend on this one
//! what it is, and the programs which libtorch they are built with.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").ok();
    let version = lib.as_ref().map(|lib| Path::new(lib).join("../build-version"));
    if let Some(version) = &version {
        println!("cargo:rerun-if-changed={}", version.display());
    }
    let version = version.and_then(|version| std::fs::read_to_string(version).ok()).unwrap_or_default();
    println!("cargo:rustc-env=CBAM_LIBTORCH={}", version.trim());
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    // An installed binary (`make install`) finds the libraries that lie beside it, wherever the clone went.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/cbam");
    // A binary in target/ finds the libtorch that it was linked with; torch-sys says where that is.
    if let Some(lib) = lib {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        // A crate that depends on this one reads it as DEP_CBAM_RUNPATH.
        println!("cargo:runpath={lib}");
    }
}
