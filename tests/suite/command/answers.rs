//! What `cbam-run` says: answers, empty maps, files left out, names.

use super::*;

/// Outputs that are one logit, several labels, or no numbers at all.
#[test]
fn answers_are_what_the_network_says() {
    let place = Place::with(&[("chelsea.jpg", "a.jpg"), ("coffee.jpg", "b.jpg")]);
    let golden = |name: &str| crate::file("tests/golden/torchscript").join(name);
    let script = |name: &str| {
        format!(
            "--torchscript {} --size 64 --map rise --masks 20 --overlay o.png --json r.json",
            golden(name).display()
        )
    };
    let top = |place: &Place| {
        let report = &place.json("r.json")[0];
        let top = report["top"].as_array().unwrap().iter();
        let top: Vec<_> = top.map(|class| class["probability"].as_f64().unwrap()).collect();
        (top, report["outputs_are"].as_str().unwrap().to_owned())
    };
    let output = place.run(&format!("a.jpg {}", script("labels.pt")));
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1, "the guess is told once: {}", stderr(&output));
    assert!(stderr(&output).contains("probabilities") && stderr(&output).contains("sigmoid"), "{}", stderr(&output));
    let (labels, kind) = top(&place);
    assert_eq!((labels.len(), kind.as_str()), (3, "probabilities"));
    assert!((labels.iter().sum::<f64>() - 1.0).abs() > 0.01, "no softmax: {labels:?}");
    place.succeed(&format!("a.jpg {} --outputs probabilities", script("labels.pt")));
    assert_eq!(top(&place).0, labels);
    place.succeed(&format!("a.jpg {} --outputs sigmoid --class 0", script("one_logit.pt")));
    let (answers, kind) = top(&place);
    assert!(answers.len() == 2 && (answers.iter().sum::<f64>() - 1.0).abs() < 1e-6 && kind == "sigmoid", "{answers:?}");
    // Infinite numbers, as a deviation of nearly 0 makes them.
    let line = format!("a.jpg {} --outputs sigmoid --std 1e-38", script("one_logit.pt"));
    let output = place.run(&line);
    assert_eq!(status(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("a.jpg") && stderr(&output).contains("not finite"), "{}", stderr(&output));
    assert!(!fs::read_to_string(place.path("r.json")).unwrap().contains("null"));
}

#[test]
fn an_explanation_that_is_empty_is_said() {
    let place = Place::new();
    image::RgbImage::new(300, 200).save(place.path("black.png")).unwrap();
    let output = place.run("black.png --map gradcam --class 500 --overlay o.png --json r.json");
    assert_eq!(status(&output), 0);
    assert!(stderr(&output).contains("black.png: gradcam: nothing speaks for class 500"), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("; explained: cliff dwelling < 0.1 % -> o.png") || said.contains("; explained: cliff dwelling"),
        "{said}"
    );
    assert_eq!(place.json("r.json")[0]["flat"]["gradcam"].as_f64(), Some(0.0));
}

#[test]
fn folders_are_told_what_of_them_is_left_out() {
    let place = Place::with(&[("chelsea.jpg", "in/a.jpg")]);
    for name in
        ["in/._a.jpg", "in/b.heic", "in/c.avif", "in/notes.txt", "in/__MACOSX/d.jpg", "in/.ipynb_checkpoints/e.jpg"]
    {
        place.put(name, b"x");
    }
    let output = place.run("in --out-dir o");
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let expected = "cbam-run: in: left out: 2 pictures of formats that are not read (1 avif, 1 heic), 1 other file (1 txt), \
                    3 hidden or of the system (._a.jpg, .ipynb_checkpoints, __MACOSX)\n";
    assert_eq!(stderr(&output), expected);
    assert!(place.path("o/a.jpg").exists() || place.path("o/a.png").exists());
    assert_eq!(stderr(&place.run("in --out-dir o --quiet")), "");
}

#[test]
fn the_mean_and_deviation_are_taken_with_weights_too() {
    let place = Place::with(&[("chelsea.jpg", "a.jpg")]);
    let weights = &crate::file("assets/weights/efficientnet-lite0.safetensors").display().to_string();
    let map = |more: &str| {
        place.succeed(&format!("a.jpg --weights {weights} --size 64 --maps-dir m {more}"));
        place.map("m/a.npy")
    };
    let own = map("");
    // EfficientNet-Lite's own, in other words.
    let same = map("--mean 0.49803922 --std 0.50196078");
    assert!((&same - &own).iter().all(|difference| difference.abs() < 1e-3 * own.iter().copied().fold(0.0, f32::max)));
    assert_ne!(map("--mean 0.3 --std 0.2"), own);
    assert_eq!(map("--square").dim(), (2, 2));
}

#[cfg(unix)]
#[test]
fn names_cannot_control_a_terminal() {
    let place = Place::new();
    fs::copy(crate::file("assets/images/chelsea.jpg"), place.path("a\u{1b}[31m\u{202e}\nb.jpg")).unwrap();
    place.put("bad\u{1b}]0;x\u{7}.png", b"no picture");
    let output = crate::program("cbam-run")
        .current_dir(place.0.path())
        .args([".", "--json", "-", "--size", "64"])
        .output()
        .unwrap();
    assert_eq!(status(&output), 1);
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        let hidden = |c: char| c != '\n' && cbam::text::is_hidden(c);
        assert!(!text.contains(hidden) && text.contains("u{1b}") | text.contains("\\u001b"), "{text}");
    }
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report[0]["input"].as_str(), Some("./a\u{1b}[31m\u{202e}\nb.jpg"), "the name is whole in the report");
    let output = place.run("--map \u{1b}[31mx a.jpg");
    assert!(!stderr(&output).contains('\u{1b}'), "{}", stderr(&output));
}

#[test]
fn every_program_prints_its_completions_and_its_manual() {
    for name in ["cbam-run", "cbam-eval", "cbam-train", "cbam-weights", "cbam-view"] {
        for shell in ["bash", "zsh", "fish"] {
            let output = program(name).args(["--completions", shell]).output().unwrap();
            assert!(
                output.status.success() && String::from_utf8_lossy(&output.stdout).contains(name),
                "{name} {shell}"
            );
        }
        let output = program(name).arg("--man-page").output().unwrap();
        let manual = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && manual.contains(".TH") && manual.contains("completions"),
            "{name}: {manual}"
        );
        if name == "cbam-train" {
            assert!(
                manual.contains("CBAM-TRAIN DISTILL") && manual.contains("label\\-smoothing"),
                "subcommands are on the page"
            );
        }
        assert_eq!(status(&program(name).args(["--completions", "dos"]).output().unwrap()), 2);
    }
    let script = crate::program("cbam-run").args(["--completions", "bash"]).output().unwrap();
    let script = String::from_utf8(script.stdout).unwrap();
    for value in ["gradcam++", "viridis", "cuda", "webp", "resnet50", "sigmoid", "bicubic"] {
        assert!(script.contains(value), "{value}");
    }
}

#[test]
fn one_name_is_enough_for_one_number_and_another_output_can_be_of_the_classes() {
    let place = Place::with(&[("coffee.jpg", "a.jpg")]);
    let golden = |name: &str| crate::file("tests/golden/torchscript").join(name).display().to_string();
    let look = "--size 64 --map occlusion --window 64 --json r.json --quiet";
    let labels = |place: &Place| -> Vec<String> {
        let top = place.json("r.json")[0]["top"].clone();
        top.as_array().unwrap().iter().map(|class| class["label"].as_str().unwrap().to_owned()).collect()
    };
    place.put("one.txt", b"crack\n");
    place.succeed(&format!("a.jpg --torchscript {} --labels one.txt {look}", golden("one_logit.pt")));
    let mut both = labels(&place);
    both.sort();
    assert_eq!(both, ["crack", "not crack"]);

    place.put("three.txt", b"red\ngreen\nblue\n");
    let embedding = golden("embedding.pt");
    let output = place.run(&format!("a.jpg --torchscript {embedding} --labels three.txt --size 64 --json r.json"));
    assert_eq!(status(&output), 2);
    assert!(stderr(&output).contains("though 2 could be too (--torchscript-classes)"), "{}", stderr(&output));
    assert!(stderr(&output).contains("3 names, but the network has 7 classes"), "{}", stderr(&output));
    place.succeed(&format!("a.jpg --torchscript {embedding} --torchscript-classes 2 --labels three.txt {look}"));
    let mut three = labels(&place);
    three.sort();
    assert_eq!(three, ["blue", "green", "red"]);
    let output = place.run("a.jpg --torchscript-classes 2");
    assert!(status(&output) == 2 && stderr(&output).contains("no effect"), "{}", stderr(&output));
}
