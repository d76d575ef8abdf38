//! Ctrl-C and a request to terminate: the training saves its state and ends.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status after an interrupt: 128 + SIGINT.
pub(crate) const EXIT: u8 = 130;

static CANCEL: AtomicBool = AtomicBool::new(false);

/// Lets a first interrupt set the flag, which ends the training, and a second one end the process at once.
pub(crate) fn flag() -> Result<&'static AtomicBool, ctrlc::Error> {
    ctrlc::set_handler(|| {
        if CANCEL.swap(true, Ordering::Relaxed) {
            cbam::sys::abandon(EXIT);
        }
        eprintln!("\ncbam-train: saving; once more to end at once");
    })?;
    Ok(&CANCEL)
}

/// What is said at the end: how to go on, if there is something to go on with.
pub(crate) fn message(checkpoint: &Path) -> String {
    if !checkpoint.exists() {
        return "interrupted".to_owned();
    }
    let command = resume_command(std::env::args(), &checkpoint.display().to_string());
    format!("interrupted; the state is saved. To go on:\n  {command}")
}

/// The command line that was given, with `--resume` and the checkpoint.
fn resume_command(arguments: impl Iterator<Item = String>, checkpoint: &str) -> String {
    let mut arguments: Vec<String> = arguments.map(|argument| quoted(&argument)).collect();
    if !arguments.iter().any(|argument| argument == "--resume" || argument.starts_with("--resume=")) {
        arguments.extend(["--resume".to_owned(), quoted(checkpoint)]);
    }
    arguments.join(" ")
}

/// An argument as a shell takes it.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_go_on_is_the_one_that_was_given() {
        let command = |line: &[&str]| resume_command(line.iter().map(ToString::to_string), "my c.safetensors");
        assert_eq!(
            command(&["cbam-train", "distill", "--images", "it's here"]),
            r"cbam-train distill --images 'it'\''s here' --resume 'my c.safetensors'"
        );
        assert_eq!(command(&["cbam-train", "--resume", "x"]), "cbam-train --resume x");
    }
}
