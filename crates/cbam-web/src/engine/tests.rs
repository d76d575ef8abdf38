use std::io::Cursor;
use std::path::Path;
use std::sync::OnceLock;

use cbam_core::Error;
use cbam_core::classes::ClassChoice;
use cbam_core::live::{Kept, LookOptions, read};
use cbam_core::photo::{Encoded, Limits};
use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::Value;

use super::*;

fn with_settings(settings: LiveSettings) -> Result<Engine> {
    let network = NetworkFile::pretrained().unwrap().for_inference().unwrap();
    LiveModel::new(BUNDLED_NAME.to_owned(), network, vec!["a note".to_owned()], settings)
}

/// The bundled network; opening it takes a while.
fn bundled() -> &'static Engine {
    static NETWORK: OnceLock<Engine> = OnceLock::new();
    NETWORK.get_or_init(|| pretrained().unwrap())
}

fn answer(network: &Engine, bytes: &[u8], options: &LookOptions) -> Result<String> {
    network.look(|limits| Encoded::new(Path::new("a.png"), bytes, limits), "a.png", options, None)
}

/// A small picture, as a PNG.
fn png(width: u32, height: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([(7 * x) as u8, (5 * y) as u8, (x * y) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn look(options: &str) -> Value {
    let options: LookOptions = read(options).unwrap();
    let answer = answer(bundled(), &png(40, 30), &options).unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// What a look is refused with.
fn refused(bytes: &[u8], options: &str) -> String {
    let options: LookOptions = read(options).unwrap();
    answer(bundled(), bytes, &options).unwrap_err().to_string()
}

#[test]
fn it_says_what_it_is() {
    let about: Value = serde_json::from_str(&bundled().describe()).unwrap();
    assert_eq!(about["name"], BUNDLED_NAME);
    assert_eq!((&about["classes"], &about["short_side"]), (&Value::from(1000), &Value::from(224)));
    assert_eq!(about["maps"][0], "fused");
    assert_eq!(about["labels"][281], "tabby");
    let head = bundled().head(&read(r#"{"date": "2026-11-28", "command": ["cbam-run"], "class": "tabby"}"#).unwrap());
    let head: Value = serde_json::from_str(&head.unwrap()).unwrap();
    assert_eq!((&head["format"], &head["look"]["class"]), (&Value::from("cbam-page"), &Value::from(281)));
    assert_eq!(head["network"]["name"], BUNDLED_NAME);
    assert_eq!(head["made"]["date"], "2026-11-28");
    let wrong = read(r#"{"maps": ["patch:stage1"]}"#).unwrap();
    assert!(bundled().head(&wrong).unwrap_err().to_string().contains("this network has"));
}

#[test]
fn a_photo_is_looked_at() {
    let seen = look("");
    let (index, picture) = (&seen["index"], &seen["picture"]);
    assert_eq!((&index["name"], &index["size"]), (&Value::from("a.png"), &serde_json::json!([40, 30])));
    assert_eq!(index["top"][0][0], picture["likeliest"]);
    assert_eq!(picture["network_size"], serde_json::json!([288, 224]));
    assert_eq!(picture["maps"][0]["name"], "fused");
    assert_eq!(picture["attention"][0]["heads"], 4, "all is kept");
    let of_class = look(r#"{"class": 281, "short_side": 64, "maps": ["patch", "patch@3,4"], "detail": "means"}"#);
    let picture = &of_class["picture"];
    assert_eq!((&picture["explained"], &picture["network_size"]), (&Value::from(281), &serde_json::json!([96, 64])));
    let names: Vec<_> = picture["maps"].as_array().unwrap().iter().map(|map| map["name"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["patch", "patch@3,4"]);
    assert!(names.contains(&"fused") && names.contains(&"gradcam"), "the usual maps come along: {names:?}");
    assert_eq!(picture["attention"][0]["mean"], true);
}

#[test]
fn what_cannot_be_is_said() {
    let photo = png(40, 30);
    assert!(refused(b"no picture", "").starts_with("a.png: "));
    assert!(refused(&photo[..60], "").starts_with("a.png: "));
    assert!(refused(&photo, r#"{"class": "no such class"}"#).starts_with("class "));
    assert!(refused(&photo, r#"{"maps": ["patch@50,4"]}"#).contains("outside"));
    assert!(refused(&photo, r#"{"maps": ["Channel:stage7"]}"#).contains("no map"));
    assert!(refused(&photo, r#"{"short_side": 0}"#).starts_with("size: "));
}

#[test]
fn means_are_smaller_and_have_a_small_picture() {
    let [whole, means] = [Kept::Whole, Kept::Means].map(|detail| {
        let options = LookOptions { detail, ..LookOptions::default() };
        answer(bundled(), &png(300, 200), &options).unwrap()
    });
    assert!(means.len() < 300_000 && whole.len() > 500_000, "{} and {}", means.len(), whole.len());
    let [whole, means]: [Value; 2] = [whole, means].map(|text| serde_json::from_str(&text).unwrap());
    assert!(whole["index"]["thumb"].is_null() && means["index"]["thumb"].is_string());
}

#[test]
fn all_that_can_be_asked_for_is_named() {
    let about: Value = serde_json::from_str(&bundled().describe()).unwrap();
    let choices: Vec<_> = about["choices"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    for name in ["fused", "patch:stage7:1", "layercam", "eigencam:stage5", "scorecam:stage5", "rise"] {
        assert!(choices.contains(&name), "{name} of {choices:?}");
    }
    let strange = |name: &&&str| name.starts_with("channel") || name.starts_with("rise:");
    assert_eq!(choices.iter().find(strange), None);
    // There is no gradient at inner stages here.
    assert!(choices.contains(&"gradcam") && !choices.contains(&"gradcam:stage5"));
    // The last features have the methods' own names.
    assert!(!choices.contains(&"gradcam:head") && !choices.contains(&"scorecam:head"));
    for name in choices {
        let options = format!("{{\"maps\": [\"{name}\"]}}");
        bundled().head(&read(&options).unwrap()).unwrap();
    }
}

#[test]
fn settings_hold_unless_it_is_asked_otherwise() {
    let names = |picture: &Value| -> Vec<String> {
        let maps = picture["maps"].as_array().unwrap();
        maps.iter().map(|map| map["name"].as_str().unwrap().to_owned()).collect()
    };
    let settings = LiveSettings {
        maps: vec!["patch".parse().unwrap()],
        class: Some(ClassChoice::Number(281)),
        short_side: Some(64),
        limits: Limits::of_pixels(40 * 30),
        ..LiveSettings::default()
    };
    let network = with_settings(settings.clone()).unwrap();
    let look = |options: &str| -> Value {
        let text = answer(&network, &png(40, 30), &read(options).unwrap()).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["picture"].take()
    };
    let seen = look("");
    assert_eq!((&seen["explained"], &seen["network_size"]), (&Value::from(281), &serde_json::json!([96, 64])));
    assert_eq!(names(&seen)[0], "patch");
    let other = look(r#"{"maps": ["object"], "class": 3, "short_side": 96}"#);
    assert_eq!((&other["explained"], &other["network_size"]), (&Value::from(3), &serde_json::json!([128, 96])));
    assert_eq!(names(&other)[0], "object");
    let error = answer(&network, &png(41, 30), &LookOptions::default()).unwrap_err().to_string();
    assert!(error.starts_with("a.png: "), "{error}");

    let wrong = LiveSettings { labels: Some(vec!["one".to_owned()]), ..settings.clone() };
    assert!(with_settings(wrong).unwrap_err().to_string().starts_with("labels: "));
    let wrong = LiveSettings { maps: vec!["patch:stage1".parse().unwrap()], ..settings };
    assert!(with_settings(wrong).unwrap_err().to_string().starts_with("map patch:stage1"));
}

#[test]
fn whoever_asks_may_go_away() {
    let photo = png(40, 30);
    let options = read(r#"{"maps": ["occlusion"], "short_side": 64}"#).unwrap();
    let open = |limits: &_| Encoded::new(Path::new("a.png"), &photo, limits);
    let error = bundled().look(open, "a.png", &options, Some(&|_| false)).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
}

#[test]
fn weights_are_opened_in_memory() {
    let attention = include_bytes!("../../../cbam-lite0/weights/efficientnet-lite0-attention.safetensors");
    let engine = of_weights("folder/mine.safetensors", attention.to_vec()).unwrap();
    let about: Value = serde_json::from_str(&engine.describe()).unwrap();
    assert_eq!((&about["name"], &about["maps"][0]), (&Value::from("mine.safetensors"), &Value::from("fused")));
    let refused = |bytes: &[u8]| of_weights("net.pth", bytes.to_vec()).unwrap_err().to_string();
    for bytes in [&b""[..], b"no weights", b"PK\x03\x04", b"\x80\x02}q\x00."] {
        assert!(refused(bytes).starts_with("net.pth: "), "{}", refused(bytes));
    }
}

#[test]
fn what_a_page_has_no_memory_for_is_refused() {
    // Two pixels of a farbfeld, of 14,000 × 14,000 that its header speaks of, 1.57 GB; its decoder asks for them first.
    let mut bytes = b"farbfeld".to_vec();
    bytes.extend([14_000_u32, 14_000].map(u32::to_be_bytes).concat());
    bytes.resize(1 << 20, 0);
    let engine = pretrained().unwrap();
    let look = |bytes: &[u8], options: &LookOptions| {
        let photo = |limits: &_| Encoded::new(Path::new("a.png"), bytes, limits);
        engine.look(photo, "a.png", options, None).unwrap_err().to_string()
    };
    let error = look(&bytes, &LookOptions::default());
    assert!(error.contains("can hold") || error.contains("room") || error.contains("limit"), "{error}");
    let photo = include_bytes!("../../../../assets/images/chelsea.jpg");
    let error = look(photo, &LookOptions { short_side: Some(4096), ..LookOptions::default() });
    assert!(error.contains("has room for"), "{error}");
}
