//! The page of a film, and sound that stays in step.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::place::{Place, pan};

/// What a page holds of its film, and the video in it, as a file.
fn taken_apart(place: &Place, page: &str, video: &str) -> Value {
    let html = fs::read_to_string(place.path(page)).unwrap();
    let between = |before: &str| html.split_once(before).unwrap().1.split_once("</script>").unwrap().0;
    let bytes = BASE64_STANDARD.decode(between("id=\"film-video\">")).unwrap();
    fs::write(place.path(video), bytes).unwrap();
    serde_json::from_str(between("data-index=\"0\">")).unwrap()
}

#[test]
fn a_page_holds_every_frame_at_its_time() {
    let place = Place::new();
    // Odd sides, a variable rate, a sound of six channels.
    place.ffmpeg(&format!(
        "-f lavfi -i anoisesrc=d=2:a=0.1 {} -map 1:v -map 0:a -af pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0 -c:v ffv1 -c:a flac -vf \
         format=rgb24,crop=161:121:n*2:20,select='not(mod(n,3))+not(mod(n,7))' -fps_mode vfr clip.mkv",
        pan(161, 121, 50).rsplit_once(" -vf ").unwrap().0
    ));
    let said =
        place.does("clip.mkv --html page.html --overlay out.mkv --compare spatial,fused --scale fixed:0,1 --every 2");
    assert!(said.contains("-> out.mkv, page.html"), "{said}");
    let data = taken_apart(&place, "page.html", "page.webm");
    place.in_step("clip.mkv", "page.webm", 0.04);
    let times: Vec<_> = data["times"].as_array().unwrap().iter().map(|time| time.as_f64().unwrap() / 1000.0).collect();
    assert!(times.iter().zip(place.times("page.webm")).all(|(told, time)| (told - time).abs() < 0.002), "{times:?}");
    let sound = place.probe("page.webm", "-select_streams a -show_entries stream=codec_name,channels");
    assert_eq!(sound, ["opus,2"]);
    let size = place.probe("page.webm", "-select_streams v -show_entries stream=width,height");
    let odd = Value::from(vec![161, 121]);
    assert_eq!((size[0].as_str(), &data["size"], &data["video"]["size"]), ("162,122", &odd, &odd));
    // The sheet beside it has the two maps that it was asked for.
    place.does("clip.mkv --overlay alone.mkv --compare spatial,fused --scale fixed:0,1 --every 2");
    let sheet = |film| place.probe(film, "-select_streams v -show_entries stream=width,height");
    assert_eq!(sheet("out.mkv"), sheet("alone.mkv"));
    fs::remove_file(place.path("alone.mkv")).unwrap();
    let names: Vec<_> = data["maps"].as_array().unwrap().iter().map(|map| map["name"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["spatial", "fused"]);
    for name in ["gradcam", "object", "patch", "patch:0", "rollout", "spatial:stage5"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert!(!names.contains(&"spatial:stage7"), "that is spatial");
    let html = fs::read_to_string(place.path("page.html")).unwrap();
    assert!(html.contains(r#""scale":"fixed:0,1""#) && html.contains(r#""spans":null"#));
    assert!(data["done"][1].as_str().unwrap().contains("one frame of 2 looked at"));
    let mut left: Vec<_> =
        fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["clip.mkv", "out.mkv", "page.html", "page.webm"]);
}

#[test]
fn what_cannot_be_on_a_page_is_refused() {
    let place = Place::new();
    place.ffmpeg(&format!("{} -c:v libx264 -pix_fmt yuv420p clip.mp4", pan(160, 120, 60)));
    for (line, words) in [
        ("clip.mp4 --html -", "--html writes a file"),
        ("clip.mp4 --html clip.mp4", "would be written over the film"),
        ("clip.mp4 --html p.html --refine", "--refine has no effect"),
        ("clip.mp4 --html p.html --codec vp9", "--codec has no effect"),
        ("clip.mp4 --html p.html --json p.html", "--html"),
        ("clip.mp4 --html p.html --overlay out.mp4 --stream", "--html tells of all frames"),
    ] {
        let (status, said) = place.run(line);
        assert!(status == Some(2) && said.contains(words), "{line}: {status:?} {said}");
    }
    let mut child =
        place.command(env!("CARGO_BIN_EXE_cbam"), "run clip.mp4 --html p.html --threads 2").spawn().unwrap();
    sleep(Duration::from_millis(1200));
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let status = child.wait().unwrap();
    if !(status.success() && interrupt.success()) {
        assert_eq!(status.code(), Some(130));
        assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 1, "something half-written was left");
    }
}

/// When a film flashes and when it beeps, in seconds.
fn flash_and_beep(place: &Place, film: &str) -> [f64; 2] {
    let frames = place.frames(film, [160, 120]);
    let is_white = |frame: &image::RgbImage| frame.pixels().all(|pixel| pixel.0[1] > 128);
    let flash = place.times(film)[frames.iter().position(is_white).unwrap()];
    let raw = place.ffmpeg(&format!("-i {film} -map 0:a -af aresample=8000:async=1:first_pts=0 -ac 1 -f f32le -"));
    let samples: Vec<_> = raw.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    [flash, samples.iter().position(|sample| sample.abs() > 0.3).unwrap() as f64 / 8000.0]
}

#[test]
fn a_beep_stays_with_its_flash() {
    let place = Place::new();
    let source = "-f lavfi -i color=black:s=160x120:r=25:d=1.6,drawbox=c=white:t=fill:enable='between(t,0.8,0.96)' -f lavfi -i \
                  aevalsrc='sin(6283*t)*between(t,0.8,0.96)':s=48000:d=1.6";
    for (film, codecs, outs) in [
        ("clip.mp4", "-c:v libx264 -bf 2 -pix_fmt yuv420p -c:a aac", &["out.mp4", "out.mkv", "out.mov"][..]),
        ("clip.mkv", "-c:v libx264 -pix_fmt yuv420p -c:a libopus", &["out.webm", "out.mkv"]),
        ("clip.ts", "-c:v libx264 -pix_fmt yuv420p -c:a aac -output_ts_offset 5", &["out.mp4"]),
    ] {
        place.ffmpeg(&format!("{source} {codecs} {film}"));
        place.does(&format!("{film} --html page.html --map spatial"));
        taken_apart(&place, "page.html", "page.webm");
        for out in outs {
            place.does(&format!("{film} --overlay {out} --alpha 0 --map spatial"));
        }
        for out in outs.iter().chain(&["page.webm"]) {
            let [flash, beep] = flash_and_beep(&place, out);
            assert!((flash - beep).abs() < 0.04, "{film}, {out}: flash at {flash} s, beep at {beep} s");
        }
    }
}
