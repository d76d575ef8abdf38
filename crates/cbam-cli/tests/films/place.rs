//! A folder with films, and what is asked of them there.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use image::RgbImage;
use serde_json::Value;

use crate::common::ended;

/// A folder with films.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, program: &str, line: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.path()).args(line.split_whitespace());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `cbam run` with the words of a line; its exit status, and what it said.
    pub(crate) fn run(&self, line: &str) -> (Option<i32>, String) {
        let line = format!("run --threads 2 {line}");
        ended(self.command(env!("CARGO_BIN_EXE_cbam"), &line))
    }

    /// Runs a line that must end well; what it said.
    pub(crate) fn does(&self, line: &str) -> String {
        let (status, said) = self.run(line);
        assert_eq!(status, Some(0), "{line}: {said}");
        said
    }

    /// Has ffmpeg make or read something; what it printed.
    pub(crate) fn ffmpeg(&self, line: &str) -> Vec<u8> {
        let output = self.command("ffmpeg", &format!("-v error -y {line}")).output();
        let output = output.expect("ffmpeg is not installed: these tests need it");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// What ffprobe tells of a film, a line each.
    pub(crate) fn probe(&self, film: &str, line: &str) -> Vec<String> {
        let line = format!("-v error -of csv=p=0 {line} {film}");
        let output = self.command("ffprobe", &line).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| line.trim_end_matches(',').to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// When the frames of a film are shown, in seconds.
    pub(crate) fn times(&self, film: &str) -> Vec<f64> {
        let times = self.probe(film, "-select_streams v:0 -show_entries frame=best_effort_timestamp_time");
        times.iter().map(|time| time.parse().unwrap()).collect()
    }

    /// The frames of a film as they are shown, in red, green and blue.
    pub(crate) fn frames(&self, film: &str, [width, height]: [u32; 2]) -> Vec<RgbImage> {
        let raw = self.ffmpeg(&format!("-i {film} -map 0:v:0 -fps_mode passthrough -pix_fmt rgb24 -f rawvideo -"));
        let of = raw.chunks_exact((width * height * 3) as usize);
        assert!(of.remainder().is_empty());
        of.map(|frame| RgbImage::from_raw(width, height, frame.to_vec()).unwrap()).collect()
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_reader(File::open(self.path(name)).unwrap()).unwrap()
    }

    /// That two films show the same number of frames, each within half a frame of the same time.
    pub(crate) fn in_step(&self, film: &str, other: &str, frame: f64) {
        let (times, others) = (self.times(film), self.times(other));
        assert_eq!(times.len(), others.len(), "{film} and {other}");
        for (time, other) in times.iter().zip(&others) {
            assert!((time - other).abs() < frame / 2.0, "{time} and {other}");
        }
    }
}

pub(crate) const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/images/chelsea.jpg");

/// A slow pan over a photo, of so many frames, for ffmpeg: what comes before the output's options.
pub(crate) fn pan(width: u32, height: u32, frames: u32) -> String {
    format!("-loop 1 -r 25 -i {PHOTO} -frames:v {frames} -vf format=rgb24,crop={width}:{height}:n*2:20")
}
