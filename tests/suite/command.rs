//! `cbam-run` as a user runs it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ndarray::{Array1, Array2};
use ndarray_npy::ReadNpyExt;
use serde_json::Value;

use crate::{file, program};

mod answers;
mod graphs;
mod look;
mod maps;

fn picture(name: &str) -> PathBuf {
    file("assets/images").join(name)
}

/// A folder to run in.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder that holds some of the bundled photos, under the names given.
    fn with(photos: &[(&str, &str)]) -> Self {
        let place = Self::new();
        for (photo, name) in photos {
            place.put(name, &fs::read(picture(photo)).unwrap());
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Ready to run here, with two threads, so that tests beside it are hardly disturbed.
    fn command(&self, line: &str) -> Command {
        let mut command = program("cbam-run");
        command.current_dir(self.0.path()).args(["--device", "cpu", "--threads", "2"]).args(line.split_whitespace());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs and expects success; returns standard output.
    fn succeed(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        assert_eq!(stderr(&output), "", "{line}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn size(&self, name: &str) -> (u32, u32) {
        let picture = image::open(self.path(name)).unwrap();
        (picture.width(), picture.height())
    }

    fn map(&self, name: &str) -> Array2<f32> {
        Array2::read_npy(fs::File::open(self.path(name)).unwrap()).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// Every file below the folder, sorted.
    fn files(&self) -> Vec<String> {
        let entries = walkdir::WalkDir::new(self.0.path()).sort_by_file_name().into_iter().map(Result::unwrap);
        entries
            .filter(|entry| !entry.file_type().is_dir())
            .map(|entry| entry.path().strip_prefix(self.0.path()).unwrap().display().to_string())
            .collect()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A PNG whose header claims 60000 by 60000 pixels.
fn huge_png() -> Vec<u8> {
    let mut small = Vec::new();
    let pixel = image::DynamicImage::new_rgb8(1, 1);
    pixel.write_to(&mut std::io::Cursor::new(&mut small), image::ImageFormat::Png).unwrap();
    // Signature (8), length (4), "IHDR" (4), width (4), height (4), five bytes more, then the checksum.
    small[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    small[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
    let checksum = crc32(&small[12..29]);
    small[29..33].copy_from_slice(&checksum.to_be_bytes());
    small
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn one_photo_gets_its_overlay_beside_it() {
    let place = Place::with(&[("coffee.jpg", "coffee.jpg")]);
    let said = place.succeed("coffee.jpg");
    assert!(said.contains("espresso") && said.contains("coffee-overlay.png"), "{said}");
    assert_eq!(place.size("coffee-overlay.png"), place.size("coffee.jpg"));
    let (photo, overlay) =
        (image::open(place.path("coffee.jpg")).unwrap(), image::open(place.path("coffee-overlay.png")).unwrap());
    assert_ne!(photo.to_rgb8(), overlay.to_rgb8());
    assert_eq!(place.files(), ["coffee-overlay.png", "coffee.jpg"]);
    assert_eq!(place.succeed("coffee.jpg --quiet --overlay out.webp"), "");
    assert_eq!(place.size("out.webp"), place.size("coffee.jpg"));
}

#[test]
fn no_strength_is_the_photo_itself() {
    let place = Place::with(&[("chelsea.jpg", "cat.jpg")]);
    place.succeed("cat.jpg --alpha 0 --overlay out.png");
    assert_eq!(image::open(place.path("out.png")).unwrap(), image::open(place.path("cat.jpg")).unwrap());
}

#[test]
fn a_tree_is_mirrored_with_maps_panels_and_a_report() {
    let place = Place::with(&[("coffee.jpg", "in/a/x.jpg"), ("chelsea.jpg", "in/x.jpg"), ("rocket.jpg", "more.jpg")]);
    fs::copy(place.path("in/x.jpg"), place.path("in/x-overlay.jpg")).unwrap();
    image::open(place.path("in/x.jpg")).unwrap().save(place.path("in/x.png")).unwrap();
    let line = "in more.jpg --out-dir o --panel-dir p --maps-dir m --format jpg --json r.json";
    let output = place.run(line);
    assert_eq!(
        (status(&output), stderr(&output).as_str()),
        (0, "cbam-run: in: left out: 1 output of an earlier run\n")
    );
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("4 pictures, 0 failed -> o/, p/, m/, r.json (") && said.lines().count() == 1, "{said}");
    let stems = ["a/x", "x.jpg", "x.png", "more"];
    for stem in stems {
        assert!(place.size(&format!("p/{stem}.jpg")).0 > 600);
        let map = place.map(&format!("m/{stem}.npy"));
        assert!(map.iter().all(|value| *value >= 0.0) && map.iter().any(|value| *value > 0.0), "{stem}");
    }
    assert_eq!(place.size("o/a/x.jpg"), place.size("in/a/x.jpg"));
    assert_eq!(place.files().len(), 5 + 3 * stems.len() + 1);

    let report = place.json("r.json");
    let entries = report.as_array().unwrap();
    let inputs: Vec<_> = entries.iter().map(|entry| entry["input"].as_str().unwrap()).collect();
    assert_eq!(inputs, ["in/a/x.jpg", "in/x.jpg", "in/x.png", "more.jpg"]);
    let coffee = &entries[0];
    let (width, height) = place.size("in/a/x.jpg");
    assert_eq!(
        (coffee["size"]["width"].as_u64(), coffee["size"]["height"].as_u64()),
        (Some(width.into()), Some(height.into()))
    );
    let top = coffee["top"].as_array().unwrap();
    assert_eq!((top.len(), top[0]["label"].as_str()), (5, Some("espresso")));
    assert!(entries[1]["top"][0]["label"].as_str().unwrap().contains("cat"), "{}", entries[1]["top"]);
    let saved = place.map("m/a/x.npy").iter().copied().fold(0.0, f32::max);
    let told = coffee["maps"]["fused"]["max"].as_f64().unwrap() as f32;
    assert!((saved - told).abs() < 1e-6, "{saved} {told}");
    assert_eq!(coffee["outputs"].as_array().unwrap().len(), 3);
    assert!(coffee["timings"]["network_ms"].as_f64().unwrap() > 0.0);
    for (stage, channels) in coffee["channels"].as_object().unwrap() {
        let gates: Vec<_> = channels.as_array().unwrap().iter().map(|entry| entry["gate"].as_f64().unwrap()).collect();
        assert!(gates.len() == 5 && gates.is_sorted_by(|a, b| a >= b), "{stage}: {gates:?}");
    }
}

#[cfg(unix)]
#[test]
fn bad_pictures_are_named_and_the_rest_is_done() {
    let place = Place::with(&[("coffee.jpg", "in/a.jpg"), ("chelsea.jpg", "in/z.jpg"), ("rocket.jpg", "in/m.jpg")]);
    place.put("in/cut.jpg", &fs::read(place.path("in/a.jpg")).unwrap()[..5_000]);
    place.put("in/text.png", b"not a picture");
    place.put("in/empty.jpg", b"");
    place.put("in/huge.png", &huge_png());
    std::os::unix::fs::symlink("/nowhere/at/all", place.path("in/dangling.jpg")).unwrap();
    for scale in ["image", "run"] {
        let output = place.run(&format!("in absent.jpg --out-dir {scale} --json {scale}.json --scale {scale}"));
        assert_eq!(status(&output), 1);
        let stderr = stderr(&output);
        // The cut JPEG is drawn as far as it goes.
        let reasons = [
            ("in/cut.jpg", "damaged: the end is missing"),
            ("in/dangling.jpg", "link"),
            ("in/empty.jpg", "empty"),
            ("in/huge.png", "60000x60000"),
            ("in/text.png", "not a picture"),
            ("absent.jpg", "No such file"),
        ];
        assert_eq!(stderr.lines().count(), reasons.len(), "{stderr}");
        for (line, (name, reason)) in stderr.lines().zip(reasons) {
            assert!(line.contains(name) && line.contains(reason), "{line}: {name} {reason}");
        }
        let drawn: Vec<_> = place.files().into_iter().filter(|file| file.starts_with(&format!("{scale}/"))).collect();
        assert_eq!(drawn, ["a.png", "cut.png", "m.png", "z.png"].map(|name| format!("{scale}/{name}")));
        let report = place.json(&format!("{scale}.json"));
        let failed = report.as_array().unwrap().iter().filter(|entry| entry["error"].is_string()).count();
        assert_eq!((report.as_array().unwrap().len(), failed), (9, 5));
        let damaged: Vec<_> = report.as_array().unwrap().iter().filter(|entry| entry["damaged"].is_string()).collect();
        assert!(damaged.len() == 1 && damaged[0]["input"] == "in/cut.jpg", "{damaged:?}");
    }
}

#[test]
fn pipes_carry_pictures_and_reports() {
    let place = Place::with(&[("coffee.jpg", "coffee.jpg")]);
    let photo = fs::read(place.path("coffee.jpg")).unwrap();
    let through = |line: &str| {
        let mut child = place.command(line).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&photo).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{line}");
        output.stdout
    };
    for scale in ["image", "run"] {
        let overlay = image::load_from_memory(&through(&format!("- --overlay - --scale {scale}"))).unwrap();
        assert_eq!((overlay.width(), overlay.height()), place.size("coffee.jpg"));
    }
    let report: Value = serde_json::from_slice(&through("- --json -")).unwrap();
    assert_eq!((report[0]["input"].as_str(), report[0]["top"][0]["label"].as_str()), (Some("-"), Some("espresso")));
    through("- --maps-dir m");
    assert_eq!(place.files(), ["coffee.jpg", "m/stdin.npy"]);
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let place = Place::with(&[("coffee.jpg", "coffee.jpg")]);
    for line in ["coffee.jpg --overlay -", "coffee.jpg --json -", "--list-maps", "--completions bash"] {
        let mut command = place.command(line);
        if !line.starts_with("coffee") {
            command = program("cbam-run");
            command.args(line.split_whitespace());
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(!stderr(&output).contains("panicked"), "{line}: {}", stderr(&output));
        assert!(matches!(output.status.code(), Some(0 | 1)), "{line}: {}", output.status);
    }
}

#[test]
fn batches_do_not_change_the_maps() {
    let place = Place::with(&[("coffee.jpg", "in/a.jpg"), ("chelsea.jpg", "in/b.jpg"), ("rocket.jpg", "in/c.jpg")]);
    place.succeed("in --maps-dir together --size 160 --batch-size 3");
    for stem in ["a", "b", "c"] {
        place.succeed(&format!("in/{stem}.jpg --maps-dir alone --size 160"));
        let (together, alone) = (place.map(&format!("together/{stem}.npy")), place.map(&format!("alone/{stem}.npy")));
        assert!((&together - &alone).iter().all(|difference| difference.abs() < 1e-4), "{stem}");
    }
}

#[test]
fn the_command_line_is_checked_before_any_work() {
    let place = Place::with(&[("coffee.jpg", "in/a.jpg"), ("chelsea.jpg", "other/a.jpg")]);
    place.put("names.txt", b"cup\n");
    for (line, word) in [
        ("", "INPUTS"),
        ("in/a.jpg other/a.jpg --overlay o.png", "--out-dir"),
        ("in --overlay o.png", "--out-dir"),
        ("in/a.jpg other/a.jpg --out-dir o", "the folder above them"),
        ("in/a.jpg in/a.jpg", "given twice"),
        ("in/a.jpg --masks 5", "no effect"),
        ("in other --labels names.txt --out-dir o", "no effect"),
        ("in/a.jpg --map fussed", "nearest name is fused"),
        ("in/a.jpg --map gradcam --class=", "empty"),
        ("https://example.org/a.jpg --out-dir o", "curl"),
        ("in/*.png --out-dir o", "shell"),
        ("in/a.jpg --overlay in/a.jpg", "over the picture"),
        ("in/a.jpg --alpha 7", "alpha"),
        ("in/a.jpg --map nonsense", "nonsense"),
        ("in/a.jpg --map spatial:stage99", "stage99"),
        ("in/a.jpg --nonsense", "nonsense"),
    ] {
        let output = place.run(line);
        assert_eq!(status(&output), 2, "{line}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{line}: {}", stderr(&output));
    }
    assert_eq!(place.files(), ["in/a.jpg", "names.txt", "other/a.jpg"]);
}

#[test]
fn what_stops_a_run_is_said_with_its_name() {
    let place = Place::with(&[("coffee.jpg", "a.jpg")]);
    place.put("w.safetensors", b"no weights");
    let output = place.run("a.jpg --weights w.safetensors");
    assert_eq!(status(&output), 2);
    assert!(stderr(&output).contains("w.safetensors"), "{}", stderr(&output));
    let output = place.run("a.jpg --json w.safetensors/r.json");
    assert_eq!(status(&output), 2);
    assert!(stderr(&output).contains("w.safetensors"), "{}", stderr(&output));
    assert_eq!(place.files(), ["a.jpg", "w.safetensors"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_whole_files_only() {
    let place = Place::new();
    for index in 0..200 {
        place.put(&format!("in/{index:03}.jpg"), &fs::read(picture("coffee.jpg")).unwrap());
    }
    let mut child = place.command("in --out-dir o --json r.json --size 672").stderr(Stdio::piped()).spawn().unwrap();
    let drawn = || place.files().iter().filter(|file| file.starts_with("o/") && file.ends_with("png")).count();
    let start = std::time::Instant::now();
    while drawn() < 3 && start.elapsed().as_secs() < 120 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    crate::send(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let made: Vec<_> = place.files().into_iter().filter(|file| !file.starts_with("in/")).collect();
    assert!((3..200).contains(&made.len()), "{}", made.len());
    for file in made {
        let name = Path::new(&file);
        assert!(name.starts_with("o") && name.extension().is_some_and(|kind| kind == "png"), "{file} was left");
        image::open(place.path(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

#[test]
fn help_and_completions_teach() {
    let place = Place::new();
    let help = place.succeed("--help");
    for word in ["Examples:", "--maps-dir", "patch@X,Y", "percentile:LO,HI", "Exit status"] {
        assert!(help.contains(word), "{word}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let mut command = program("cbam-run");
        let output = command.args(["--completions", shell]).output().unwrap();
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("maps-dir"), "{shell}");
    }
}

#[test]
fn a_network_of_ones_own_is_drawn_with_its_own_classes() {
    let place = Place::with(&[("coffee.jpg", "a.jpg")]);
    let golden = |name: &str| file("tests/golden/torchscript").join(name);
    place.put("labels.txt", b"red\ngreen\nblue\ngrey\n");
    let script = format!("--torchscript {} --torchscript-outputs 1,2", golden("gated.pt").display());
    let maps = place.succeed(&format!("--list-maps {script}"));
    assert!(maps.starts_with("output:1\noutput:2\noutput:2:0\noutput:2:1\noutput:2:2\ngradcam[:STAGE]\n"), "{maps}");
    assert!(
        maps.ends_with("rise\nocclusion\nSTAGE is one of output:2, output:3; without one it is output:3.\n"),
        "{maps}"
    );
    place.succeed(&format!(
        "a.jpg {script} --size 64 --labels labels.txt --map output:2:1 --overlay o.png --panel p.png --json r.json --quiet"
    ));
    assert_eq!(place.size("o.png"), place.size("a.jpg"));
    let report = &place.json("r.json")[0];
    assert!(["red", "green", "blue", "grey"].contains(&report["top"][0]["label"].as_str().unwrap()));
    assert!(report["maps"]["output:1"].is_object());
    // A map alone, and no classes.
    place.succeed(&format!(
        "a.jpg --torchscript {} --overlay o.png --panel p.png --json r.json --quiet",
        golden("map_alone.pt").display()
    ));
    assert_eq!(place.json("r.json")[0]["top"], Value::Array(Vec::new()));
    // A network of one shape takes squares.
    let square =
        format!("a.jpg --torchscript {} --overlay o.png --quiet --size 64", golden("square_only.pt").display());
    assert!(stderr(&place.run(&square)).contains("one size only"));
    place.succeed(&format!("{square} --square --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5"));

    let refused = |line: &str| stderr(&place.run(line));
    let message = refused(&format!("a.jpg --overlay x.png {script} --map fused"));
    assert!(message.contains("output:1, output:2"), "{message}");
    place.put("labels.txt", b"red\ngreen\n");
    let message = refused(&format!("a.jpg --overlay x.png {script} --labels labels.txt"));
    assert!(message.contains("2 names") && message.contains("4 classes"), "{message}");
    place.put("labels.txt", b"red\n\ngreen\n");
    assert!(refused("a.jpg --overlay x.png --labels labels.txt").contains("labels.txt: line 2 is empty"));
    assert!(!place.path("x.png").exists());
}
