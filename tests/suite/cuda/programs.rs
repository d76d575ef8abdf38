//! The programs: a folder of pictures large enough for a batch size to be tried out, an evaluation, and no GPU at all.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use image::RgbImage;
use ndarray::Array2;
use ndarray_npy::ReadNpyExt;

use super::{device, there};
use crate::{file, program};

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn cbam_run(folder: &Path, device: &str, line: &str) -> Output {
    let mut command = program("cbam-run");
    command.current_dir(folder).args(line.split_whitespace()).args(["--device", device, "--threads", "2"]);
    run(&mut command)
}

/// That picture, smaller.
fn shrunk(name: &str) -> RgbImage {
    image::open(file("assets/images").join(name)).unwrap().thumbnail(160, 160).to_rgb8()
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_overlays_of_a_long_folder_are_those_of_a_cpu() {
    device();
    let place = tempfile::tempdir().unwrap();
    let pictures = place.path().join("in");
    fs::create_dir(&pictures).unwrap();
    // From 1,024 pictures on, batches of 8 and 16 are tried out first.
    let names = ["chelsea.jpg", "coffee.jpg", "rocket.jpg"];
    for name in names {
        shrunk(name).save(pictures.join(name)).unwrap();
    }
    for index in 0..1_100 {
        fs::hard_link(pictures.join(names[index % 3]), pictures.join(format!("{index:04}.jpg"))).unwrap();
    }
    let output = cbam_run(place.path(), &there(), "in --size 64 --maps-dir maps --json r.json --quiet");
    assert!(output.status.success(), "{}", stderr(&output));
    let read = |path: &Path| Array2::<f32>::read_npy(fs::File::open(path).unwrap()).unwrap();
    let mut maps: Vec<_> =
        fs::read_dir(place.path().join("maps")).unwrap().map(|entry| entry.unwrap().path()).collect();
    maps.sort();
    assert_eq!(maps.len(), 1_103);
    let here =
        cbam_run(place.path(), "cpu", "in/chelsea.jpg in/coffee.jpg in/rocket.jpg --size 64 --maps-dir here --quiet");
    assert!(here.status.success(), "{}", stderr(&here));
    let of = |name: &str| {
        let found = walkdir::WalkDir::new(place.path().join("here")).into_iter().map(Result::unwrap);
        let mut found = found.filter(|entry| entry.file_name().to_string_lossy().starts_with(name));
        read(found.next().unwrap().path())
    };
    let expected = ["chelsea", "coffee", "rocket"].map(of);
    for path in maps {
        let stem = path.file_name().unwrap().to_string_lossy().into_owned();
        let which = names
            .iter()
            .position(|name| stem.starts_with(&name[..5]))
            .unwrap_or_else(|| stem[..4].parse::<usize>().unwrap() % 3);
        let (map, expected) = (read(&path), &expected[which]);
        let most = expected.iter().copied().fold(0.0, f32::max);
        let off = (&map - expected).iter().fold(0.0f32, |most, off| most.max(off.abs()));
        assert!(off <= 0.05 * most, "{stem}: {off} of {most}");
    }
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_runs_in_every_precision_draw_every_map() {
    let place = tempfile::tempdir().unwrap();
    shrunk("coffee.jpg").save(place.path().join("a.jpg")).unwrap();
    for precision in ["f32", "f16", "bf16"] {
        let line =
            format!("a.jpg --precision {precision} --panel p.png --overlay o.png --map layercam --json r.json --quiet");
        let output = cbam_run(place.path(), &there(), &line);
        assert!(output.status.success(), "{precision}: {}", stderr(&output));
        let overlay = image::open(place.path().join("o.png")).unwrap();
        assert_eq!((overlay.width(), overlay.height()), shrunk("coffee.jpg").dimensions(), "{precision}");
        let report: serde_json::Value =
            serde_json::from_slice(&fs::read(place.path().join("r.json")).unwrap()).unwrap();
        assert_eq!(report[0]["top"][0]["label"], "espresso", "{precision}: {report}");
    }
    device();
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_evaluation_scores_as_a_cpu_does() {
    let place = tempfile::tempdir().unwrap();
    let mut truth = "image\tclass\twidth\theight\tsmall\tboxes\n".to_owned();
    fs::create_dir(place.path().join("p")).unwrap();
    for (name, class) in [("chelsea", 281), ("coffee", 967), ("rocket", 657)] {
        let picture = shrunk(&format!("{name}.jpg"));
        picture.save(place.path().join(format!("p/{name}.png"))).unwrap();
        let (width, height) = picture.dimensions();
        let boxes = format!("{},{},{},{}", width / 4, height / 4, width / 2, height / 2);
        writeln!(truth, "{name}.png\t{class}\t{width}\t{height}\t0\t{boxes}").unwrap();
    }
    fs::write(place.path().join("truth.tsv"), truth).unwrap();
    let figures = |device: &str, folder: &str| {
        let mut command = program("cbam-eval");
        command.current_dir(place.path()).args(["--images", "p", "--truth", "truth.tsv", "--report", folder]);
        command.args(["--maps", "fused,patch,gradcam", "--measure", "none", "--device", device, "--threads", "2"]);
        let output = run(&mut command);
        assert!(output.status.success(), "{device}: {}", stderr(&output));
        let report = fs::read(place.path().join(folder).join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        let mut numbers = Vec::new();
        collect(&report["all"], &mut numbers);
        assert!(!numbers.is_empty(), "{report}");
        numbers
    };
    let (here, there) = (figures("cpu", "here"), figures(&there(), "there"));
    assert_eq!(here.len(), there.len());
    assert!(here.iter().zip(&there).all(|(a, b)| (a - b).abs() <= 0.05 * a.abs().max(1.0)), "{here:?} {there:?}");
}

/// Every number of a report, in its order.
fn collect(value: &serde_json::Value, numbers: &mut Vec<f64>) {
    match value {
        serde_json::Value::Number(number) => numbers.extend(number.as_f64()),
        serde_json::Value::Array(values) => values.iter().for_each(|value| collect(value, numbers)),
        serde_json::Value::Object(fields) => fields.values().for_each(|value| collect(value, numbers)),
        _ => {}
    }
}

/// Runs everywhere: whatever GPU there is is hidden.
#[test]
fn an_absent_gpu_is_named_and_auto_does_without_it() {
    let place = tempfile::tempdir().unwrap();
    shrunk("coffee.jpg").save(place.path().join("a.jpg")).unwrap();
    let hidden = |device: &str| {
        let mut command = program("cbam-run");
        command.current_dir(place.path()).args(["a.jpg", "--overlay", "o.png", "--quiet", "--device", device]);
        run(command.env("CUDA_VISIBLE_DEVICES", ""))
    };
    for device in ["cuda", "cuda:1"] {
        let output = hidden(device);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("no GPU") && stderr(&output).contains("--device cpu"), "{}", stderr(&output));
        assert!(!place.path().join("o.png").exists());
    }
    let output = hidden("auto");
    assert!(output.status.success() && place.path().join("o.png").exists(), "{}", stderr(&output));
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_of_an_index_that_there_is_not_says_how_many_there_are() {
    device();
    let place = tempfile::tempdir().unwrap();
    shrunk("coffee.jpg").save(place.path().join("a.jpg")).unwrap();
    let output = cbam_run(place.path(), "cuda:4096", "a.jpg --overlay o.png --quiet");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let expected = if there().starts_with("cuda") { "counted from 0" } else { "no GPU" };
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
}
