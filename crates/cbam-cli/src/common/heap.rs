//! The programs' heap, libtorch's too.
//!
//! glibc's grows with every new mix of pictures' sizes, and hands large blocks back to the system after every layer of a
//! training.
#![allow(unsafe_code)]

#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs before libtorch's own constructors, in which mimalloc would map every 64 KiB by themselves: it takes memory in
/// large only once the program is up, and by then libtorch has made most of its blocks.
#[cfg(target_os = "linux")]
#[used]
// SAFETY: the section's entries are functions that the loader calls once, before any other code of the process.
#[unsafe(link_section = ".preinit_array")]
static RESERVE: extern "C" fn() = {
    /// What libtorch's start and one photo take.
    const BYTES: usize = 256 << 20;

    extern "C" fn reserve() {
        // SAFETY: takes no memory of ours, and nobody asks for the arena's number. Where it fails, all is as without it.
        unsafe {
            libmimalloc_sys::mi_process_init();
            libmimalloc_sys::mi_reserve_os_memory_ex(BYTES, true, true, false, std::ptr::null_mut());
        }
    }
    reserve
};
