//! The integration tests, in one binary: each further one would link libtorch again.

mod attention;
mod backbone;
mod command;
mod cuda;
#[cfg(feature = "cli")]
mod deterministic;
mod eval;
mod explain;
mod foreign;
mod graph;
mod kernels;
mod maps;
mod network;
mod outputs;
mod photo;
mod pictures;
mod precision;
mod reference;
mod render;
mod scripts;
mod surroundings;
mod torchscript;
mod torchvision;
mod train;
mod view;
mod weights;

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::LazyLock;

/// The folder of a bundle that was built on another machine (`make gpu-check-bundle`): the project's files, and its programs in
/// `bin/`. Where it is not named, the tests run on the clone that they were built in.
static BUNDLE: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os("CBAM_ROOT").map(PathBuf::from));

/// The project's folder.
fn root() -> &'static Path {
    BUNDLE.as_deref().unwrap_or(Path::new(env!("CARGO_MANIFEST_DIR")))
}

/// A file of the project.
fn file(name: impl AsRef<Path>) -> PathBuf {
    root().join(name)
}

/// A folder to write to that outlives a test.
fn scratch() -> PathBuf {
    if BUNDLE.is_some() { std::env::temp_dir() } else { env!("CARGO_TARGET_TMPDIR").into() }
}

/// A number that is another one in each run.
fn any_number() -> u64 {
    RandomState::new().hash_one(0)
}

/// One of the project's programs.
fn program(name: &str) -> Command {
    let built = match name {
        "cbam-run" => option_env!("CARGO_BIN_EXE_cbam-run"),
        "cbam-train" => option_env!("CARGO_BIN_EXE_cbam-train"),
        "cbam-eval" => option_env!("CARGO_BIN_EXE_cbam-eval"),
        "cbam-weights" => option_env!("CARGO_BIN_EXE_cbam-weights"),
        "cbam-view" => option_env!("CARGO_BIN_EXE_cbam-view"),
        _ => None,
    };
    match (&*BUNDLE, built) {
        (Some(bundle), _) => Command::new(bundle.join("bin").join(name)),
        (None, Some(built)) => Command::new(built),
        (None, None) => panic!("{name} is no program of this build"),
    }
}

/// Sends a signal (`-INT`) to a child. The shell's own `kill`: the program of that name is not everywhere.
fn send(child: &Child, signal: &str) {
    let kill = format!("kill {signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
}
