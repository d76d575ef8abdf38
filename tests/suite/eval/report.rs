//! `cbam-eval --report`: what it measures, what it keeps, and what happens when it is stopped or disturbed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{file, program};

const PHOTOS: [(&str, u32, u32); 4] =
    [("astronaut", 512, 512), ("chelsea", 451, 300), ("coffee", 600, 400), ("rocket", 640, 427)];

/// The bundled photos in a folder, shrunk, with a table of truth.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut truth = "image\tclass\twidth\theight\tsmall\tboxes\n".to_owned();
    fs::create_dir(folder.path().join("p")).unwrap();
    for (name, _, _) in PHOTOS {
        let small = image::open(file(format!("assets/images/{name}.jpg"))).unwrap().thumbnail(120, 120);
        small.to_rgb8().save(folder.path().join(format!("p/{name}.png"))).unwrap();
        let (width, height) = (small.width(), small.height());
        let class = if name == "coffee" { 967 } else { 0 };
        let small = u8::from(name == "rocket");
        writeln!(truth, "{name}.png\t{class}\t{width}\t{height}\t{small}\t20,20,70,60").unwrap();
    }
    fs::write(folder.path().join("truth.tsv"), truth).unwrap();
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = program("cbam-eval");
    let usual = ["--images", "p", "--device", "cpu", "--threads", "1", "--size", "64"];
    command.current_dir(folder).args(usual).args(arguments);
    // Options for what is not measured are errors; a report measures faithfulness unless it is told otherwise.
    if arguments.iter().any(|argument| *argument == "--report" || argument.contains("faithfulness")) {
        command.args(["--subset", "2", "--steps", "3"]);
    }
    command
}

fn ran(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The report without what differs from run to run.
fn figures(path: &Path) -> Value {
    let mut report = json(path);
    report["time"] = Value::Null;
    report
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_report_holds_every_measure_and_is_the_same_again_from_the_cache() {
    let folder = prepared();
    let folder = folder.path();
    let asked = ["--truth", "truth.tsv", "--maps", "spatial,gradcam,layercam:stage5", "--report", "r"];
    let output = ran(folder, &asked);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = json(&folder.join("r/report.json"));
    assert_eq!((&report["n"], &report["truth"]), (&Value::from(4), &Value::from("table")));
    for map in ["centre point", "centre Gaussian", "spatial", "gradcam", "layercam:stage5"] {
        let figures = &report["all"]["maps"][map];
        assert_eq!((&figures["n"], &figures["boxes"][2]["iou"]), (&Value::from(4), &Value::from(0.7)), "{map}");
    }
    assert_eq!(report["all"]["calibration"]["n"], 4);
    assert_eq!(report["small"]["maps"]["spatial"]["n"], 1);
    let names = |list: &str| -> Vec<String> {
        let rows = report[list].as_array().unwrap().iter();
        rows.map(|row| row["map"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("faithfulness"), ["centre Gaussian", "spatial", "gradcam", "layercam:stage5"]);
    assert_eq!(report["faithfulness"][0]["insertion_curve"].as_array().unwrap().len(), 4);
    assert_eq!(names("sanity"), ["spatial", "gradcam", "layercam:stage5"]);
    let sane = &report["sanity"][0]["correlation"];
    assert!((sane[0]["value"].as_f64().unwrap() - 1.0).abs() < 1e-9, "a gate does not look at the classifier");
    assert!(report["sanity"][1]["correlation"][0]["value"].as_f64().unwrap() < 0.999, "Grad-CAM does");
    assert_eq!(names("time"), ["spatial", "gradcam", "layercam:stage5"]);
    let clutter = report["clutter"].as_array().unwrap();
    assert!(clutter.iter().any(|group| group["name"] == "clutter never trained on: shapes"), "{clutter:?}");
    assert_eq!(clutter[0]["accuracy"]["n"], 4);
    let differences = report["differences"].as_array().unwrap();
    let found = differences.iter().find(|d| d["map"] == "gradcam" && d["figure"] == "energy").unwrap();
    let energy = |map: &str| report["all"]["maps"][map]["energy"]["value"].as_f64().unwrap();
    assert!((found["mean"].as_f64().unwrap() - (energy("gradcam") - energy("spatial"))).abs() < 1e-12);

    let page = fs::read_to_string(folder.join("r/report.html")).unwrap();
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("<polyline"));
    assert!(page.contains("default-src 'none'") && !page.contains("src=\"http"), "self-contained");
    let head = page.split_once("id=\"head\">").unwrap().1.split_once("</script>").unwrap().0;
    let head: Value = serde_json::from_str(head).unwrap();
    let pictures = head["pictures"].as_array().unwrap();
    assert_eq!((pictures.len(), page.matches("class=\"picture\"").count()), (4, 4), "every picture is there");
    let coffee = pictures.iter().find(|picture| picture["name"] == "p/coffee.png").unwrap();
    assert_eq!((&coffee["truth"]["class"], &coffee["truth"]["small"]), (&967.into(), &false.into()));
    assert!((coffee["truth"]["boxes"][0][0].as_f64().unwrap() - 20.0 / 120.0).abs() < 1e-9);
    for map in ["spatial", "gradcam", "layercam:stage5"] {
        assert!(coffee["maps"][map]["grid"].is_array(), "{map}");
        let iou = coffee["measures"][map]["iou"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&iou), "{map}");
    }
    let scores = fs::read_to_string(folder.join("r/scores.csv")).unwrap();
    assert_eq!(scores.lines().count(), 1 + 4 * 3 * 5, "pictures × views × subjects");
    assert!(fs::read_to_string(folder.join("r/summary.csv")).unwrap().contains("all,spatial,pointing,4,"));

    let first = figures(&folder.join("r/report.json"));
    let kept = fs::read(folder.join("r/cache/scores.cache")).unwrap();
    let output = ran(folder, &asked);
    assert!(stderr(&output).contains("scores are in the cache"), "{}", stderr(&output));
    assert_eq!(figures(&folder.join("r/report.json")), first);
    assert_eq!(fs::read(folder.join("r/cache/scores.cache")).unwrap(), kept, "nothing was measured anew");

    // A broken line is told of and measured anew; another setting asks for other scores.
    let mut broken = kept.clone();
    broken[100] ^= 1;
    fs::write(folder.join("r/cache/scores.cache"), &broken).unwrap();
    let output = ran(folder, &asked);
    assert!(stderr(&output).contains("1 broken lines of the cache"), "{}", stderr(&output));
    assert_eq!(figures(&folder.join("r/report.json")), first);
    let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().count();
    let after = lines(&fs::read(folder.join("r/cache/scores.cache")).unwrap());
    assert_eq!(after, lines(&kept) + 1);
    let mut other = asked.to_vec();
    other.extend(["--size", "96", "--measure", "none"]);
    other.retain(|argument| *argument != "64");
    let output = program("cbam-eval")
        .current_dir(folder)
        .args(["--images", "p", "--device", "cpu", "--threads", "1"])
        .args(&other)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_ne!(figures(&folder.join("r/report.json"))["all"], first["all"]);
    assert!(lines(&fs::read(folder.join("r/cache/scores.cache")).unwrap()) > after);
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let folder = prepared();
    let folder = folder.path();
    let asked = ["--truth", "truth.tsv", "--maps", "fused,gradcam", "--measure", "faithfulness,clutter"];
    let whole: Vec<&str> = asked.iter().copied().chain(["--report", "whole"]).collect();
    assert_eq!(ran(folder, &whole).status.code(), Some(0));
    let parts: Vec<&str> = asked.iter().copied().chain(["--report", "parts"]).collect();
    let cache = folder.join("parts/cache/scores.cache");
    let mut grown = 0;
    for _ in 0..3 {
        let mut child = command(folder, &parts).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while fs::metadata(&cache).map_or(0, |file| file.len()) <= grown && begun.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let now = fs::metadata(&cache).unwrap().len();
        assert!(now > grown, "a killed run has kept what it measured");
        grown = now;
    }
    assert_eq!(ran(folder, &parts).status.code(), Some(0));
    assert_eq!(figures(&folder.join("parts/report.json")), figures(&folder.join("whole/report.json")));
}

#[test]
fn without_truth_faithfulness_is_measured_and_a_bad_picture_is_told_of() {
    let folder = prepared();
    let folder = folder.path();
    fs::write(folder.join("p/broken.png"), b"text").unwrap();
    let output = ran(folder, &["--maps", "spatial", "--measure", "faithfulness", "--report", "r"]);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("broken.png: not a picture") && stderr(&output).contains("1 pictures could not be")
    );
    assert!(stdout.contains("4 pictures, 1 missing") && stdout.contains("insertion") && !stdout.contains("pointing"));
    let report = json(&folder.join("r/report.json"));
    assert_eq!(report["missing"].as_array().unwrap().len(), 1);
    assert_eq!(report["truth"], Value::Null);
}

#[test]
fn coco_classes_that_the_network_does_not_know_leave_localisation() {
    let folder = prepared();
    let folder = folder.path();
    let size = image::image_dimensions(folder.join("p/coffee.png")).unwrap();
    let coco = serde_json::json!({
        "images": [{"id": 1, "file_name": "coffee.png", "width": size.0, "height": size.1}],
        "annotations": [{"image_id": 1, "category_id": 5, "bbox": [20, 10, 60, 50]}],
        "categories": [{"id": 5, "name": "something else"}],
    });
    fs::write(folder.join("truth.json"), coco.to_string()).unwrap();
    let output = ran(folder, &["--truth", "truth.json", "--maps", "fused"]);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout.contains("localisation alone") && stdout.contains("all, n = 1"), "{stdout}");
}

#[test]
fn what_cannot_be_measured_is_said_first() {
    let folder = prepared();
    let folder = folder.path();
    let refused = |arguments: &[&str], expected: &str| {
        let output = ran(folder, arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    };
    let truth = ["--truth", "truth.tsv", "--maps"];
    refused(&[&truth[..], &["fused", "--against", "gradcam"]].concat(), "--against: gradcam is none of the maps");
    refused(&[&truth[..], &["scorecam:stage99"]].concat(), "stage99");
    refused(&["--maps", "fused"], "nothing to measure");
    refused(&["--small", "--measure", "faithfulness"], "--small: needs a table of truth");
    refused(&["--limit", "1", "--measure", "clutter"], "at least two pictures");
    refused(&["--truth", "truth.tsv", "--measure", "clutter", "--backgrounds", "nowhere"], "nowhere");
    fs::create_dir(folder.join("empty")).unwrap();
    refused(&["--truth", "empty"], "a folder without Pascal VOC files");
    fs::write(folder.join("file"), b"").unwrap();
    refused(&["--truth", "truth.tsv", "--cache", "file"], "file: ");
}
