//! Sets the RUNPATH of every binary, so that libtorch is found without `LD_LIBRARY_PATH`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
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
