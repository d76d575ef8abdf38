//! `cbam-eval` from its arguments to its figures.

use std::path::Path;
use std::process::{Command, Output};

use cbam::eval::{Localisation, PictureScore, read_truth};
use cbam::maps::{AttentionMap, MapRange, Resample};
use ndarray::Array2;
use ndarray_npy::ReadNpyExt;
use serde_json::Value;

use super::source::archive;

const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/images");
/// Two bundled photos, one that is broken, one of another size than the truth says, one that is not there.
const TRUTH: &str = "image\tclass\twidth\theight\tsmall\tboxes\n\
    p/coffee.jpg\t967\t600\t400\t0\t150,60,430,340\n\
    p/broken.jpg\t0\t10\t10\t1\t1,1,2,2\n\
    p/chelsea.jpg\t0\t451\t300\t1\t100,20,330,290\n\
    p/rocket.jpg\t0\t64\t43\t0\t1,1,2,2\n\
    p/gone.jpg\t0\t10\t10\t0\t1,1,2,2\n";

fn cbam_eval(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cbam-eval"));
    command.current_dir(folder).args(["--truth", "truth.tsv", "--device", "cpu", "--threads", "1"]).args(arguments);
    command.output().unwrap()
}

fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("truth.tsv"), TRUTH).unwrap();
    let photo = |name: &str| std::fs::read(format!("{IMAGES}/{name}.jpg")).unwrap();
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
    let rows = read_truth(folder.join("truth.tsv")).unwrap();
    for (name, folder_name) in [("fused", "fused"), ("spatial:stage5", "spatial-stage5"), ("gradcam", "gradcam")] {
        let mut localisation = Localisation::default();
        for (stem, row) in [("coffee", &rows[0]), ("chelsea", &rows[2])] {
            let file = std::fs::File::open(folder.join("maps").join(folder_name).join(format!("{stem}.npy"))).unwrap();
            let map = AttentionMap::new(Array2::<f32>::read_npy(file).unwrap(), MapRange::Positive).unwrap();
            let full = map.resample(row.size, Resample::Bilinear).unwrap();
            localisation.add(&PictureScore::new(full.values().view(), &row.region().unwrap().inside).unwrap());
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
    assert_eq!(maps, ["centre Gaussian", "centre point", "gradcam"], "the plain network has no other");
    let map = Array2::<f32>::read_npy(std::fs::File::open(folder.join("maps/coffee.npy")).unwrap()).unwrap();
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
    refused(&["--images", "p", "--maps", "spatial:stage9"], 2, "stage5, stage6.expansion, stage7");
    std::fs::write(folder.join("truth.tsv"), TRUTH.replace("\t967\t", "\t1000\t")).unwrap();
    refused(&["--images", "p"], 2, "p/coffee.jpg is of class 1000");
    std::fs::write(folder.join("truth.tsv"), TRUTH.replace("p/rocket.jpg", "q/coffee.png")).unwrap();
    refused(&["--images", "p", "--maps-dir", "maps"], 2, "coffee.npy");
}
