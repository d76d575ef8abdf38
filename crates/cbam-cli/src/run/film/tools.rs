//! ffmpeg and ffprobe, which read and write films: as programs, over pipes.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use cbam_core::text::printable;
use cbam_core::{Error, Result};

/// The first version that keeps the times of frames in the way that is asked for here.
const LEAST: [u32; 2] = [5, 1];
/// So many of a program's complaints are kept.
const COMPLAINTS: usize = 20;

/// A program of ffmpeg's, as every call has it: it asks nothing, says errors alone, and reads nothing but files and pipes.
pub(super) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["-hide_banner", "-v", "error"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    #[cfg(unix)]
    {
        // Ctrl-C is ours to hear: a program that ended by itself at once would leave a film that looks whole.
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    command
}

/// Starts a program.
pub(super) fn start(mut command: Command) -> Result<Child> {
    command.spawn().map_err(|error| missing(&command, &error))
}

/// A pipe of a program that was started with it.
pub(super) fn pipe<T>(pipe: Option<T>) -> Result<T> {
    pipe.ok_or_else(|| Error::internal("a pipe of ffmpeg's is not there"))
}

fn missing(command: &Command, error: &std::io::Error) -> Error {
    let program = command.get_program().to_string_lossy().into_owned();
    let message = match error.kind() {
        ErrorKind::NotFound => "is not installed, or not in PATH, and films are read and written by it: `apt install \
                                ffmpeg`, `brew install ffmpeg`, or https://ffmpeg.org/download.html"
            .to_owned(),
        _ => format!("cannot be started: {error}"),
    };
    Error::argument(program, message)
}

/// Refuses an ffmpeg that is too old.
pub(super) fn check_version() -> Result<()> {
    let mut command = Command::new("ffmpeg");
    command.arg("-version").stdin(Stdio::null());
    let said = command.output().map_err(|error| missing(&command, &error))?;
    let said = String::from_utf8_lossy(&said.stdout);
    match version(&said) {
        Some(version) if version < LEAST => {
            let [[major, minor], [least, least_minor]] = [version, LEAST];
            let message = format!("is version {major}.{minor}; films need {least}.{least_minor} or later");
            Err(Error::argument("ffmpeg", message))
        }
        _ => Ok(()), // builds from its repository have no number
    }
}

fn version(said: &str) -> Option<[u32; 2]> {
    let word = said.strip_prefix("ffmpeg version ")?.split_whitespace().next()?;
    let mut numbers = word.trim_start_matches('n').split(|letter: char| !letter.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    Some([major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)])
}

/// A file by a name that ffmpeg takes for nothing else: not for a protocol, an option, or a pattern.
pub(super) fn file(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

/// What a program complains about, as it comes; `other` takes the lines that are no complaints.
pub(super) fn complaints(
    from: impl Read + Send + 'static,
    mut other: impl FnMut(&str) -> bool + Send + 'static,
) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut lines = BufReader::new(from);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            if !text.is_empty() && !other(text) && kept.len() < COMPLAINTS {
                kept.push(printable(text).to_string());
            }
            line.clear();
        }
        kept
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_where_there_are_any() {
        assert_eq!(version("ffmpeg version 5.1.9-0+deb12u1 Copyright"), Some([5, 1]));
        assert_eq!(version("ffmpeg version n8.0 Copyright"), Some([8, 0]));
        assert_eq!(version("ffmpeg version 4.4.2 Copyright"), Some([4, 4]));
        assert_eq!(version("ffmpeg version N-12345-g0abc Copyright"), None);
        assert_eq!(version(""), None);
    }
}
