//! The light build: all programs in one file, and what it refuses.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What came of a command.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// That it was refused, in such words.
    fn refused(&self, words: &[&str]) {
        assert_eq!(self.code, Some(2), "{}", self.err);
        assert!(words.iter().all(|word| self.err.contains(word)), "{}", self.err);
        assert!(self.err.contains("the full build"), "{}", self.err);
    }
}

fn photo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/images/coffee.jpg")
}

fn ended(mut command: Command, line: &str) -> Ended {
    let photo = photo();
    let words = line.split_whitespace().map(|word| if word == "PHOTO" { photo.as_os_str() } else { word.as_ref() });
    let output = command.args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The one file, called by its own name.
fn cbam(line: &str) -> Ended {
    ended(Command::new(env!("CARGO_BIN_EXE_cbam")), line)
}

#[test]
fn a_photo_gets_its_overlay_and_its_maps() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let line = format!("run PHOTO --overlay {} --maps-dir {} --json {}", at("o.png"), at("m"), at("r.json"));
    let run = cbam(&line);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.out.contains("espresso"), "{}", run.out);
    assert!(std::fs::read(at("o.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(std::fs::read(at("m/coffee.npy")).unwrap().starts_with(b"\x93NUMPY"));
    assert!(std::fs::read_to_string(at("r.json")).unwrap().contains("espresso"));
}

#[test]
fn a_page_holds_every_picture_and_names_those_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("in")).unwrap();
    std::fs::copy(photo(), at("in/coffee.jpg")).unwrap();
    std::fs::write(at("in/broken.jpg"), "no picture").unwrap();
    let run = cbam(&format!("run {} --html {} --size 64 --class lynx", at("in").display(), at("p.html").display()));
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(run.out.contains("2 pictures, 1 failed -> ") && run.out.contains("p.html"), "{}", run.out);
    let page = std::fs::read_to_string(at("p.html")).unwrap();
    let head = page.split_once("id=\"head\">").unwrap().1.split_once("</script>").unwrap().0;
    let head: serde_json::Value = serde_json::from_str(head).unwrap();
    assert_eq!(head["command"], serde_json::json!(["cbam-run", "--size", "64"]));
    assert_eq!(head["look"]["class"], 287);
    assert!(head["made"]["date"].as_str().unwrap().ends_with('Z'));
    let pictures = head["pictures"].as_array().unwrap();
    assert!(pictures[0]["error"].as_str().unwrap().contains("broken.jpg"));
    assert_eq!((&pictures[1]["explained"], pictures.len()), (&287.into(), 2));

    let one = cbam(&format!("run PHOTO --html {} --size 64", at("one.html").display()));
    assert!(one.code == Some(0) && one.out.contains("one.html"), "{}", one.out);
    let page = std::fs::read_to_string(at("one.html")).unwrap();
    assert!(page.contains("\"classes\":{\"grid\":[2,3],\"of\":null"), "what speaks for each class");
    let over = cbam(&format!("run PHOTO --html {} --labels {}", at("one.html").display(), at("one.html").display()));
    assert_eq!(over.code, Some(2), "a file that is read is not written: {}", over.err);
}

#[test]
fn every_map_that_needs_no_gradient_inside_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (maps, small) = (folder.path().join("m"), "--masks 20 --size 64");
    let names = [
        "fused",
        "object",
        "spatial",
        "patch",
        "rollout",
        "gradcam",
        "gradcam++",
        "hirescam",
        "layercam",
        "xgradcam",
        "eigencam",
    ];
    let costly = ["scorecam", "ablationcam", "occlusion", "rise", "eigencam:stage5", "patch@300,200", "channel:stage5"];
    let asked = [&names[..], &costly].concat().join(" --map ");
    let run = cbam(&format!("run PHOTO {small} --map {asked} --maps-dir {} --quiet", maps.display()));
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert_eq!(std::fs::read_dir(&maps).unwrap().count(), names.len() + costly.len());
}

#[test]
fn what_needs_libtorch_is_refused_and_says_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("o.png");
    let run = |options: &str| cbam(&format!("run PHOTO --overlay {} {options}", out.display()));
    run("--device cuda").refused(&["cuda:0", "light build"]);
    run("--precision f16").refused(&["--precision", "f16"]);
    run("--torchscript net.pt").refused(&["net.pt", "TorchScript"]);
    run("--map gradcam:stage5").refused(&["gradcam:stage5", "at head alone"]);
    cbam("train distill").refused(&["training"]);
    assert!(!out.exists(), "nothing half done");
    let listed = cbam("run --list-maps").out;
    assert!(listed.contains("gradcam, gradcam++, hirescam, layercam, xgradcam at stage1, "), "{listed}");
}

#[test]
fn a_program_is_named_by_the_first_word_or_by_the_file() {
    let version = |ended: &Ended| ended.out.contains("light build") && ended.out.contains(env!("CARGO_PKG_VERSION"));
    for word in ["run", "eval", "weights"] {
        let by_word = cbam(&format!("{word} --version"));
        assert!(by_word.code == Some(0) && by_word.out.starts_with(&format!("cbam-{word} ")), "{}", by_word.out);
        assert!(version(&by_word));
        let usage = cbam(&format!("{word} --no-such-option"));
        assert!(usage.code == Some(2) && usage.err.contains(&format!("cbam {word}")), "{}", usage.err);
        #[cfg(unix)]
        {
            let folder = tempfile::tempdir().unwrap();
            let link = folder.path().join(format!("cbam-{word}"));
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cbam"), &link).unwrap();
            assert_eq!(ended(Command::new(&link), "--version").out, by_word.out);
        }
        for page in ["--man-page", "--completions bash"] {
            let printed = cbam(&format!("{word} {page}"));
            assert!(printed.code == Some(0) && printed.out.contains(&format!("cbam-{word}")), "{}", printed.err);
        }
    }
    assert!(version(&cbam("--version")));
    let help = cbam("--help");
    assert!(help.code == Some(0) && ["run", "eval", "weights"].iter().all(|word| help.out.contains(word)));
    assert!(cbam("--completions zsh").out.contains("cbam"));
    assert_eq!(cbam("").code, Some(2));
    assert_eq!(cbam("dance").code, Some(2));
}

#[test]
fn a_network_is_measured_with_its_sanity() {
    let folder = tempfile::tempdir().unwrap();
    let images = photo().parent().unwrap().to_owned();
    let json = folder.path().join("r.json");
    let line = "--maps fused,spatial --measure sanity --size 64 --limit 2 --quiet --threads 1";
    let run = cbam(&format!("eval --images {} {line} --json {}", images.display(), json.display()));
    assert_eq!(run.code, Some(0), "{}", run.err);
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let figures = report["sanity"].as_array().unwrap();
    assert_eq!(figures.len(), 2, "{report}");
    // Where all weights are random, little is left of a map.
    for figure in figures {
        let last = figure["correlation"].as_array().unwrap().last().unwrap();
        let value = last["value"].as_f64().unwrap();
        assert!(value.abs() < 0.9, "{figure}");
    }
}
