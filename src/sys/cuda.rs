//! Opening CUDA at run time, so that one binary serves both kinds of machine and a CPU run does not pay for CUDA.
//!
//! The binary is linked with libtorch's CPU part alone. Opening `libtorch_cuda.so` globally, before libtorch is first
//! asked about CUDA, registers the CUDA kernels.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW, Symbol};

const LIBRARY: &str = "libtorch_cuda.so";

/// How many GPUs the driver reports; 0 without a driver.
pub(super) fn gpu_count() -> usize {
    // Without a device node there is no GPU, and the driver's library need not be mapped to know it.
    if !["/dev/nvidiactl", "/dev/dxg", "/dev/nvhost-ctrl"].iter().any(|node| Path::new(node).exists()) {
        return 0;
    }
    driver_gpu_count().unwrap_or(0)
}

fn driver_gpu_count() -> Option<usize> {
    // SAFETY: libcuda is the driver's own library, and the two signatures are those of the CUDA driver API
    // (cuInit(unsigned), cuDeviceGetCount(int*), both returning a CUresult, 0 for success).
    unsafe {
        let driver = Library::open(Some("libcuda.so.1"), RTLD_NOW).ok()?;
        let init: Symbol<unsafe extern "C" fn(u32) -> c_int> = driver.get(b"cuInit").ok()?;
        let device_count: Symbol<unsafe extern "C" fn(*mut c_int) -> c_int> = driver.get(b"cuDeviceGetCount").ok()?;
        let mut count = 0;
        let found = init(0) == 0 && device_count(&raw mut count) == 0;
        // libtorch uses the driver later on: it stays open.
        std::mem::forget(driver);
        found.then_some(usize::try_from(count).ok()?)
    }
}

/// Whether a CUDA part of libtorch is linked or lies in one of the folders where [`open`] looks.
pub(super) fn libraries_installed() -> bool {
    mapped(LIBRARY).is_some() || folders().iter().any(|folder| folder.join(LIBRARY).exists())
}

/// Opens the CUDA part of libtorch, once; says why that did not work.
pub(super) fn open() -> Result<(), String> {
    static OPENED: OnceLock<Result<(), String>> = OnceLock::new();
    OPENED.get_or_init(open_first_found).clone()
}

fn open_first_found() -> Result<(), String> {
    if mapped(LIBRARY).is_none() {
        let found = folders().into_iter().map(|folder| folder.join(LIBRARY)).find(|path| path.exists());
        let path = found.ok_or_else(|| {
            let tried: Vec<_> = folders().iter().map(|folder| folder.display().to_string()).collect();
            format!("{LIBRARY} was not found in {}", tried.join(", "))
        })?;
        // SAFETY: running that library's initialisers is its documented way to register the CUDA kernels; it is the
        // counterpart of the libtorch that is already loaded.
        let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) }
            .map_err(|error| format!("{} could not be opened: {error}", path.display()))?;
        // The kernels stay registered for as long as the process lives.
        std::mem::forget(library);
    }
    if tch::Cuda::is_available() {
        Ok(())
    } else {
        Err("libtorch cannot use the GPU: is the driver too old for CUDA 13?".into())
    }
}

/// The folders where the CUDA part of libtorch may lie: those of `LD_LIBRARY_PATH`, libtorch's own, and those that
/// `make libtorch-cuda` and `make install` fill.
fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("LD_LIBRARY_PATH").map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default();
    folders.retain(|folder| !folder.as_os_str().is_empty());
    if let Some(lib) = mapped("libtorch_cpu.so").and_then(|path| path.parent().map(Path::to_owned)) {
        folders.push(lib.join("../../libtorch-cuda/lib"));
        folders.push(lib.join("../cbam-cuda"));
        folders.push(lib);
    }
    folders
}

/// The path from which a library of this process was loaded.
fn mapped(library: &str) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines()
        .filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])))
        .find(|path| path.file_name().is_some_and(|name| name == library))
        .map(Path::to_owned)
}
