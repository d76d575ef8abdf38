//! `cbam-eval` from its arguments to its figures.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use cbam::backbone::Arch;
use cbam::eval::{ClassNames, Localisation, PictureScore, Remarks, Truth};
use cbam::maps::{AttentionMap, MapRange, Resample};
use cbam::network::{Network, NetworkConfig};
use ndarray::Array2;
use ndarray_npy::ReadNpyExt;
use serde_json::Value;

use super::source::archive;
use crate::{file, program, root};

/// Two bundled photos, one that is broken, one of another size than the truth says, one that is not there.
const TRUTH: &str = "image\tclass\twidth\theight\tsmall\tboxes\n\
    p/coffee.jpg\t967\t600\t400\t0\t150,60,430,340\n\
    p/broken.jpg\t0\t10\t10\t1\t1,1,2,2\n\
    p/chelsea.jpg\t0\t451\t300\t1\t100,20,330,290\n\
    p/rocket.jpg\t0\t64\t43\t0\t1,1,2,2\n\
    p/gone.jpg\t0\t10\t10\t0\t1,1,2,2\n";

fn cbam_eval(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = program("cbam-eval");
    command.current_dir(folder).args(["--truth", "truth.tsv", "--device", "cpu", "--threads", "1"]).args(arguments);
    command.output().unwrap()
}

fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("truth.tsv"), TRUTH).unwrap();
    let photo = |name: &str| std::fs::read(file(format!("assets/images/{name}.jpg"))).unwrap();
    let (coffee, chelsea, rocket) = (photo("coffee"), photo("chelsea"), photo("rocket"));
    let members = [
        ("p/chelsea.jpg", &chelsea[..]),
        ("p/broken.jpg", b"text"),
        ("p/rocket.jpg", &rocket),
        ("p/coffee.jpg", &coffee),
    ];
    archive(&folder.path().join("pictures.tar"), &members);
    std::fs::create_dir(folder.path().join("p")).unwrap();
    for (name, bytes) in members {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn json(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

#[test]
fn figures_maps_and_bad_pictures() {
    let folder = prepared();
    let folder = folder.path();
    let asked = [
        "--images",
        "pictures.tar",
        "--maps",
        "fused,spatial:stage5,gradcam",
        "--maps-dir",
        "maps",
        "--json",
        "a.json",
    ];
    let output = cbam_eval(folder, &asked);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for bad in ["p/broken.jpg: ", "p/rocket.jpg: 640x427 pixels, where the truth has 64x43", "p/gone.jpg: not in "] {
        assert!(stderr.contains(bad), "{stderr}");
    }
    assert!(stderr.contains("3 pictures could not be scored"), "{stderr}");
    for part in
        ["all, n = 2", "small boxes, n = 1", "centre point", "centre Gaussian", "fused", "spatial:stage5", "gradcam"]
    {
        assert!(stdout.contains(part), "{stdout}");
    }

    let report = json(folder, "a.json");
    assert_eq!(report["missing"].as_array().unwrap().len(), 3);
    assert_eq!(report["all"]["accuracy"]["top1"]["value"], 0.5, "the coffee is known, the cat is no tench");
    assert_eq!(report["small"]["maps"]["fused"]["missing"], 1);
    // The figures once more, from the maps that were saved.
    let rows = Truth::open(folder.join("truth.tsv"), &ClassNames::imagenet(), &[]).unwrap().rows;
    for (name, folder_name) in [("fused", "fused"), ("spatial:stage5", "spatial-stage5"), ("gradcam", "gradcam")] {
        let mut localisation = Localisation::default();
        for (stem, row) in [("coffee", &rows[0]), ("chelsea", &rows[2])] {
            let file =
                std::fs::File::open(folder.join("maps").join(folder_name).join(format!("p/{stem}.npy"))).unwrap();
            let map = AttentionMap::new(Array2::<f32>::read_npy(file).unwrap(), MapRange::Positive).unwrap();
            let size = row.size.unwrap();
            let full = map.resample(size, Resample::Bilinear).unwrap();
            let region = row.region(size, &mut Remarks::default()).unwrap();
            localisation.add(&PictureScore::on(full.values().view(), &region).unwrap());
        }
        let expected = localisation.summary();
        let got = &report["all"]["maps"][name];
        for (figure, expected) in [("pointing", expected.pointing), ("energy", expected.energy), ("iou", expected.iou)]
        {
            assert!((got[figure]["value"].as_f64().unwrap() - expected.value).abs() < 1e-9, "{name} {figure}: {got}");
        }
    }
}

#[test]
fn a_folder_a_limit_and_the_plain_network() {
    let folder = prepared();
    let folder = folder.path();
    let asked = [
        "--images",
        ".",
        "--plain",
        "--limit",
        "1",
        "--maps-dir",
        "maps",
        "--size",
        "160",
        "--json",
        "a.json",
        "--quiet",
    ];
    let output = cbam_eval(folder, &asked);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report = json(folder, "a.json");
    assert_eq!((&report["attention"], &report["short_side"]), (&Value::from(false), &Value::from(160)));
    let maps: Vec<_> = report["all"]["maps"].as_object().unwrap().keys().collect();
    assert_eq!(maps, ["centre Gaussian", "centre point", "gradcam", "object"], "the plain network has no other");
    let map = Array2::<f32>::read_npy(std::fs::File::open(folder.join("maps/gradcam/p/coffee.npy")).unwrap()).unwrap();
    assert_eq!(map.dim(), (5, 8), "160×256 at stride 32");
    assert_eq!(report["small"]["accuracy"]["n"], 0);
}

#[test]
fn what_cannot_be_done_is_said_before_any_work() {
    let folder = prepared();
    let folder = folder.path();
    let refused = |arguments: &[&str], code: i32, expected: &str| {
        let output = cbam_eval(folder, arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
        assert!(output.stdout.is_empty());
    };
    refused(&["--images", "p", "--maps", "patch@1,2"], 2, "not a map that can be scored");
    refused(&["--images", "nowhere"], 2, "nowhere: ");
    refused(&["--images", "p", "--plain", "--maps", "fused"], 2, "fused: ");
    refused(
        &["--images", "p", "--maps", "fused"],
        2,
        "p has not one of the 5 pictures of the truth, such as p/coffee.jpg",
    );
    refused(
        &["--images", "p", "--maps", "spatial:stage9"],
        2,
        "spatial:stage5, spatial:stage6.expansion, spatial:stage7",
    );
    refused(&["--images", ".", "--maps-dir", "truth.tsv"], 2, "truth.tsv: ");
    std::fs::write(folder.join("truth.tsv"), TRUTH.replace("p/rocket.jpg", "p/coffee.png")).unwrap();
    refused(&["--images", ".", "--maps-dir", "maps"], 2, "coffee.npy would be written twice for --maps-dir");
}

/// As it is called from this crate's folder.
fn plain_eval(arguments: &[&str]) -> Command {
    let mut command = program("cbam-eval");
    command.current_dir(root()).args(["--device", "cpu", "--threads", "1"]).args(arguments);
    command
}

#[test]
fn the_example_of_the_help_is_measured_and_the_json_is_written_whoever_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let asked = ["--images", "assets/images", "--truth", "assets/images/truth.csv", "--maps", "fused", "--json"];
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    for (stdout, status) in [(Stdio::piped(), 0), (full(), 1)] {
        let _ = std::fs::remove_file(&path);
        let output = plain_eval(&asked).arg(&path).stdout(stdout).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{}", String::from_utf8_lossy(&output.stderr));
        let report = json(folder.path(), "a.json");
        assert_eq!((&report["n"], &report["all"]["maps"]["fused"]["n"]), (&4.into(), &4.into()));
        assert_eq!((&report["all"]["accuracy"]["n"], &report["remarks"]), (&4.into(), &Value::Array(Vec::new())));
    }
}

#[test]
fn class_folders_give_the_accuracy_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (class, photo) in [("espresso", "coffee"), ("n02124075", "chelsea"), ("__MACOSX", "rocket")] {
        std::fs::create_dir_all(folder.path().join("val").join(class)).unwrap();
        std::fs::copy(
            file(format!("assets/images/{photo}.jpg")),
            folder.path().join(format!("val/{class}/{photo}.jpg")),
        )
        .unwrap();
    }
    let val = folder.path().join("val").display().to_string();
    let json_path = folder.path().join("a.json").display().to_string();
    let output = plain_eval(&["--images", &val, "--truth", &val, "--json", &json_path]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let report = json(folder.path(), "a.json");
    assert_eq!((&report["truth"], &report["all"]["accuracy"]["n"]), (&"class folders".into(), &2.into()));
    assert_eq!(report["all"]["maps"], serde_json::json!({}));
    assert!(stdout.contains("top-1") && !stdout.contains("pointing") && !stdout.contains("seconds"), "{stdout}");
    let idle = plain_eval(&["--images", &val, "--truth", &val, "--maps", "fused"]).output().unwrap();
    assert_eq!(idle.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&idle.stderr).contains("--maps has no effect here"), "{idle:?}");
    let small = plain_eval(&["--images", &val, "--truth", &val, "--small"]).output().unwrap();
    assert!(String::from_utf8_lossy(&small.stderr).contains("is for tables of truth"), "{small:?}");
    // Two pictures of one name go to their places in the tree.
    let maps = folder.path().join("maps");
    for class in ["espresso", "n02124075"] {
        let from = file("assets/images/coffee.jpg");
        std::fs::copy(from, folder.path().join(format!("val/{class}/one.jpg"))).unwrap();
    }
    let asked = ["--images", &val, "--truth", &val, "--size", "64", "--maps", "gradcam", "--maps-dir"];
    let output = plain_eval(&asked).arg(&maps).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(maps.join("espresso/one.npy").exists() && maps.join("n02124075/one.npy").exists());
    assert!(stderr.contains("__MACOSX"), "{stderr}");
}

#[test]
fn the_names_of_the_weights_are_asked_and_faults_of_the_truth_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let weights = folder.join("w.safetensors");
    let labels = ["espresso", "dog"].map(str::to_owned).to_vec();
    let config = NetworkConfig { classes: 2, labels, short_side: 64, ..NetworkConfig::plain(Arch::default()) };
    Network::new(config, tch::Device::Cpu).unwrap().save(&weights, &BTreeMap::new()).unwrap();
    std::fs::create_dir(folder.join("p")).unwrap();
    for name in ["coffee.jpg", "=chelsea.jpg"] {
        let from = name.trim_start_matches('=');
        std::fs::copy(file(format!("assets/images/{from}")), folder.join("p").join(name)).unwrap();
    }
    let table = "image;class;x1;y1;x2;y2\ncoffee.jpg;Espresso;10;10;900;90\n=chelsea.jpg;1;5;5;1;1\n\
        =chelsea.jpg;1;5;5;90;90\n../../etc/passwd;1;1;1;2;2\ncoffee.jpg;dragon;0;0;9;9\n";
    std::fs::write(folder.join("truth.csv"), table).unwrap();
    let run = |more: &[&str]| {
        let mut command = plain_eval(&["--images", "p", "--truth", "truth.csv", "--weights", "w.safetensors"]);
        command
            .current_dir(folder)
            .args(["--maps", "gradcam", "--report", "r", "--measure", "none"])
            .args(more)
            .output()
            .unwrap()
    };
    let output = run(&["-q"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for part in [
        "cover nothing of their picture, left out: 1 (line 3, of =chelsea.jpg)",
        "reach beyond their picture, cut at its edge: 1 (coffee.jpg)",
        "refused: 1 (../../etc/passwd)",
    ] {
        assert!(stderr.contains(part), "{stderr}");
    }
    assert!(!stderr.contains("dragon"), "an unknown class is no fault: {stderr}");
    let report = json(&folder.join("r"), "report.json");
    assert_eq!((&report["n"], &report["all"]["accuracy"]["n"]), (&2.into(), &2.into()));
    let remarks = report["remarks"].as_array().unwrap();
    let refused = remarks.iter().find(|remark| remark["examples"][0] == "../../etc/passwd").unwrap();
    assert_eq!((&refused["kind"], &refused["count"]), (&"lost".into(), &1.into()));
    assert!(report["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains("dragon")));
    let scores = std::fs::read_to_string(folder.join("r/scores.csv")).unwrap();
    assert!(scores.contains("\n'=chelsea.jpg,") && !scores.contains("\n=chelsea"), "{scores}");
    // From the cache, the same is said.
    let again = run(&["-q"]);
    assert_eq!(String::from_utf8_lossy(&again.stderr), stderr);

    std::fs::write(folder.join("names.txt"), "\u{feff}cup\nespresso\n").unwrap();
    let output = run(&["--labels", "names.txt"]);
    assert_eq!(output.status.code(), Some(1));
    std::fs::write(folder.join("names.txt"), "cup\n").unwrap();
    let output = run(&["--labels", "names.txt"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("labels: 1 name, but the network has 2 classes"), "{stderr}");
}

#[test]
fn json_for_standard_output_is_json_and_the_tables_go_beside() {
    let folder = tempfile::tempdir().unwrap();
    let name = "a\u{202e}b\u{9b}.jpg";
    std::fs::copy(file("assets/images/coffee.jpg"), folder.path().join(name)).unwrap();
    std::fs::write(folder.path().join("broken.jpg"), "text").unwrap();
    let table = format!("image,x1,y1,x2,y2\n{name},10,10,90,90\nbroken.jpg,1,1,9,9\n\u{202e}x,1,1,9,9\n");
    std::fs::write(folder.path().join("truth.csv"), table).unwrap();
    let asked = ["--images", ".", "--truth", "truth.csv", "--size", "64", "--maps", "gradcam", "--json", "-"];
    let output = plain_eval(&asked).current_dir(folder.path()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&report["n"], report["missing"].as_array().unwrap().len()), (&1.into(), 2));
    assert!(stderr.contains("pointing") && stderr.contains("gradcam"), "{stderr}");
    for text in [&stdout, &stderr] {
        assert!(!text.contains(['\u{202e}', '\u{9b}']), "{text}");
    }
    assert!(stdout.contains("\\u202e"), "{stdout}");
    assert!(!folder.path().join("-").exists());
}

#[test]
fn a_picture_that_is_there_twice_is_named_by_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let small = image::open(file("assets/images/coffee.jpg")).unwrap().thumbnail(64, 64);
    for name in ["a.png", "b.png"] {
        small.save(folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("t.csv"), "image,x1,y1,x2,y2\na.png,1,1,900,9\nb.png,1,1,900,9\n").unwrap();
    let asked = ["--images", ".", "--truth", "t.csv", "--size", "64", "--maps", "gradcam"];
    let output = plain_eval(&asked).current_dir(folder.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("cut at its edge: 2 (a.png; b.png)"), "{stderr}");
}
