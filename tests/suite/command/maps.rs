//! The maps that `cbam-run` saves, draws and compares.

use super::*;

#[test]
fn every_listed_map_can_be_saved_and_drawn() {
    let place = Place::with(&[("chelsea.jpg", "cat.jpg")]);
    let listed = place.succeed("--list-maps");
    let (last, names) = listed.lines().collect::<Vec<_>>().split_last().map(|(l, n)| (*l, n.to_vec())).unwrap();
    assert!(last.starts_with("STAGE is one of stage1, ") && last.contains("stage7, head"), "{last}");
    let names: Vec<_> =
        names.into_iter().map(|name| name.replace("X,Y", "200,100").replace("[:STAGE]", ":stage5")).collect();
    for name in ["fused", "object", "patch", "patch@200,100", "gradcam:stage5", "gradcam++:stage5", "occlusion", "rise"]
    {
        assert!(names.iter().any(|listed| listed == name), "{listed}");
    }
    place.succeed(&format!("cat.jpg --size 64 --masks 40 --maps-dir m --map {}", names.join(" --map ")));
    for name in &names {
        let file = format!("m/cat.{}.npy", name.replace('@', "-at-").replace([':', ','], "-"));
        if name.starts_with("channel") {
            let gate = Array1::<f32>::read_npy(fs::File::open(place.path(&file)).unwrap()).unwrap();
            assert!(gate.iter().all(|value| (0.0..=1.0).contains(value)));
        } else {
            assert!(place.map(&file).len() > 1, "{name}");
        }
    }
    let channel = names.iter().find(|name| name.starts_with("channel")).unwrap();
    for name in ["patch@200,100", "spatial", "patch:1", channel] {
        place.succeed(&format!("cat.jpg --overlay out.png --map {name}"));
        assert_eq!(place.size("out.png"), place.size("cat.jpg"));
    }
}

#[test]
fn a_backbone_without_attention_shows_grad_cam() {
    let place = Place::with(&[("coffee.jpg", "coffee.jpg")]);
    let weights = file("assets/weights/efficientnet-lite0.safetensors");
    let weights = weights.display();
    let listed = place.succeed(&format!("--list-maps --weights {weights}"));
    assert!(listed.starts_with("gradcam[:STAGE]\n") && !listed.contains("fused"), "{listed}");
    let said = place.succeed(&format!("coffee.jpg --weights {weights} --overlay o.png --panel p.png --maps-dir m"));
    assert!(said.contains("espresso"), "{said}");
    let default = place.map("m/coffee.npy");
    place.succeed(&format!("coffee.jpg --weights {weights} --map gradcam --maps-dir m"));
    assert_eq!(default, place.map("m/coffee.npy"));
    assert_eq!(status(&place.run(&format!("coffee.jpg --weights {weights} --map fused"))), 2);
}

#[test]
fn explanations_are_of_a_class_at_a_stage() {
    let place = Place::with(&[("chelsea.jpg", "cat.jpg")]);
    let map = |line: &str| {
        place.succeed(&format!("cat.jpg --maps-dir m --json r.json {line}"));
        (place.map("m/cat.npy"), place.json("r.json")[0]["explained"]["class"].as_u64().unwrap())
    };
    let (tabby, number) = map("--map layercam:stage5 --class 281");
    assert_eq!(number, 281);
    assert_eq!(map("--map layercam:stage5 --class TABBY").0, tabby);
    let (shoe, number) = map("--map layercam:stage5 --class 770");
    assert_eq!(number, 770);
    assert_ne!(shoe, tabby);
    let (likeliest, number) = map("--map layercam:stage5");
    assert!((281..=285).contains(&number));
    assert_eq!(map(&format!("--map layercam:stage5 --class {number}")).0, likeliest);
    assert_eq!((tabby.dim(), map("--map layercam").0.dim()), ((14, 22), (7, 11)));

    for (line, part) in [
        ("--map gradcam --class retriever", "golden retriever (207)"),
        ("--map gradcam --class tigercat", "tiger cat (282)"),
        ("--map gradcam --class 1000", "0 to 999"),
        ("--map gradcam:stage9", "stage7, head"),
        ("--map rise:stage5", "no stage"),
        ("--map spatial --class tabby", "spatial"),
    ] {
        let output = place.run(&format!("cat.jpg --overlay never.png {line}"));
        assert_eq!(status(&output), 2, "{line}");
        assert!(stderr(&output).contains(part), "{line}: {}", stderr(&output));
    }
    assert!(!place.path("never.png").exists());
}

#[test]
fn maps_are_compared_side_by_side() {
    let place = Place::with(&[("chelsea.jpg", "in/cat.jpg"), ("rocket.jpg", "in/rocket.jpg")]);
    place.put("in/broken.jpg", b"no picture");
    let output = place.run("in --compare gradcam,gradcam:stage5,patch@5,9,fused --out-dir sheets --maps-dir m");
    assert_eq!(status(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("broken.jpg"));
    for name in ["cat", "rocket"] {
        let (width, height) = place.size(&format!("sheets/{name}.png"));
        assert!(width > 900 && height > 300, "{width}x{height}");
        assert!(place.path(&format!("m/{name}.gradcam-stage5.npy")).is_file());
    }
    place.succeed("in/cat.jpg --compare gradcam,fused");
    place.succeed("in/cat.jpg in/rocket.jpg --compare occlusion,spatial --window 96 --stride 96 --quiet");
    assert!(place.path("in/cat-compare.png").is_file() && !place.path("in/cat-overlay.png").exists());
    assert!(!place.run("in --out-dir o").stderr.is_empty());
    assert!(!place.path("o/cat-compare.png").exists(), "a scan takes no sheet for a picture");
}

#[test]
fn points_are_pixels_of_the_photo() {
    let place = Place::with(&[("chelsea.jpg", "cat.jpg")]);
    let (width, height) = place.size("cat.jpg");
    let corner = format!("cat.jpg --map patch@{},{} --maps-dir m", width - 1, height - 1);
    place.succeed(&corner);
    let last = place.map("m/cat.npy");
    place.succeed("cat.jpg --map patch@0,0 --maps-dir m");
    assert_ne!(last, place.map("m/cat.npy"));
    let output = place.run(&format!("cat.jpg --map patch@{width},0 --maps-dir n"));
    assert_eq!(status(&output), 1);
    assert!(stderr(&output).contains("cat.jpg") && stderr(&output).contains("outside"), "{}", stderr(&output));
}

#[test]
fn one_scale_for_the_run_is_the_range_of_all_maps() {
    let place = Place::with(&[("coffee.jpg", "in/a.jpg"), ("chelsea.jpg", "in/b.jpg"), ("rocket.jpg", "in/c.jpg")]);
    place.succeed("in --out-dir run --maps-dir m --scale run");
    let values: Vec<f32> = ["a", "b", "c"].iter().flat_map(|stem| place.map(&format!("m/{stem}.npy"))).collect();
    let (low, high) = values.iter().fold((f32::MAX, 0_f32), |(low, high), value| (low.min(*value), high.max(*value)));
    place.succeed(&format!("in --out-dir fixed --scale fixed:{low},{high}"));
    place.succeed("in --out-dir image");
    let same = |a: &str, b: &str| {
        ["a", "b", "c"].map(|stem| {
            fs::read(place.path(&format!("{a}/{stem}.png"))).unwrap()
                == fs::read(place.path(&format!("{b}/{stem}.png"))).unwrap()
        })
    };
    assert_eq!(same("run", "fixed"), [true; 3]);
    assert_ne!(same("run", "image"), [true; 3]);
}
