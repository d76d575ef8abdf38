//! Trainings that are killed, interrupted, and run out of disk: they go on, and end with the very bytes of one that was left
//! alone.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::distill::make_data;
use super::supervised::make_classes;

/// A training in a folder of its own; each of its runs writes the weights to a name of its own.
struct Training {
    folder: tempfile::TempDir,
    arguments: Vec<String>,
}

impl Training {
    fn distill(steps: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_data(folder.path());
        fs::remove_file(folder.path().join("pictures/dangling.jpg")).unwrap(); // a training that misses a picture ends with 1
        let line = format!(
            "distill --images pictures more.tar --backgrounds backgrounds --stamps stamps --limit 8 --views 1 \
             --composites 8 --validation 2 --seed 3 --steps {steps}"
        );
        Self { folder, arguments: line.split_whitespace().map(str::to_owned).collect() }
    }

    /// Everything learns, from random views, mixed in pairs, with dropout and a moving average.
    fn supervised(epochs: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_classes(&folder.path().join("classes"));
        let line = format!(
            "supervised --images classes --size 64 --batch 8 --train all --mixup 0.3 --ema 0.9 --seed 3 --epochs {epochs}"
        );
        Self { folder, arguments: line.split_whitespace().map(str::to_owned).collect() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, out: &str, resume: bool) -> Command {
        let mut command = crate::program("cbam-train");
        command.current_dir(self.folder.path()).args(&self.arguments).args(["--out", out]);
        command.args(["--device", "cpu", "--threads", "1", "--checkpoint-every", "1"]);
        if resume {
            command.args(["--resume", &checkpoint(out)]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs to the end; returns the bytes of the weights.
    fn finish(&self, out: &str, resume: bool) -> Vec<u8> {
        let output = self.command(out, resume).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(!self.path(&checkpoint(out)).exists(), "a finished training needs no checkpoint");
        fs::read(self.path(out)).unwrap()
    }
}

fn checkpoint(out: &str) -> String {
    out.replace(".safetensors", ".checkpoint.safetensors")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Reads what the child says until it has saved its state after `step`; returns the rest to be read.
fn wait_for_step(child: &mut Child, step: usize) -> BufReader<impl Read + use<>> {
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let (mut line, start) = (String::new(), Instant::now());
    while !line.contains(&format!("step {step}:")) {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "ended before step {step}");
        assert!(start.elapsed() < Duration::from_secs(120));
    }
    lines
}

#[test]
fn a_distillation_survives_a_kill_an_interrupt_and_a_full_disk() {
    let training = Training::distill(4);
    let whole = training.finish("whole.safetensors", false);
    survive(&training, &whole);
}

#[test]
fn a_supervised_training_survives_a_kill_an_interrupt_and_a_full_disk() {
    let training = Training::supervised(2);
    let whole = training.finish("whole.safetensors", false);
    survive(&training, &whole);
}

fn survive(training: &Training, whole: &[u8]) {
    let out = "cut.safetensors";
    let mut killed = training.command(out, false).spawn().unwrap();
    let _lines = wait_for_step(&mut killed, 1);
    crate::send(&killed, "-KILL");
    killed.wait().unwrap();

    let mut interrupted = training.command(out, true).spawn().unwrap();
    let mut lines = wait_for_step(&mut interrupted, 2);
    crate::send(&interrupted, "-INT");
    let mut said = String::new();
    lines.read_to_string(&mut said).unwrap();
    let status = interrupted.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains(&format!("--resume {}", checkpoint(out))), "{said}");

    // A file may be of 1 MB at most: no checkpoint fits.
    let saved = fs::read(training.path(&checkpoint(out))).unwrap();
    let command = training.command(out, true);
    let mut limited = Command::new("bash");
    limited.current_dir(training.folder.path()).args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\""]);
    let output = limited.arg(command.get_program()).args(command.get_args()).output().unwrap();
    assert!(!output.status.success());
    assert!(stderr(&output).contains(&checkpoint(out)), "{}", stderr(&output));
    assert!(fs::read(training.path(&checkpoint(out))).unwrap() == saved, "the last good checkpoint stays");

    assert!(training.finish(out, true) == whole, "the weights differ from those of an uninterrupted training");
    let left: Vec<_> = files(training.folder.path()).into_iter().filter(|name| name.starts_with(".cbam-")).collect();
    assert!(left.is_empty(), "the next training removes what a kill left: {left:?}");
}

fn files(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// Ten trainings of each kind, each killed at a random moment:
/// `cargo test --release --test suite -- --ignored --nocapture killed_at_ten_random_moments`.
#[test]
#[ignore = "takes minutes"]
fn killed_at_ten_random_moments() {
    ten_kills(&Training::distill(6), 6);
    ten_kills(&Training::supervised(2), 6);
}

fn ten_kills(training: &Training, steps: usize) {
    let start = Instant::now();
    let whole = training.finish("whole.safetensors", false);
    let step_time = start.elapsed() / steps as u32;
    let mut rng: ChaCha8Rng = SeedableRng::seed_from_u64(crate::any_number());
    for number in 0..10 {
        let out = format!("killed{number}.safetensors");
        // Before the first step, or within the one after this.
        let step = rng.random_range(0..steps);
        let mut child = training.command(&out, false).spawn().unwrap();
        let _lines = (step > 0).then(|| wait_for_step(&mut child, step));
        let delay = step_time.mul_f64(rng.random_range(0.0..1.0));
        std::thread::sleep(delay);
        crate::send(&child, "-KILL");
        child.wait().unwrap();
        let resume = training.path(&checkpoint(&out)).exists();
        let how = match (resume, training.path(&out).exists()) {
            (true, _) => "resumed",
            (false, false) => "started anew: it had not begun",
            (false, true) => "started anew: it had finished",
        };
        let same = training.finish(&out, resume) == whole;
        let (moment, same) = (delay.as_secs_f64(), if same { "same bytes" } else { "DIFFERENT" });
        println!("killed {moment:.2} s after step {step} of {steps}, {how}: {same}");
        assert_eq!(same, "same bytes");
    }
}
