//! The names of maps and scales, and maps by their names.

use cbam::maps::{
    Explanation, GateReadout, Ground, MapName, MapRange, Method, PatchReadout, QueryRow, Readout, Scale, attended,
    fuse, likeness, object,
};
use cbam::photo::{Geometry, ImageSize};
use ndarray::{Array1, Array2, Array3, Axis, array};

#[test]
fn scales_are_written_and_read() {
    for text in ["image", "run", "percentile:1,99.5", "fixed:-0.5,3"] {
        assert_eq!(text.parse::<Scale>().unwrap().to_string(), text);
    }
    let wrong = [
        "",
        "images",
        "fixed",
        "fixed:",
        "fixed:1",
        "fixed:2,1",
        "fixed:1,1",
        "fixed:a,b",
        "fixed:0,inf",
        "fixed:nan,1",
        "percentile:-1,50",
        "percentile:0,101",
        "run:1,2",
    ];
    for text in wrong {
        let message = text.parse::<Scale>().unwrap_err().to_string();
        assert!(message.contains(&format!("{text:?}")), "{message}");
    }
}

#[test]
fn names_are_written_and_read() {
    let names = [
        ("fused", MapName::Fused),
        ("object", MapName::Object),
        ("spatial", MapName::Spatial(None)),
        ("spatial:stage5", MapName::Spatial(Some("stage5".to_owned()))),
        ("patch", MapName::PATCH),
        ("patch:3", MapName::Patch { stage: None, head: Some(3) }),
        ("patch:stage7", MapName::Patch { stage: Some("stage7".into()), head: None }),
        ("patch:stage7:2", MapName::Patch { stage: Some("stage7".into()), head: Some(2) }),
        ("patch@12,340", MapName::PatchAt(12, 340)),
        ("channel:stage7", MapName::Channel("stage7".to_owned())),
        ("rollout", MapName::Rollout),
        ("gradcam", MapName::explain(Method::GradCam)),
        ("gradcam++:stage2", MapName::Explain { method: Method::GradCamPlusPlus, stage: Some("stage2".to_owned()) }),
        ("rise", MapName::explain(Method::Rise)),
    ];
    assert_eq!("layercam:head".parse::<MapName>().unwrap(), MapName::explain(Method::LayerCam));
    for (text, name) in names {
        assert_eq!(text.parse::<MapName>().unwrap(), name);
        assert_eq!(name.to_string(), text);
    }
    for text in [
        "",
        "spatial:",
        "patch:stage5:x",
        "patch:stage5:-1",
        "patch::1",
        "patch@",
        "patch@1",
        "patch@1,b",
        "patch@-1,2",
        "channel",
        "fused:1",
        "rollout:stage5",
        "gradcam:",
        "gradcam+:head",
        "rise:stage5",
    ] {
        let message = text.parse::<MapName>().unwrap_err().to_string();
        assert!(message.contains(&format!("{text:?}")), "{message}");
    }
}

const GEOMETRY: Geometry = Geometry::whole(ImageSize::new(40, 30), ImageSize::new(64, 32));

fn explanation(stage: Option<&str>, map: Array2<f32>) -> Explanation {
    Explanation { method: Method::GradCam, stage: stage.map(str::to_owned), class: 1, map }
}

fn readout() -> Readout {
    let gate = |stage: &str, channels: usize, spatial: Option<Array2<f32>>| GateReadout {
        stage: stage.to_owned(),
        channel: Array1::from_elem(channels, 0.25),
        spatial,
        ..GateReadout::default()
    };
    let received = Array3::from_shape_fn((2, 2, 4), |(head, y, x)| (head * 8 + y * 4 + x) as f32 / 8.0);
    Readout {
        probabilities: array![0.25, 0.75],
        gates: vec![
            gate("stage5", 3, Some(Array2::from_elem((2, 4), 0.5))),
            gate("stage7", 5, Some(array![[0.25, 0.75]])),
            gate("head", 7, None),
        ],
        patches: vec![
            PatchReadout {
                stage: "stage5".to_owned(),
                received,
                rows: vec![QueryRow {
                    query: GEOMETRY.fraction(12, 20).unwrap(),
                    weights: Array2::from_elem((2, 4), 1.5),
                }],
                ..PatchReadout::default()
            },
            PatchReadout { stage: "stage7".to_owned(), received: array![[[0.5, 1.5]]], ..PatchReadout::default() },
        ],
        rollout: Some(array![[1.5, 0.5]]),
        outputs: Vec::new(),
        explanations: vec![explanation(None, array![[0.0, 2.0]]), explanation(Some("stage2"), array![[3.0]])],
        ..Readout::default()
    }
}

#[test]
fn maps_by_name() {
    let readout = readout();
    let map = |text: &str| readout.map(&text.parse().unwrap(), &GEOMETRY).unwrap();
    let patch = &readout.patches[0];
    assert_eq!(map("spatial").values(), &array![[0.25, 0.75]]); // the last one that has a spatial gate
    assert_eq!(map("spatial:stage5").values()[[1, 3]], 0.5);
    assert_eq!(map("patch:1").values(), &patch.received.index_axis(Axis(0), 1));
    assert_eq!(map("patch").values()[[1, 2]], (6.0 + 14.0) / 16.0);
    assert_eq!(map("patch:stage5").values(), map("patch").values());
    assert_eq!(map("patch:stage5:1").values(), map("patch:1").values());
    assert_eq!(map("patch:stage7").values(), &array![[0.5, 1.5]]);
    assert_eq!(map("patch@12,20").values()[[0, 0]], 1.5);
    assert_eq!(map("rollout").values(), &array![[1.5, 0.5]]);
    assert_eq!(map("gradcam").values(), &array![[0.0, 2.0]]);
    assert_eq!(map("gradcam:stage2").values(), &array![[3.0]]);
    let received = [map("patch"), map("patch:stage7")].map(|map| map.values().clone());
    let looked_at = attended(&received, map("gradcam").values());
    assert_eq!(map("fused").values(), &fuse(&looked_at, None));
    assert_eq!(map("object").values(), &object(&looked_at, None));
    // With the features of a place both know the whole of a thing, once that is settled.
    let features = Array2::from_shape_fn((2 * 4, 3), |(cell, channel)| ((cell * 5 + channel * 3) % 7) as f32);
    let mut grounded = Readout { ground: Some(Ground { grid: [2, 4], features }), ..readout.clone() };
    assert_eq!(grounded.map(&MapName::Fused, &GEOMETRY).unwrap(), map("fused"));
    let expected = likeness(&looked_at, grounded.ground.as_ref().unwrap());
    grounded.settle_likeness();
    assert_eq!(grounded.likeness.as_ref(), Some(&expected));
    assert_eq!(grounded.map(&MapName::Fused, &GEOMETRY).unwrap().values(), &fuse(&looked_at, Some(&expected)));
    // Of another class it is made again.
    let mut other = Readout { likeness: None, ..grounded.clone() };
    other.explained(explanation(None, array![[2.0, 0.0]]));
    other.settle_likeness();
    assert!(other.likeness.is_some() && other.likeness != grounded.likeness);
    // Without attention there is no fused map, and with features the whole thing all the same.
    let bare = Readout { gates: Vec::new(), patches: Vec::new(), ..grounded };
    let names: Vec<_> = bare.map_names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["object", "rollout", "gradcam", "gradcam:stage2"]);
    assert_eq!(
        [map("spatial").range(), map("patch").range(), map("fused").range()],
        [MapRange::Unit, MapRange::Relative, MapRange::Positive]
    );

    let names: Vec<_> = readout.map_names().iter().map(ToString::to_string).collect();
    let gates_and_heads = ["fused", "object", "spatial:stage5", "spatial:stage7", "patch", "patch:0", "patch:1"];
    let coarse = ["patch:stage7", "patch:stage7:0"];
    assert_eq!(names, [&gates_and_heads[..], &coarse, &["rollout", "gradcam", "gradcam:stage2"]].concat());
    for name in readout.map_names() {
        assert!(readout.map(&name, &GEOMETRY).is_ok(), "{name}");
    }
    assert_eq!(readout.channel("head").unwrap().len(), 7);
}

#[test]
fn maps_that_are_not_there_are_named() {
    let message = |readout: &Readout, text: &str| {
        let message = readout.map(&text.parse().unwrap(), &GEOMETRY).unwrap_err().to_string();
        assert!(message.contains(text), "{message}");
        message
    };
    let full = readout();
    assert!(message(&full, "spatial:stage6").contains("stage5, stage7"));
    assert!(message(&full, "spatial:head").contains("stage5, stage7"));
    assert!(message(&full, "patch:2").contains("0 to 1"));
    assert!(message(&full, "patch:stage7:1").contains("stage7 has heads 0 to 0"));
    assert!(message(&full, "patch:stage6").contains("stage5, stage7"));
    assert!(message(&full, "patch@13,20").contains("not asked"));
    assert!(message(&full, "patch@40,20").contains("40x30"));
    assert!(message(&full, "channel:stage5").contains("vector"));
    assert!(full.channel("stage6").unwrap_err().to_string().contains("stage5, stage7, head"));

    let plain = Readout { gates: Vec::new(), patches: Vec::new(), rollout: None, explanations: Vec::new(), ..full };
    assert!(plain.map_names().is_empty());
    assert!(message(&plain, "spatial").contains("none"));
    for text in ["patch", "patch:0", "patch@1,1", "fused", "object", "rollout", "gradcam", "layercam:stage5"] {
        message(&plain, text);
    }
}
