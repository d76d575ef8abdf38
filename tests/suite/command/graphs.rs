//! Networks by their graphs, as a user runs them.

use super::*;

fn golden(name: &str) -> String {
    file("tests/golden/graph").join(name).display().to_string()
}

#[test]
fn a_graph_is_looked_at_as_any_weights_are() {
    let place = Place::with(&[("chelsea.jpg", "a.jpg")]);
    let small = golden("small.pt2");
    let output = place.run(&format!("a.jpg --weights {small} --size 64 --overlay o.png --json r.json --panel p.png"));
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let said = stderr(&output);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(
        said.contains("its graph ends in linear")
            && said.contains("as for ImageNet (else --mean and --std, or --scale-to)"),
        "{said}"
    );
    assert_eq!(place.size("o.png"), place.size("a.jpg"));
    let report = &place.json("r.json")[0];
    assert!(report["maps"]["fused"].is_object() && report["seen"].is_null(), "{report}");
    assert_eq!(report["network_size"]["height"].as_u64(), Some(64));
    assert_eq!(report["top"].as_array().unwrap().len(), 5);

    let listed = place.run(&format!("--list-maps --weights {small}"));
    let listed = String::from_utf8(listed.stdout).unwrap();
    for line in ["fused", "spatial:cbam.sa", "channel:cbam.ca", "gradcam[:STAGE]", "ablationcam[:STAGE]"] {
        assert!(listed.lines().any(|listed| listed == line), "{line}: {listed}");
    }
    assert!(
        listed.contains(
            "STAGE is one of stem.0, stem.1, stem, conv, bn, cbam.ca, cbam, down, relu; without one it is relu."
        ),
        "{listed}"
    );
    for map in ["spatial", "layercam:cbam.ca", "eigencam:down", "channel:cbam.ca"] {
        let output =
            place.run(&format!("a.jpg --weights {small} --size 64 --map {map} --overlay o.png --mean 0.5 --std 0.5"));
        assert_eq!((status(&output), stderr(&output).lines().count()), (0, 1), "{map}: {}", stderr(&output));
    }
    let refused = |line: &str| {
        let output = place.run(line);
        assert_ne!(status(&output), 0, "{line}");
        stderr(&output)
    };
    let error = refused(&format!("a.jpg --weights {small} --arch resnet50 --overlay o.png"));
    assert!(error.contains("it holds the network's graph") && error.contains("--arch has no effect"), "{error}");
    let error = refused(&format!("a.jpg --weights {small} --map gradcam:layer9 --overlay o.png"));
    assert!(error.contains("layer9 is no stage of this network"), "{error}");
    let error = refused(&format!("a.jpg --weights {small} --precision f16 --overlay o.png"));
    assert!(error.contains("--precision: does not go with a network's graph"), "{error}");
}

#[test]
fn a_graph_takes_the_weights_of_another_file() {
    let place = Place::with(&[("chelsea.jpg", "a.jpg")]);
    let (small, halved) = (golden("small.pt2"), golden("small-half.pth"));
    let probability = |line: &str| {
        let output = place.run(&format!("a.jpg {line} --size 64 --json r.json"));
        assert_eq!(status(&output), 0, "{}", stderr(&output));
        place.json("r.json")[0]["top"][0]["probability"].as_f64().unwrap()
    };
    let own = probability(&format!("--weights {small}"));
    assert_eq!(probability(&format!("--graph {small}")), own);
    assert_ne!(probability(&format!("--graph {small} --weights {halved}")), own);
    let output = place.run(&format!("a.jpg --graph {small} --weights {} --json r.json", golden("swish.pt2")));
    assert!(status(&output) != 0 && stderr(&output).contains("a program of torch.export"), "{}", stderr(&output));
    let other = file("tests/golden/checkpoints/buffer.pt").display().to_string();
    let output = place.run(&format!("a.jpg --graph {small} --weights {other} --json r.json"));
    assert!(stderr(&output).contains("not the weights of the graph in"), "{}", stderr(&output));
    // Weights of no known network are told of the way that any network opens.
    let output = place.run(&format!("a.jpg --weights {halved} --json r.json"));
    assert!(status(&output) == 2 && stderr(&output).contains("torch.export.save("), "{}", stderr(&output));
}

#[test]
fn a_network_of_one_size_sees_the_middle_of_a_picture() {
    let place = Place::with(&[("chelsea.jpg", "a.jpg")]);
    let fixed = golden("fixed.pt2");
    let (width, height) = place.size("a.jpg");
    let output = place.run(&format!("a.jpg --weights {fixed} --map gradcam --overlay o.png --json r.json"));
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    assert!(
        stderr(&output)
            .contains("pictures of 64x64, as it takes no others: it sees the middle of each (else --square)"),
        "{}",
        stderr(&output)
    );
    let seen = &place.json("r.json")[0]["seen"];
    let left = (width - height) / 2;
    assert_eq!(
        (seen["left"].as_u64(), seen["size"]["width"].as_u64()),
        (Some(left.into()), Some(height.into())),
        "{seen}"
    );
    let [picture, overlay] = ["a.jpg", "o.png"].map(|name| image::open(place.path(name)).unwrap().to_rgb8());
    let changed = |x: u32| (0..height).any(|y| picture.get_pixel(x, y) != overlay.get_pixel(x, y));
    assert!((0..left).chain(left + height..width).all(|x| !changed(x)), "what was not seen stays as it was");
    assert!((left + 1..left + height - 1).all(changed));
    let output = place.run(&format!("a.jpg --weights {fixed} --map gradcam --square --overlay o.png --json r.json"));
    assert!(
        stderr(&output).contains("as it takes no others: each is squeezed to that")
            && place.json("r.json")[0]["seen"].is_null()
    );
    let output = place.run(&format!("a.jpg --weights {fixed} --size 224 --overlay o.png"));
    assert!(status(&output) != 0 && stderr(&output).contains("--size: 224 is no size"), "{}", stderr(&output));
}

#[test]
fn a_vision_transformer_shows_where_its_class_token_looks() {
    let place = Place::with(&[("chelsea.jpg", "a.jpg"), ("astronaut.jpg", "square.jpg")]);
    let vit = golden("vit.pt2");
    for map in [
        "fused",
        "object",
        "patch",
        "patch:1",
        "patch:blocks.0.attn",
        "cls",
        "cls:blocks.0.attn:2",
        "rollout",
        "patch@200,150",
        "gradcam",
    ] {
        let output = place.run(&format!("a.jpg --weights {vit} --map {map} --overlay o.png"));
        assert_eq!(status(&output), 0, "{map}: {}", stderr(&output));
        assert!(stderr(&output).contains("3 tokens that are no patches"), "{}", stderr(&output));
    }
    let output = place.run(&format!("square.jpg --weights {vit} --map patch@1,1 --overlay o.png"));
    assert!(status(&output) != 0 && stderr(&output).contains("outside the part of the picture"), "{}", stderr(&output));
}

#[test]
fn what_a_graph_holds_is_shown_without_running_it() {
    let inspect = |arguments: &[&str]| {
        let output = program("cbam-weights").arg("inspect").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output))
    };
    let (status, said, _) = inspect(&[&golden("small.pt2")]);
    assert_eq!(status, Some(0));
    for line in [
        "format      .pt2 of torch.export, by PyTorch 2.11.0+cu130",
        "output      output [2, 5], of classes: ends in linear",
        "gate        cbam.ca: channel",
        "gate        cbam.sa: spatial",
        "place       relu: maps [2, 8, 8, 12], where explanations look by themselves",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    assert!(said.contains("64 to 2048 by 32") && said.lines().any(|line| line.starts_with("fc.weight")), "{said}");
    let (status, said, _) = inspect(&[&golden("vit.pt2")]);
    assert!(
        status == Some(0) && said.contains("attention   blocks.1.attn: 3 heads over 4x6 patches, 3 other tokens"),
        "{said}"
    );
    let (status, _, error) = inspect(&[&golden("small.pt2"), "--part", "ema"]);
    assert!(status == Some(2) && error.contains("--part has no effect"), "{error}");
}

#[test]
fn a_model_of_onnx_is_described_once_and_looked_at_as_described() {
    let place = Place::with(&[("chelsea.jpg", "a.jpg")]);
    let net = place.path("net.onnx");
    std::fs::copy(golden("keras-13.onnx"), &net).unwrap();
    std::fs::write(place.path("labels.txt"), "a\nb\nc\nd\ne\n").unwrap();
    let net = net.display().to_string();
    let describe = |line: &str| {
        let output = program("cbam-weights").arg("describe").arg(&net).args(line.split_whitespace()).output().unwrap();
        (output.status.code(), stderr(&output))
    };
    let labels = place.path("labels.txt").display().to_string();
    assert_eq!(describe(&format!("--scale-to -1..1 --labels {labels}")), (Some(0), String::new()));
    let output = place.run(&format!("a.jpg --weights {net} --map gradcam --overlay o.png --json r.json"));
    let said = stderr(&output);
    assert_eq!(status(&output), 0, "{said}");
    assert!(said.contains("what the command line does not say of it is as in") && !said.contains("ImageNet"), "{said}");
    let of = |place: &Place| place.json("r.json")[0]["maps"]["gradcam"]["max"].as_f64().unwrap();
    let described = of(&place);
    assert_eq!(place.json("r.json")[0]["top"][0]["label"].as_str().unwrap().len(), 1);
    std::fs::remove_file(place.path("net.onnx.json")).unwrap();
    let given = format!("a.jpg --weights {net} --map gradcam --overlay o.png --json r.json --mean 0.5 --std 0.5");
    assert_eq!((status(&place.run(&given)), of(&place)), (0, described), "the same, from the command line");
    assert_eq!(status(&place.run(&format!("{given} --channels bgr"))), 0);
    assert_ne!(of(&place), described);
    let (status, error) = describe("");
    assert!(status == Some(2) && error.contains("what is to be kept?"), "{error}");
    let (_, error) = describe("--std 0");
    assert!(error.contains("must be over 0"), "{error}");
    std::fs::write(place.path("net.onnx.json"), "{\"version\": 1, \"mien\": 3}").unwrap();
    let output = place.run(&given);
    assert!(
        stderr(&output).contains("net.onnx.json: does not describe a network: unknown field"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_number_that_is_named_is_explained_and_has_no_probability() {
    let place = Place::with(&[("chelsea.jpg", "a.jpg")]);
    let neck = golden("neck.pt2");
    let line = format!("a.jpg --weights {neck} --size 64 --score output[0][:,8].mean() --overlay o.png --json r.json");
    let output = place.run(&line);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("explained: output[0][:,8].mean() ->"), "{told}");
    let report = &place.json("r.json")[0];
    assert_eq!(report["explained"]["label"], "output[0][:,8].mean()");
    assert!(report["explained"]["probability"].is_null() && report["top"].as_array().unwrap().is_empty(), "{report}");
    let refused = |line: &str| {
        let output = place.run(line);
        assert_ne!(status(&output), 0, "{line}");
        stderr(&output)
    };
    let of_pixel = line.replace(".mean()", " --at 200,120");
    let output = place.run(&of_pixel);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    assert_eq!(place.json("r.json")[0]["explained"]["label"], "output[0][:,8] at 200,120");
    assert!(refused(&of_pixel.replace("200,120", "2000,120")).contains("outside the picture"));
    assert!(refused(&of_pixel.replace("200,120", "here")).contains("write a pixel of the picture"));
    assert!(refused(&format!("{line} --at 200,120")).contains("nothing is left for .mean()"));
    assert!(refused("a.jpg --at 3,4 --overlay o.png").contains("--score"));
    assert!(refused("a.jpg --score out[:,3] --overlay o.png").contains("--score has no effect here"));
    assert!(refused(&format!("{line} --class 3")).contains("cannot be used with"));
    assert!(
        refused(&format!("a.jpg --weights {neck} --score output[0].exp() --overlay o.png"))
            .contains("is not understood")
    );
}
