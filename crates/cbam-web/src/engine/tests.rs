use std::io::Cursor;
use std::sync::OnceLock;

use cbam_core::network::NetworkConfig;
use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::Value;

use super::*;
use crate::options::{Kept, read};

/// The bundled network; opening it takes a while.
fn bundled() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::pretrained().unwrap())
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
    let answer = bundled().look("a.png", &png(40, 30), &options).unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// What a look is refused with.
fn refused(bytes: &[u8], options: &str) -> String {
    let options: LookOptions = read(options).unwrap();
    bundled().look("a.png", bytes, &options).unwrap_err().to_string()
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
    assert!(refused(&photo, r#"{"short_side": 4096}"#).contains("has room for"));
    assert!(refused(&photo, r#"{"short_side": 0}"#).starts_with("size: "));
}

#[test]
fn a_picture_that_memory_does_not_hold_is_refused_by_its_header() {
    // A farbfeld of 14,000 × 14,000 pixels, 1.57 GB of them, if only it were there; of which that format's decoder asks first.
    let mut bytes = b"farbfeld".to_vec();
    bytes.extend([14_000_u32, 14_000].map(u32::to_be_bytes).concat());
    bytes.resize(1 << 20, 0);
    let error = refused(&bytes, "");
    assert!(error.contains("can hold") || error.contains("room") || error.contains("limit"), "{error}");
}

#[test]
fn weights_are_opened_in_memory() {
    let attention = cbam_core::weights::Checkpoint::from_bytes("a", cbam_lite0_bytes()).unwrap();
    let config: NetworkConfig = serde_json::from_str(&attention.metadata["network"]).unwrap();
    let engine = Engine::of_weights("folder/mine.safetensors", cbam_lite0_bytes().to_vec()).unwrap();
    let about: Value = serde_json::from_str(&engine.describe()).unwrap();
    assert_eq!((&about["name"], &about["arch"]), (&Value::from("mine.safetensors"), &config.arch.to_string().into()));
    let refused = |bytes: &[u8]| Engine::of_weights("net.pth", bytes.to_vec()).unwrap_err().to_string();
    for bytes in [&b""[..], b"no weights", b"PK\x03\x04", b"\x80\x02}q\x00."] {
        assert!(refused(bytes).starts_with("net.pth: "), "{}", refused(bytes));
    }
}

/// A weights file: the attention of the bundled network.
fn cbam_lite0_bytes() -> &'static [u8] {
    include_bytes!("../../../cbam-lite0/weights/efficientnet-lite0-attention.safetensors")
}

#[test]
fn means_are_smaller_and_have_a_small_picture() {
    let [whole, means] = [Kept::Whole, Kept::Means].map(|detail| {
        let options = LookOptions { detail, ..LookOptions::default() };
        bundled().look("a.png", &png(300, 200), &options).unwrap()
    });
    assert!(means.len() < 300_000 && whole.len() > 500_000, "{} and {}", means.len(), whole.len());
    let [whole, means]: [Value; 2] = [whole, means].map(|text| serde_json::from_str(&text).unwrap());
    assert!(whole["index"]["thumb"].is_null() && means["index"]["thumb"].is_string());
}
