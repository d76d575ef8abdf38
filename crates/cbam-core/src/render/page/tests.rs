use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{DynamicImage, RgbImage, RgbaImage};
use ndarray::{Array2, Array3, array};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;
use crate::maps::{
    AttentionMap, ClassActivations, Detail, Explanation, FeatureMaps, GateReadout, Ground, MapRange, Method,
    PatchReadout, Readout, ScaleLimits,
};
use crate::model::Look;
use crate::photo::{Geometry, ImageSize, Photo};

const GRID: [usize; 2] = [2, 3];

/// A network's answer: two heads over six patches, a gate of two channels, three classes.
fn look(size: ImageSize) -> Look {
    let weight = |(head, query, key): (usize, usize, usize)| ((head * 7 + query * 5 + key * 3) % 11) as f32 / 10.0;
    let features =
        Array3::from_shape_fn((2, GRID[0], GRID[1]), |(channel, row, column)| (channel * row + column) as f32);
    let map = array![[0.0, 0.25], [0.5, 1.0]];
    let readout = Readout {
        probabilities: array![0.2, 0.7, 0.1],
        gates: vec![GateReadout {
            stage: "stage5".to_owned(),
            channel: array![0.25, 0.75],
            spatial: Some(Array2::from_elem((2, 3), 0.5)),
            features: Some(FeatureMaps::of(features.view())),
            ..GateReadout::default()
        }],
        patches: vec![PatchReadout {
            stage: "stage5".to_owned(),
            received: Array3::ones((2, GRID[0], GRID[1])),
            weights: Some(Array3::from_shape_fn((2, 6, 6), weight)),
            ..PatchReadout::default()
        }],
        explanations: vec![Explanation { method: Method::GradCam, stage: None, class: 1, map: map.clone() }],
        classes: Some(ClassActivations {
            of: None,
            maps: Array3::from_shape_fn((3, 2, 2), |(class, row, column)| class as f32 * map[[row, column]]),
        }),
        ground: Some(Ground::of_maps(features.view())),
        ..Readout::default()
    };
    let geometry = Geometry::whole(size, ImageSize::new(64, 32));
    Look { readout, geometry, likeliest: Some(1), explained: Some(1) }
}

fn subject() -> Arc<PageSubject> {
    Arc::new(PageSubject {
        maps: vec![MapName::PATCH, MapName::Channel("stage5".to_owned())],
        labels: ["fig", "</script><b>", "pear"].map(str::to_owned).to_vec(),
        outputs: Outputs::Softmax,
        class: None,
        scale: Scale::Image,
    })
}

fn head() -> PageHead {
    PageHead {
        program: "test 1".to_owned(),
        date: "2026-11-28T09:30:00Z".to_owned(),
        command: vec!["cbam-run".to_owned()],
        methods: BTreeMap::from([("rise", vec!["masks".to_owned(), "50".to_owned()])]),
        network: "a network".to_owned(),
        overlay: Overlay::default(),
        report: None,
    }
}

/// A picture that no JPEG makes small.
fn noise(width: u32, height: u32) -> Photo {
    let mut state = 1_u32;
    let image = RgbImage::from_fn(width, height, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        image::Rgb([(state >> 24) as u8, (state >> 16) as u8, (state >> 8) as u8])
    });
    Photo::from(DynamicImage::from(image))
}

fn picture(name: &str, photo: &Photo, detail: Detail) -> PagePicture {
    let look = look(photo.size());
    let (damaged, notes) = (None, Vec::new());
    let (maps, packing) = (&subject().maps, Packing::Small);
    let source =
        PageSource { name: name.to_owned(), photo, look: &look, maps, detail, measured: None, packing, damaged, notes };
    PagePicture::new(&source, subject()).unwrap()
}

#[test]
fn a_page_can_be_made_picture_by_picture() {
    let shown = picture("a.jpg", &noise(30, 20), Detail::Means);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.html");
    let mut page = PageWriter::create(&path, head()).unwrap();
    page.picture(shown.clone()).unwrap();
    page.finish().unwrap();
    let html = fs::read_to_string(&path).unwrap();
    let [listed, alone] = [shown.listed().unwrap(), head().json(&subject()).unwrap()];
    let [listed, mut alone]: [Value; 2] = [listed, alone].map(|json| serde_json::from_str(&json).unwrap());
    let written: Value = serde_json::from_str(between(&html, "id=\"head\">", "</script>")).unwrap();
    assert_eq!(written["pictures"][0], listed);
    assert_eq!(alone["pictures"], Value::Array(Vec::new()));
    alone["pictures"] = Value::Array(vec![listed]);
    assert_eq!(alone, written, "nothing else differs");
    assert!(html.contains(&shown.record().replace('<', "\\u003c")));
}

/// What stands between two marks.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    text.split_once(before).unwrap().1.split_once(after).unwrap().0
}

fn numbers(picture: &Value, array: &Value) -> Vec<f32> {
    let packed = BASE64_STANDARD.decode(picture["blob"].as_str().unwrap()).unwrap();
    let mut bytes = Vec::new();
    flate2::read::ZlibDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    let number = |name: &str| array[name].as_f64().unwrap();
    let (at, count) = (number("at") as usize, number("count") as usize);
    let span = |code: f64, most: f64| (number("low") + (number("high") - number("low")) * code / most) as f32;
    match array["type"].as_str().unwrap() {
        "u8" => bytes[at..at + count].iter().map(|code| span(f64::from(*code), 255.0)).collect(),
        "u16" => bytes[at..at + 2 * count]
            .chunks_exact(2)
            .map(|code| span(f64::from(u16::from_le_bytes([code[0], code[1]])), 65_535.0))
            .collect(),
        _ => bytes[at..at + 4 * count].chunks_exact(4).map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]])).collect(),
    }
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-5)
}

#[test]
fn a_page_of_one_picture_holds_all_that_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.html");
    let mut page = PageWriter::create(&path, head()).unwrap();
    page.picture(picture("a/<b>.png", &noise(30, 20), Detail::Whole)).unwrap();
    assert!(!path.exists(), "it is not there before it is whole");
    page.finish().unwrap();
    let html = fs::read_to_string(&path).unwrap();
    assert!(html.contains("<title>&lt;b&gt;.png · cbam</title>"));
    assert_eq!(html.matches("</script>").count(), 3, "no data ends a script");

    let style = between(&html, "<style>", "</style>");
    let script = between(&html, "<script>", "</script>");
    for (kind, text) in [("script-src", script), ("style-src", style)] {
        let hash = BASE64_STANDARD.encode(Sha256::digest(text));
        assert!(html.contains(&format!("{kind} 'sha256-{hash}';")), "{kind}");
    }
    let head: Value = serde_json::from_str(between(&html, "id=\"head\">", "</script>")).unwrap();
    assert_eq!((&head["format"], &head["version"]), (&"cbam-page".into(), &VERSION.into()));
    assert_eq!(head["network"]["labels"][1], "</script><b>");
    assert_eq!(head["pictures"][0]["top"][0][0], 1);
    assert_eq!((&head["look"]["maps"][0], &head["methods"]["rise"][1]), (&"patch".into(), &"50".into()));

    let data: Value = serde_json::from_str(between(&html, "data-index=\"0\">", "</script>")).unwrap();
    let names: Vec<_> = data["maps"].as_array().unwrap().iter().map(|map| map["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["patch", "fused", "object", "spatial:stage5", "patch:0", "patch:1", "gradcam"]);
    let map = |name: &str| &data["maps"][names.iter().position(|other| *other == name).unwrap()];
    assert!(close(&numbers(&data, &map("gradcam")["values"]), &[0.0, 0.25, 0.5, 1.0]));
    assert_eq!((&map("gradcam")["of_class"], &map("patch")["range"]), (&true.into(), &"relative".into()));
    assert!(close(&numbers(&data, &data["probabilities"]), &[0.2, 0.7, 0.1]));

    let look = look(ImageSize::new(30, 20));
    let (attention, weights) = (&data["attention"][0], look.readout.patches[0].weights.as_ref().unwrap());
    assert_eq!((&attention["heads"], &attention["mean"]), (&2.into(), &false.into()));
    let (scales, codes) = (numbers(&data, &attention["scales"]), numbers(&data, &attention["weights"]));
    let shares: Vec<f32> = codes.iter().enumerate().map(|(index, code)| code * scales[index / 6]).collect();
    assert!(close(&shares, (weights / 6.0).as_slice().unwrap()), "rows of shares, times the patches relative");

    let classes = &data["classes"];
    let (scales, codes) = (numbers(&data, &classes["scales"]), numbers(&data, &classes["values"]));
    assert_eq!(classes["of"], Value::Null);
    assert!(close(&scales, &[0.0, 1.0, 2.0]) && close(&codes[8..], &[0.0, 0.25, 0.5, 1.0]));
    let ground = &data["ground"];
    let [lows, highs, values] = ["lows", "highs", "values"].map(|name| numbers(&data, &ground[name]));
    let features: Vec<f32> =
        values.iter().enumerate().map(|(i, part)| lows[i % 2] + (highs[i % 2] - lows[i % 2]) * part).collect();
    assert!(close(&features, look.readout.ground.as_ref().unwrap().features.as_slice().unwrap()));
    assert_eq!(data["rule"]["patches"], Value::from(vec!["patch"]));
    assert_eq!(data["rule"]["gates"], Value::from(vec!["spatial:stage5"]));
    assert_eq!(data["gates"][0]["features"]["channels"], 2);
    assert!(data["photo"].as_str().unwrap().starts_with("data:image/jpeg;base64,"));
}

#[test]
fn pictures_among_many_are_small_and_those_that_fail_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.html");
    let mut page = PageWriter::create(&path, head()).unwrap();
    let one = picture("a.png", &noise(1500, 900), Detail::Means);
    assert!(one.json.len() < 150_000, "{}", one.json.len());
    page.picture(one).unwrap();
    page.failure(Path::new("b.png"), &crate::Error::photo("b.png", "is no picture"));
    let clear = RgbaImage::from_pixel(40, 30, image::Rgba([9, 8, 7, 100]));
    page.picture(picture("c.png", &Photo::from(DynamicImage::from(clear)), Detail::Means)).unwrap();
    page.finish().unwrap();
    let html = fs::read_to_string(&path).unwrap();
    let head: Value = serde_json::from_str(between(&html, "id=\"head\">", "</script>")).unwrap();
    let pictures = head["pictures"].as_array().unwrap();
    assert_eq!(pictures.len(), 3);
    assert_eq!(pictures[1]["error"], "b.png: is no picture");
    assert_eq!((&head["disagreement"][1], &head["split"]), (&"gradcam".into(), &Value::Null));
    let apart = pictures[0]["disagreement"].as_f64().unwrap();
    assert!(apart > 0.0 && apart < 1.0, "{apart}");
    assert_eq!(pictures[0]["maps"]["patch"]["grid"], Value::from(vec![2, 3]));
    let data: Value = serde_json::from_str(between(&html, "data-index=\"2\">", "</script>")).unwrap();
    assert!(data["photo"].as_str().unwrap().starts_with("data:image/png;base64,"), "what is clear stays clear");
    assert_eq!((&data["classes"], &data["ground"]), (&Value::Null, &Value::Null));
}

#[test]
fn what_is_too_large_for_one_file_lies_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.html");
    let parts = folder.path().join("out_files");
    let write = |count: usize| {
        let mut page = PageWriter::create(&path, head()).unwrap().at_most(1000);
        for index in 0..count {
            page.picture(picture(&format!("{index}.png"), &noise(30, 20), Detail::Means)).unwrap();
        }
        page.finish()
    };
    write(3).unwrap();
    fs::write(parts.join("notes.txt"), "mine").unwrap();
    write(2).unwrap();
    let mut names: Vec<_> = fs::read_dir(&parts).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["0.js", "1.js", "notes.txt"], "what an older page had is gone");
    let html = fs::read_to_string(&path).unwrap();
    assert!(html.contains("'strict-dynamic'") && !html.contains("data-index=\"0\">"));
    let part = fs::read_to_string(parts.join("1.js")).unwrap();
    let data: Value = serde_json::from_str(between(&part, "cbamPicture(1,", ");\n")).unwrap();
    assert_eq!(data["size"], Value::from(vec![30, 20]));

    fs::remove_dir_all(&parts).unwrap();
    fs::write(&parts, "a file").unwrap();
    fs::remove_file(&path).unwrap();
    assert!(write(2).is_err());
    assert!(!path.exists(), "without its parts there is no page");
}

#[test]
fn one_scale_for_all_spans_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.html");
    let mut page = PageWriter::create(&path, head()).unwrap();
    let photo = noise(30, 20);
    let subject = Arc::new(PageSubject { scale: Scale::Run, ..(*subject()).clone() });
    for factor in [1.0, 3.0] {
        let mut look = look(photo.size());
        look.readout.patches[0].received[[0, 0, 0]] = factor;
        let source = PageSource {
            name: factor.to_string(),
            photo: &photo,
            look: &look,
            detail: Detail::Means,
            maps: &subject.maps,
            packing: Packing::Small,
            measured: None,
            damaged: None,
            notes: Vec::new(),
        };
        page.picture(PagePicture::new(&source, subject.clone()).unwrap()).unwrap();
    }
    page.finish().unwrap();
    let html = fs::read_to_string(&path).unwrap();
    let head: Value = serde_json::from_str(between(&html, "id=\"head\">", "</script>")).unwrap();
    let spans: BTreeMap<String, [f32; 2]> = serde_json::from_value(head["spans"].clone()).unwrap();
    assert_eq!(spans["patch"], [1.0, 2.0], "the mean of two heads");
    let codes = BASE64_STANDARD.decode(head["pictures"][0]["maps"]["patch"]["values"].as_str().unwrap()).unwrap();
    assert_eq!(codes, [0; 6]);
}

#[test]
fn the_live_page_holds_its_engine_or_names_it() {
    let engine = b"\0asm, a thousand times ".repeat(1000);
    let example = ("a \"cat\".jpg", &b"photo"[..]);
    for (form, connect) in [
        (LiveEngine::Beside("engine.wasm"), "connect-src 'self'"),
        (LiveEngine::Inside(&engine), "connect-src 'none'"),
        (LiveEngine::Serving, "connect-src 'self'"),
    ] {
        let html = live("test 1", form, example).unwrap();
        for place in ["csp", "title", "style", "report", "head", "script", "pictures"] {
            assert!(!html.contains(&format!("{{{{{place}}}}}")), "{place} is filled");
        }
        for (kind, text) in [
            ("script-src", between(&html, "<script>", "</script>")),
            ("style-src", between(&html, "<style>", "</style>")),
        ] {
            let hash = BASE64_STANDARD.encode(Sha256::digest(text));
            assert!(html.contains(&format!("{kind} 'sha256-{hash}'")), "{kind}");
        }
        let served = form == LiveEngine::Serving;
        assert!(html.contains(connect));
        assert!(html.contains("'wasm-unsafe-eval'") != served && html.contains("worker-src") != served);
        assert!(html.contains("data-name=\"a &quot;cat&quot;.jpg\">cGhvdG8=</script>"));
        let head: Value = serde_json::from_str(between(&html, "id=\"head\">", "</script>")).unwrap();
        assert_eq!(head["live"]["served"], served);
        match form {
            LiveEngine::Serving => assert!(head["live"]["engine"].is_null() && !html.contains("id=\"engine\"")),
            LiveEngine::Beside(name) => assert_eq!(head["live"]["engine"], name),
            LiveEngine::Inside(bytes) => {
                let packed = between(&html, "id=\"engine\" data-form=\"gzip\">", "</script>");
                let packed = BASE64_STANDARD.decode(packed).unwrap();
                let mut unpacked = Vec::new();
                flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
                assert!(unpacked == bytes && packed.len() * 10 < bytes.len() && head["live"]["engine"].is_null());
            }
        }
    }
}

#[test]
fn a_film_lies_in_its_page_frame_by_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.html");
    let values = ScaleLimits { low: 0.0, high: 2.0 };
    let map = PageFilmMap {
        name: MapName::PATCH,
        range: MapRange::Relative,
        grid: (1, 2),
        cell: None,
        values,
        span: Some(ScaleLimits { low: 0.5, high: 1.5 }),
    };
    let film = PageFilm {
        name: "a/<clip>.mp4".to_owned(),
        geometry: Geometry::whole(ImageSize::new(64, 32), ImageSize::new(32, 16)),
        maps: vec![map],
        kind: "video/webm",
        video_size: ImageSize::new(64, 32),
        sound: false,
        class: Some(1),
        likeliest: true,
        damaged: None,
        notes: Vec::new(),
        done: vec!["not smoothed".to_owned()],
    };
    let subject = Arc::new(PageSubject { scale: Scale::Run, ..(*subject()).clone() });
    let mut page = FilmPageWriter::create(&path, head(), subject, film).unwrap();
    let maps = |values: [f32; 2]| [AttentionMap::new(array![values], MapRange::Relative).unwrap()];
    for (time, shown) in [(0, [0.0, 2.0]), (33_366_667, [1.0, 0.5])] {
        page.frame(PageFrame { time, cut: time == 0, top: &[(1, 0.5)], maps: &maps(shown) }).unwrap();
    }
    let wrong = [AttentionMap::new(array![[1.0], [1.0]], MapRange::Relative).unwrap()];
    assert!(page.frame(PageFrame { time: 1, cut: false, top: &[], maps: &wrong }).is_err());
    assert!(!path.exists(), "it is written in the end");
    page.finish(&mut &b"a video"[..]).unwrap();

    let html = fs::read_to_string(&path).unwrap();
    let head: Value = serde_json::from_str(between(&html, "id=\"head\">", "</script>")).unwrap();
    assert_eq!((&head["film"], &head["spans"]["patch"]), (&true.into(), &Value::from(vec![0.5, 1.5])));
    let data: Value = serde_json::from_str(between(&html, "data-index=\"0\">", "</script>")).unwrap();
    assert_eq!((&data["times"][1], &data["cuts"]), (&33.366_667.into(), &Value::from(vec![0])));
    assert_eq!((&data["top"][1][0][0], &data["explained"], &data["likeliest"]), (&1.into(), &1.into(), &1.into()));
    let of = |id: &str| {
        let text = between(&html, &format!("<script type=\"text/plain\" id=\"{id}\">"), "</script>");
        BASE64_STANDARD.decode(text).unwrap()
    };
    let mut codes = Vec::new();
    flate2::read::ZlibDecoder::new(&of("film-maps")[..]).read_to_end(&mut codes).unwrap();
    assert_eq!((codes, of("film-video")), (vec![0, 255, 128, 64], b"a video".to_vec()));
    assert!(html.contains("media-src blob:") && html.contains("<title>&lt;clip&gt;.mp4 · cbam</title>"));
}
