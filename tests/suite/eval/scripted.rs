//! `cbam-eval` of networks that PyTorch scripted: the figures are of what the network itself says.

use cbam::model::{Model, Question};
use cbam::photo::{Limits, Preprocess, open};
use cbam::torchscript::ScriptedNetwork;
use serde_json::Value;
use tch::Device;

use crate::{file, program};

const PHOTOS: [&str; 3] = ["chelsea.jpg", "coffee.jpg", "rocket.jpg"];

/// How `cbam-eval` ends with these arguments, what it says and what it writes as JSON.
fn cbam_eval(arguments: &[&str]) -> (Option<i32>, String, Value) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program("cbam-eval");
    command.current_dir(folder.path()).args(["--device", "cpu", "--threads", "1", "--quiet", "--json", "r.json"]);
    let output = command.arg("--images").arg(file("assets/images")).args(arguments).output().unwrap();
    let json = std::fs::read(folder.path().join("r.json")).unwrap_or_default();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, serde_json::from_slice(&json).unwrap_or_default())
}

#[test]
fn the_classes_are_those_that_the_network_names_itself() {
    let script = file("tests/golden/torchscript/features.pt");
    let preprocess = Preprocess { short_side: 64, ..Preprocess::imagenet() };
    let network = ScriptedNetwork::open(&script, Device::Cpu, preprocess.clone(), None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut truth = "image,class,x1,y1,x2,y2\n".to_owned();
    for (number, name) in PHOTOS.iter().enumerate() {
        let photo = open(&file("assets/images").join(name), &Limits::default()).unwrap();
        let look = network.look(&[&preprocess.resample(&photo).unwrap()], &Question::default()).unwrap().remove(0);
        // The last one is said to be of another class.
        let class = (look.likeliest.unwrap() + usize::from(number == 2)) % look.readout.probabilities.len();
        truth.extend([name, ",", &class.to_string(), ",10,10,200,200\n"]);
    }
    let table = folder.path().join("truth.csv");
    std::fs::write(&table, truth).unwrap();
    let asked = ["--truth", table.to_str().unwrap(), "--torchscript", script.to_str().unwrap(), "--size", "64"];
    let (status, said, report) = cbam_eval(&asked);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("features.pt: output 0 is taken for scores"), "{said}");
    assert_eq!((&report["arch"], &report["attention"]), (&Value::from("TorchScript"), &Value::Null));
    let top1 = report["all"]["accuracy"]["top1"]["value"].as_f64().unwrap();
    assert!((top1 - 2.0 / 3.0).abs() < 1e-6, "{top1}");
    let maps: Vec<_> = report["all"]["maps"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(maps, ["centre Gaussian", "centre point", "gradcam"]);
    // Kept scores are of the network as it was taken.
    let cache = folder.path().join("cache").display().to_string();
    let kept = |more: &[&str]| cbam_eval(&[&asked[..], &["--cache", &cache], more].concat()).2["all"].clone();
    let first = kept(&[]);
    assert_eq!(first, report["all"]);
    assert_ne!(kept(&["--outputs", "sigmoid"]), first);
    assert_ne!(kept(&["--mean", "0"]), first);
}

#[test]
fn an_answer_alone_gives_no_costly_map_that_nobody_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for (class, photo) in [("0", PHOTOS[0]), ("1", PHOTOS[1])] {
        std::fs::create_dir_all(folder.path().join(class)).unwrap();
        std::fs::copy(file("assets/images").join(photo), folder.path().join(class).join(photo)).unwrap();
    }
    let script = file("tests/golden/torchscript/labels.pt").display().to_string();
    let pictures = folder.path().display().to_string();
    let labels = folder.path().join("labels.txt");
    std::fs::write(&labels, "0\n1\n2\n").unwrap();
    let labels = labels.display().to_string();
    let asked =
        ["--images", &pictures, "--truth", &pictures, "--torchscript", &script, "--size", "64", "--labels", &labels];
    let mut command = program("cbam-eval");
    let output = command.args(["--device", "cpu", "--threads", "1", "--quiet"]).args(asked).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("n = 2"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("rise"), "{said}");
}

#[test]
fn a_graph_is_measured_as_any_network_is() {
    let folder = tempfile::tempdir().unwrap();
    for (class, photo) in [("0", PHOTOS[0]), ("1", PHOTOS[1])] {
        std::fs::create_dir_all(folder.path().join(class)).unwrap();
        std::fs::copy(file("assets/images").join(photo), folder.path().join(class).join(photo)).unwrap();
    }
    let pictures = folder.path().display().to_string();
    let labels = folder.path().join("labels.txt");
    std::fs::write(&labels, "0\n1\n2\n3\n4\n").unwrap();
    let (labels, json) = (labels.display().to_string(), folder.path().join("r.json"));
    for (graph, maps) in [("small.pt2", "fused,spatial,gradcam"), ("fixed.pt2", "gradcam")] {
        let graph = file("tests/golden/graph").join(graph).display().to_string();
        let output = program("cbam-eval")
            .args(["--device", "cpu", "--threads", "1", "--quiet", "--images", &pictures, "--truth", &pictures])
            .args(["--weights", &graph, "--labels", &labels, "--maps", maps, "--measure", "faithfulness"])
            .args(["--steps", "4", "--json", json.to_str().unwrap()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let report = std::fs::read_to_string(&json).unwrap();
        assert!(maps.split(',').all(|map| report.contains(&format!("\"{map}\""))), "{report}");
    }
    let graph = file("tests/golden/graph/small.pt2").display().to_string();
    let (status, said, _) = cbam_eval(&["--weights", &graph, "--measure", "sanity"]);
    assert!(status == Some(2) && said.contains("or of a graph, anew"), "{said}");
}

#[test]
fn what_cannot_be_had_of_a_script_is_said() {
    let script = |name: &str| file(format!("tests/golden/torchscript/{name}")).display().to_string();
    let [features, alone] = ["features.pt", "map_alone.pt"].map(script);
    for (arguments, part) in [
        (&["--torchscript", &features, "--size", "64", "--measure", "sanity"][..], "leave it out"),
        (&["--torchscript", &features, "--plain", "--measure", "time"], "cannot be used with"),
        (&["--torchscript", &features, "--size", "64", "--maps", "fused", "--measure", "time"], "map fused"),
        (&["--torchscript", &alone, "--size", "64", "--measure", "faithfulness"], "has no classifier"),
        (
            &["--torchscript", &features, "--size", "64", "--arch", "resnet18", "--measure", "time"],
            "a file of --weights",
        ),
        (&["--torchscript", &features, "--stem-pool", "none", "--measure", "time"], "a file of --weights"),
        (&["--torchscript-classes", "1", "--measure", "time"], "--torchscript"),
        (&["--outputs", "sigmoid", "--measure", "time"], "--weights, --graph or --torchscript"),
    ] {
        let (status, said, _) = cbam_eval(arguments);
        assert_eq!(status, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}
