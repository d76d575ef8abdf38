//! All programs, in surroundings that are not as they should be.
#![cfg(unix)]

mod arguments;
mod claims;
mod files;
mod limits;
mod signals;
mod streams;

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::{file, program};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a program lies.
fn lies(name: &str) -> String {
    program(name).get_program().to_string_lossy().into_owned()
}

/// A folder to run in, with a small photo, a folder of two, a truth table and weights.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let photo = image::open(file("assets/images/coffee.jpg")).unwrap().thumbnail(96, 64);
        fs::create_dir_all(place.path("photos")).unwrap();
        for name in ["photo.png", "photos/a.png", "photos/b.png"] {
            photo.save(place.path(name)).unwrap();
        }
        let row = |name: &str| format!("{name}\t967\t96\t64\t0\t20,10,70,50\n");
        let table = format!("image\tclass\twidth\theight\tsmall\tboxes\n{}{}", row("a.png"), row("b.png"));
        fs::write(place.path("truth.tsv"), table).unwrap();
        fs::copy(file("assets/weights/efficientnet-lite0.safetensors"), place.path("w.safetensors")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A line for bash: `cbam-…` at the start of a word names a program, which gets few threads.
    fn bash(&self, line: &str) -> Command {
        let words = line.split(' ').map(|word| match word {
            "cbam-run" => format!("{} --threads 1 --device cpu", lies("cbam-run")),
            "cbam-eval" => format!("{} --threads 1 --size 64 --device cpu", lies("cbam-eval")),
            "cbam-train" => lies("cbam-train"),
            "cbam-weights" => lies("cbam-weights"),
            "cbam-view" => format!("{} --no-browser --threads 1 --device cpu", lies("cbam-view")),
            word => word.to_owned(),
        });
        let mut command = Command::new("bash");
        command.current_dir(self.0.path()).args(["-c", &words.collect::<Vec<_>>().join(" ")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a line: the exit status, and what it said on standard error.
    fn run(&self, line: &str) -> (Option<i32>, String) {
        let Output { status, stderr, .. } = self.bash(line).output().unwrap();
        let said = String::from_utf8_lossy(&stderr).into_owned();
        assert!(!said.contains("panicked"), "{line}: {said}");
        (status.code(), said)
    }

    /// Runs a line that must end with `status`, and say all of `parts`, on one line each.
    fn ends(&self, line: &str, status: i32, parts: &[&str]) {
        let (code, said) = self.run(line);
        assert_eq!(code, Some(status), "{line}: {said}");
        for part in parts {
            assert!(said.contains(part), "{line}: {said} does not say {part}");
        }
        assert!(!said.contains(".cbam-"), "{line}: {said}");
    }

    /// The names in the folder that begin or end with `part`, sorted.
    fn files(&self, part: &str) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| name.starts_with(part) || name.ends_with(part)).collect();
        names.sort();
        names
    }

    /// A pipe that nobody writes to.
    fn pipe(&self, name: &str) {
        assert!(Command::new("mkfifo").arg(self.path(name)).status().unwrap().success());
    }
}

/// Waits for the end; what it takes longer than [`PATIENCE`] is ended, and a failure.
fn end(mut child: Child) -> (Option<i32>, String) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("still running after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

/// Waits until something is so.
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
