//! How a program ended.

use std::process::{Command, Output};

/// Runs a command to its end: its exit status, and what it said on standard output and then on standard error.
pub(crate) fn ended(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(!said.contains("panicked"), "{command:?}: {said}");
    (status.code(), said)
}
