//! A request to end: the training saves its state and ends.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cbam::text::printable;
use cbam_core::Error;

use cbam_cli::common::signals::say_aside;
use cbam_cli::common::{end_at_once, failed, say, status};

static SAVED: AtomicBool = AtomicBool::new(false);
static CANCEL: AtomicBool = AtomicBool::new(false);

/// The state is saved: from now on there is something to save before the end.
pub(crate) fn saved() {
    SAVED.store(true, Ordering::SeqCst);
}

/// Whether the training has begun, and its state was saved.
pub(crate) fn is_saved() -> bool {
    SAVED.load(Ordering::SeqCst)
}

/// Whether the training should end.
pub(crate) fn is_asked() -> bool {
    CANCEL.load(Ordering::Relaxed)
}

/// A first request ends the training, at once if there is nothing to save, and a second one ends it at once in any case.
pub(crate) fn asked() {
    if !SAVED.load(Ordering::SeqCst) || CANCEL.swap(true, Ordering::SeqCst) {
        end_at_once();
    }
    say_aside("saving; once more to end at once".to_owned());
}

/// Says how to go on, if there is something to go on with; the exit status.
pub(crate) fn told(checkpoint: Option<&Path>) -> u8 {
    let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.exists()) else {
        return failed(Error::Interrupted);
    };
    let command = resume_command(std::env::args_os(), checkpoint);
    say(format_args!("interrupted; the state is saved. To go on: {command}"));
    status::INTERRUPTED
}

/// The command line that was given, with `--resume` and the checkpoint.
fn resume_command(arguments: impl Iterator<Item = OsString>, checkpoint: &Path) -> String {
    let mut arguments: Vec<String> = arguments.map(|argument| quoted(&argument)).collect();
    if !arguments.iter().any(|argument| argument == "--resume" || argument.starts_with("--resume=")) {
        arguments.extend(["--resume".to_owned(), quoted(checkpoint.as_os_str())]);
    }
    arguments.join(" ")
}

/// An argument as a shell takes it; what a terminal would not show as it is, byte by byte.
fn quoted(argument: &OsStr) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    match argument.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
        Some(text) if printable(text) == text => format!("'{}'", text.replace('\'', r"'\''")),
        _ => format!("$'{}'", argument.as_encoded_bytes().iter().map(|byte| escaped(*byte)).collect::<String>()),
    }
}

/// A byte between the quotes of `$'…'`.
fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b" -_./=:,+@%".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("\\{byte:03o}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_go_on_is_the_one_that_was_given() {
        let command = |line: &[&str]| resume_command(line.iter().map(OsString::from), Path::new("my c.safetensors"));
        assert_eq!(
            command(&["cbam-train", "distill", "--images", "it's here"]),
            r"cbam-train distill --images 'it'\''s here' --resume 'my c.safetensors'"
        );
        assert_eq!(command(&["cbam-train", "--resume", "x"]), "cbam-train --resume x");
        assert_eq!(
            command(&["cbam-train", "--resume", "a\n'é\u{1b}"]),
            r"cbam-train --resume $'a\012\047\303\251\033'"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_no_text_is_quoted_byte_by_byte() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(quoted(OsStr::from_bytes(b"a\xff.tar")), r"$'a\377.tar'");
    }
}
