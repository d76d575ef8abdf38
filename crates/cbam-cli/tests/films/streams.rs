//! What cannot be read twice.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use crate::place::{Place, pan};

/// Begins `cbam run` with the words of a line.
fn begun(place: &Place, line: &str, from: Stdio) -> Child {
    let line = format!("run --threads 2 --stream {line}");
    place.command(env!("CARGO_BIN_EXE_cbam"), &line).stdin(from).spawn().unwrap()
}

/// Gives it a file by a pipe that cannot be sought in; what it wrote to standard output, and what it said.
fn piped(place: &Place, file: &str, line: &str) -> (Option<i32>, Vec<u8>, String) {
    let mut child = begun(place, line, Stdio::piped());
    let bytes = fs::read(place.path(file)).unwrap();
    let mut to = child.stdin.take().unwrap();
    let writer = spawn(move || drop(to.write_all(&bytes))); // it may not read all
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_stream_is_drawn_as_a_film_is() {
    let place = Place::new();
    place.ffmpeg(&format!("{},format=gbrp -c:v ffv1 clip.mkv", pan(161, 121, 7)));
    let how = "--codec ffv1 --smooth 0 --scale fixed:0,2 --map patch --deterministic";
    place.does(&format!("clip.mkv --overlay film.mkv {how}"));
    let film = place.frames("film.mkv", [161, 121]);
    let (status, stdout, said) = piped(&place, "clip.mkv", &format!("- --overlay out.mkv {how}"));
    assert_eq!(status, Some(0), "{said}");
    assert!(String::from_utf8_lossy(&stdout).contains("7 frames"));
    assert!(film == place.frames("out.mkv", [161, 121]));
    place.in_step("clip.mkv", "out.mkv", 0.04);
    let (status, stdout, said) = piped(&place, "clip.mkv", &format!("- --overlay - {how}"));
    assert!(status == Some(0) && said.contains("7 frames"), "{said}");
    fs::write(place.path("out.nut"), stdout).unwrap();
    assert!(film == place.frames("out.nut", [161, 121]));

    // Of each frame's own class, on the scale of the first seconds, a little behind; of a file as well.
    let said = place.does("clip.mkv --stream --overlay out.mp4");
    assert!(said.contains("scale ") && said.contains("that of the first 2"), "{said}");
    place.in_step("clip.mkv", "out.mp4", 0.04);
    let comment = place.probe("out.mp4", "-show_entries format_tags=comment").join(" ");
    assert!(comment.contains("each frame's likeliest class") && comment.contains("over the past"), "{comment}");

    let bytes = fs::read(place.path("clip.mkv")).unwrap();
    fs::write(place.path("cut.mkv"), &bytes[..bytes.len() * 2 / 3]).unwrap();
    let (status, _, said) = piped(&place, "cut.mkv", "- --overlay cut.mp4 --map spatial");
    assert!(status == Some(1) && said.contains("broken after"), "{said}");
    let frames = place.times("cut.mp4").len();
    assert!((2..7).contains(&frames), "{frames}");
}

#[test]
fn at_most_three_frames_are_under_way() {
    const FRAMES: usize = 12;
    let place = Place::new();
    // Noise, so that how many frames have come can be told from how many bytes have.
    place.ffmpeg(&format!(
        "-f lavfi -i nullsrc=s=96x96:r=25,geq=random(1)*255:128:128,format=yuv444p -frames:v {FRAMES} noise.y4m"
    ));
    let line = "- --overlay - --codec ffv1 --alpha 0 --quiet";
    let (status, whole, said) = piped(&place, "noise.y4m", line);
    assert_eq!(status, Some(0), "{said}");

    let mut child = begun(&place, line, Stdio::piped());
    let mut to = child.stdin.take().unwrap();
    to.write_all(&fs::read(place.path("noise.y4m")).unwrap()).unwrap();
    let mut from = child.stdout.take().unwrap();
    let come = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&come);
    let reader = spawn(move || {
        let mut bytes = vec![0; 1 << 12];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            counted.fetch_add(count, Ordering::SeqCst);
        }
    });
    // The stream goes on: nobody has said that it ends.
    let wanted = whole.len() * (FRAMES - 3) / FRAMES - whole.len() / 100;
    let end = Instant::now() + Duration::from_secs(120);
    while come.load(Ordering::SeqCst) < wanted {
        assert!(Instant::now() < end, "{} bytes of {} came", come.load(Ordering::SeqCst), whole.len());
        sleep(Duration::from_millis(20));
    }
    drop(to);
    assert!(child.wait().unwrap().success());
    reader.join().unwrap();
    assert_eq!(come.load(Ordering::SeqCst), whole.len());
}

#[test]
fn every_codec_takes_a_stream() {
    let place = Place::new();
    place.ffmpeg(&format!("{} -pix_fmt yuv420p clip.y4m", pan(160, 120, 6)));
    let encoders = String::from_utf8(place.ffmpeg("-encoders")).unwrap();
    for (codec, encoder, files) in [
        ("h264", "libx264", &["out.mp4", "out.mkv", "-"][..]),
        ("h265", "libx265", &["out.mp4", "out.mkv", "-"]),
        ("vp9", "libvpx-vp9", &["out.webm", "-"]),
        ("av1", "libsvtav1", &["out.mp4", "out.webm", "-"]),
        ("gif", "gif", &["out.gif"]),
        ("apng", "apng", &["out.apng"]),
    ] {
        if !encoders.contains(encoder) {
            assert_eq!(codec, "av1", "{codec} comes with every ffmpeg");
            continue;
        }
        for file in files {
            let (status, stdout, said) =
                piped(&place, "clip.y4m", &format!("- --overlay {file} --codec {codec} --map spatial --quiet"));
            assert!(status == Some(0), "{codec} {file}: {said}");
            let written = if *file == "-" { "out.nut" } else { file };
            if *file == "-" {
                fs::write(place.path("out.nut"), stdout).unwrap();
            }
            place.in_step("clip.y4m", written, 0.04);
        }
    }
}

#[test]
fn frames_that_were_written_in_another_order_are_put_in_theirs() {
    let place = Place::new();
    for (codec, film) in
        [("mpeg2video", "clip.mpg"), ("mpeg2video", "clip.ts"), ("mpeg4", "clip.mkv"), ("libx264", "clip.flv")]
    {
        place.ffmpeg(&format!("{} -c:v {codec} -bf 2 -pix_fmt yuv420p -q:v 2 {film}", pan(160, 120, 12)));
        let how = "--codec ffv1 --alpha 0 --map spatial";
        let said = place.does(&format!("{film} --overlay film.mkv {how}"));
        assert!(said.contains(&format!("{film}: 12 frames")), "{said}");
        let (status, _, said) = piped(&place, film, &format!("- --overlay live.mkv {how}"));
        assert_eq!(status, Some(0), "{film}: {said}");
        let (whole, live) = (place.frames("film.mkv", [160, 120]), place.frames("live.mkv", [160, 120]));
        assert!(whole == live, "{film}: {} and {} frames", whole.len(), live.len());
        for drawn in ["film.mkv", "live.mkv"] {
            let times = place.times(drawn);
            assert!(times.windows(2).all(|two| (two[1] - two[0] - 0.04).abs() < 0.002), "{film}, {drawn}: {times:?}");
        }
    }
}

#[test]
fn who_looks_on_may_go_away() {
    let place = Place::new();
    place.ffmpeg(&format!("{} -pix_fmt yuv420p clip.y4m", pan(320, 240, 12)));
    let mut child = begun(&place, "- --overlay - --codec ffv1 --map spatial", Stdio::piped());
    let mut to = child.stdin.take().unwrap();
    let bytes = fs::read(place.path("clip.y4m")).unwrap();
    let writer = spawn(move || (to.write_all(&bytes), to)); // and then the stream is quiet, and does not end
    let mut from = child.stdout.take().unwrap();
    from.read_exact(&mut [0; 1000]).unwrap();
    drop(from);
    assert!(child.wait().unwrap().success());
    drop(writer.join());
}

#[test]
fn an_interrupt_ends_a_stream_and_leaves_a_whole_film() {
    let place = Place::new();
    place.ffmpeg(&format!("{} -pix_fmt yuv420p clip.y4m", pan(160, 120, 20)));
    let mut child = begun(&place, "- --overlay out.mp4 --map spatial", Stdio::piped());
    let mut to = child.stdin.take().unwrap();
    to.write_all(&fs::read(place.path("clip.y4m")).unwrap()).unwrap();
    sleep(Duration::from_secs(4));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let status = child.wait().unwrap();
    drop(to);
    if place.path("out.mp4").exists() {
        assert!(status.success(), "{status}");
        assert!((1..=20).contains(&place.times("out.mp4").len()));
    } else {
        assert_eq!(status.code(), Some(130), "it had not begun");
    }
    let left = fs::read_dir(place.path("")).unwrap().count();
    assert!(left <= 2, "something half-written was left");
}

#[test]
fn what_needs_the_whole_film_is_refused() {
    let place = Place::new();
    place.ffmpeg(&format!("{} -c:v libx264 -pix_fmt yuv420p clip.mp4", pan(160, 120, 2)));
    fs::write(place.path("text"), "no film").unwrap();
    place.ffmpeg("-i clip.mp4 clip.gif");
    for (line, words) in [
        ("clip.mp4", "say where the film goes"),
        ("clip.mp4 --overlay out.mp4 --maps-dir maps", "--maps-dir tells of all frames"),
        ("clip.mp4 --overlay out.mp4 --json out.json", "--json tells of all frames"),
        ("clip.mp4 --overlay out.mp4 --scale run", "that of the whole film"),
        ("clip.mp4 --overlay out.mp4 --smooth 0.9", "more than two frames behind"),
        ("clip.mp4 --overlay out.png", "a film is written as"),
        ("clip.mp4 clip.mp4 --overlay out.mp4", "one input at a time"),
        ("clip.mp4 --overlay out.mp4 --batch-size 4", "looks at each frame as it comes"),
        ("clip.gif --overlay out.mp4", "is no stream"),
        ("text --overlay out.mp4", "text: is no film that ffmpeg reads"),
        ("absent --overlay out.mp4", "absent"),
        ("clip.mp4 --overlay clip.mp4", "would be written over the film"),
    ] {
        let (status, said) = place.run(&format!("--stream {line}"));
        assert!(status == Some(2) && said.contains(words), "{line}: {status:?} {said}");
    }
    let (status, _, said) = piped(&place, "text", "- --overlay out.mp4");
    assert!(status == Some(2) && said.contains("is no film that ffmpeg reads"), "{said}");
    assert!(File::open(place.path("out.mp4")).is_err());
}
