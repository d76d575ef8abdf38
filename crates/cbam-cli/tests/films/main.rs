//! Films with the light program as a user runs it: frames, their times, and what goes along with them. Needs ffmpeg.

use std::fs::{self, File};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use ndarray::Array3;
use ndarray_npy::ReadNpyExt;

#[path = "../common/mod.rs"]
mod common;
#[cfg(unix)]
mod once;
mod pages;
mod place;
#[cfg(unix)]
mod streams;

use place::{PHOTO, Place, pan};

#[test]
fn frames_keep_their_times_and_the_sound_comes_along() {
    let place = Place::new();
    let sound = "-f lavfi -i sine=f=440:d=0.6 -f lavfi -i sine=f=880:d=0.6";
    fs::write(place.path("words.srt"), "1\n00:00:00,100 --> 00:00:00,400\nhello\n").unwrap();
    fs::write(
        place.path("chapters.txt"),
        ";FFMETADATA1\ntitle=A cat\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=300\ntitle=one\n",
    )
    .unwrap();
    place.ffmpeg(&format!(
        "-loop 1 -r 25 -i {PHOTO} {sound} -i words.srt -i chapters.txt -map 0 -map 1 -map 2 -map 3 -map_metadata 4 -map_chapters 4 \
         -frames:v 15 -vf crop=160:120:n*2:20 -c:v libx264 -pix_fmt yuv420p -c:a aac -c:s mov_text -metadata:s:a:1 language=deu clip.mp4"
    ));
    let said = place.does("clip.mp4 --overlay out.mp4 --json report.json --maps-dir maps");
    assert!(said.contains("clip.mp4: 15 frames, Egyptian cat"), "{said}");
    place.in_step("clip.mp4", "out.mp4", 0.04);
    for track in ["0:a:0", "0:a:1"] {
        let hash = |film: &str| place.ffmpeg(&format!("-i {film} -map {track} -c copy -f hash -"));
        assert_eq!(hash("clip.mp4"), hash("out.mp4"), "{track}");
        let times =
            |film: &str| place.probe(film, &format!("-select_streams {} -show_entries packet=pts_time", &track[2..]));
        assert_eq!(times("clip.mp4"), times("out.mp4"), "{track}");
    }
    let streams = |film: &str| place.probe(film, "-show_entries stream=codec_name:stream_tags=language");
    assert_eq!(streams("clip.mp4"), streams("out.mp4"));
    let chapters = |film: &str| place.probe(film, "-show_chapters");
    assert_eq!(chapters("clip.mp4"), chapters("out.mp4"));
    assert!(chapters("out.mp4")[0].ends_with("300,0.300000,one"));
    let tags = place.probe("out.mp4", "-show_entries format_tags=title,comment").join(" ");
    assert!(tags.contains("A cat") && tags.contains("fused of") && tags.contains("that of the whole film"), "{tags}");

    let report = &place.json("report.json")[0];
    let frames = report["frames"].as_array().unwrap();
    assert_eq!((frames.len(), report["explained"]["label"].as_str()), (15, Some("Egyptian cat")));
    let times: Vec<_> = frames.iter().map(|frame| frame["time"].as_f64().unwrap()).collect();
    assert!(times.iter().zip(place.times("clip.mp4")).all(|(told, time)| (told - time).abs() < 1e-4), "{times:?}");
    let cuts: Vec<_> = frames.iter().map(|frame| frame["cut"].as_bool().unwrap()).collect();
    assert!(cuts[0] && !cuts[1..].contains(&true));
    let maps = Array3::<f32>::read_npy(File::open(place.path("maps/clip.npy")).unwrap()).unwrap();
    assert_eq!(maps.dim().0, 15);
    let greatest = |frame: usize| maps.index_axis(ndarray::Axis(0), frame).iter().copied().fold(0.0, f32::max);
    assert!((f64::from(greatest(7)) - frames[7]["maps"]["fused"]["max"].as_f64().unwrap()).abs() < 1e-6);
}

#[test]
fn a_variable_rate_stays_variable() {
    let place = Place::new();
    let select = "select='not(mod(n,3))+not(mod(n,7))'";
    place.ffmpeg(&format!("-loop 1 -r 25 -i {PHOTO} -t 1 -vf crop=160:120:n*2:20,{select} -fps_mode vfr -c:v libx264 -pix_fmt yuv420p clip.mp4"));
    let times = place.times("clip.mp4");
    assert!(times.windows(2).any(|two| two[1] - two[0] > 0.1) && times.windows(2).any(|two| two[1] - two[0] < 0.05));
    for out in ["out.mp4", "out.mkv", "out.mov", "out.webm"] {
        place.does(&format!("clip.mp4 --overlay {out} --map spatial"));
        place.in_step("clip.mp4", out, 0.04);
    }
}

#[test]
fn a_film_that_does_not_begin_at_zero_keeps_its_sound_in_step() {
    let place = Place::new();
    place.ffmpeg(&format!(
        "-loop 1 -r 25 -i {PHOTO} -f lavfi -i sine=d=1 -frames:v 15 -shortest -vf crop=160:120:n*2:20,setpts=PTS+0.4/TB -c:v libx264 -pix_fmt \
         yuv420p -c:a aac -output_ts_offset 7 clip.ts"
    ));
    place.does("clip.ts --overlay out.mkv --map spatial");
    let first = |film: &str, of: &str| {
        let times = place.probe(film, &format!("-select_streams {of} -show_entries packet=pts_time"));
        times.iter().map(|time| time.parse::<f64>().unwrap()).fold(f64::INFINITY, f64::min)
    };
    let ahead = |film: &str| first(film, "v:0") - first(film, "a:0");
    assert!((ahead("clip.ts") - ahead("out.mkv")).abs() < 0.02, "{} and {}", ahead("clip.ts"), ahead("out.mkv"));
    assert!(ahead("out.mkv") > 0.3);
}

#[test]
fn frames_are_drawn_as_pictures_are() {
    let place = Place::new();
    // Two shots, so that there are several classes and a cut.
    let other = PHOTO.replace("chelsea", "coffee");
    place.ffmpeg(&format!(
        "-loop 1 -r 25 -i {PHOTO} -loop 1 -r 25 -i {other} -filter_complex [0]format=rgb24,crop=161:121:n*4:20,trim=end_frame=4[a];[1]format=rgb24,crop=161:121:n*4:20,trim=end_frame=3[b];[a][b]concat=n=2,format=gbrp \
         -c:v ffv1 clip.mkv"
    ));
    place.ffmpeg("-i clip.mkv -fps_mode passthrough frame%d.png");
    place.does("clip.mkv --overlay out.mkv --codec ffv1 --smooth 0 --scale fixed:0,2 --map patch --deterministic");
    let drawn = place.frames("out.mkv", [161, 121]);
    assert_eq!(drawn.len(), 7);
    let pictures: Vec<_> = (1..=7).map(|number| format!("frame{number}.png")).collect();
    place.does(&format!("{} --out-dir drawn --scale fixed:0,2 --map patch --deterministic", pictures.join(" ")));
    for (frame, picture) in drawn.iter().zip(&pictures) {
        let own = image::open(place.path("drawn").join(picture)).unwrap().into_rgb8();
        assert!(*frame == own, "{picture}");
    }
    // Of one class, though each shot has its own; and on the scale of both.
    place.does("clip.mkv --overlay out.mkv --codec ffv1 --smooth 0 --map gradcam --deterministic --json report.json");
    let report = &place.json("report.json")[0];
    let class = report["explained"]["class"].as_u64().unwrap();
    let scale: Vec<_> =
        report["scale"]["gradcam"].as_array().unwrap().iter().map(|end| end.as_f64().unwrap()).collect();
    place.does(&format!(
        "{} --out-dir drawn --map gradcam --class {class} --scale fixed:{},{} --deterministic",
        pictures.join(" "),
        scale[0],
        scale[1]
    ));
    for (frame, picture) in place.frames("out.mkv", [161, 121]).iter().zip(&pictures) {
        let own = image::open(place.path("drawn").join(picture)).unwrap().into_rgb8();
        assert!(*frame == own, "{picture} of class {class}");
    }
    let cuts: Vec<_> =
        report["frames"].as_array().unwrap().iter().map(|frame| frame["cut"].as_bool().unwrap()).collect();
    assert_eq!(cuts, [true, false, false, false, true, false, false]);
}

#[test]
fn odd_films_come_out_upright_and_whole() {
    let place = Place::new();
    let pan = |width, height, frames| pan(width, height, frames);
    place.ffmpeg(&format!("{} -c:v libx264 -pix_fmt yuv420p plain.mp4", pan(160, 120, 4)));
    place.ffmpeg("-i plain.mp4 -c copy -metadata:s:v rotate=90 turned.mp4");
    place.ffmpeg(&format!("{} -c:v libx264 -pix_fmt yuv444p odd.mp4", pan(161, 121, 4)));
    place.ffmpeg(&format!("{} -c:v libx264 -pix_fmt yuv420p10le ten.mkv", pan(160, 120, 4)));
    place.ffmpeg(&format!("{},setsar=2 -c:v libx264 -pix_fmt yuv420p wide.mp4", pan(160, 120, 4)));
    place.ffmpeg(&format!("{} -c:v libx264 -pix_fmt yuv420p one.mp4", pan(160, 120, 1)));
    place.ffmpeg(&format!("{} -c:v mjpeg -q:v 2 full.avi", pan(160, 120, 4)));
    for (film, size, frames) in [
        ("turned.mp4", "120,160", 4),
        ("odd.mp4", "162,122", 4),
        ("ten.mkv", "160,120", 4),
        ("wide.mp4", "320,120", 4),
        ("one.mp4", "160,120", 1),
        ("full.avi", "160,120", 4),
    ] {
        let said = place.does(&format!("{film} --overlay out.mp4 --map spatial"));
        assert!(said.contains(&format!("{film}: {frames} frame")), "{said}");
        assert_eq!(said.contains("in 8 bits"), film == "ten.mkv", "{said}");
        assert_eq!(place.probe("out.mp4", "-select_streams v:0 -show_entries stream=width,height"), [size], "{film}");
        place.in_step(film, "out.mp4", 0.04);
    }
    place.does("plain.mp4 --overlay out.mp4 --map spatial --width 80");
    assert_eq!(place.probe("out.mp4", "-select_streams v:0 -show_entries stream=width,height"), ["80,60"]);
    // No output is named: beside it.
    place.does("plain.mp4 --every 2");
    place.in_step("plain.mp4", "plain-overlay.mp4", 0.04);
}

#[test]
fn pictures_that_move_are_films_if_the_output_says_so() {
    let place = Place::new();
    let shown: Vec<_> = (0..25).filter(|n| n % 3 == 0 || n % 7 == 0).map(|n| f64::from(n) * 0.04).collect();
    let moving = format!(
        "-loop 1 -r 25 -i {PHOTO} -t 1 -vf crop=160:120:n*2:20,select='not(mod(n,3))+not(mod(n,7))' -fps_mode vfr"
    );
    place.ffmpeg(&format!("{moving} -pix_fmt rgb24 -plays 0 clip.apng"));
    place.ffmpeg(&format!("{moving} clip.gif"));
    place.ffmpeg(&format!("{moving} -c:v libwebp_anim -lossless 1 clip.webp"));
    for film in ["clip.apng", "clip.gif", "clip.webp"] {
        let out = film.replace("clip", "out").replace("webp", "mkv");
        let said = place.does(&format!("{film} --overlay {out} --map spatial --json report.json"));
        assert!(said.contains(&format!("{film}: {} frames", shown.len())), "{said}");
        let report = place.json("report.json");
        let told: Vec<_> =
            report[0]["frames"].as_array().unwrap().iter().map(|frame| frame["time"].as_f64().unwrap()).collect();
        for times in [told, place.times(&out)] {
            assert_eq!(times.len(), shown.len(), "{film}");
            assert!(times.iter().zip(&shown).all(|(time, shown)| (time - shown).abs() < 0.01), "{film}: {times:?}");
        }
        if out != "out.mkv" {
            let written = fs::read(place.path(&out)).unwrap();
            assert!(written.windows(14).any(|bytes| bytes == b"the whole film"), "{out} says what was done");
        }
    }
    // Without loss, and what is not drawn over stays as it was; of a photo, or named as a picture, it is one.
    place.does("clip.apng --overlay out.apng --alpha 0");
    assert!(place.frames("clip.apng", [160, 120]) == place.frames("out.apng", [160, 120]));
    place.does("clip.gif --overlay one.png");
    place.does(&format!("{PHOTO} --overlay photo.gif --width 100"));
    assert_eq!((place.times("one.png").len(), place.times("photo.gif").len()), (1, 1));

    place.ffmpeg(&format!("{} -r 60 -c:v libx264 -pix_fmt yuv420p fast.mp4", pan(160, 120, 12)));
    for how in ["", "--stream"] {
        let said = place.does(&format!("fast.mp4 --overlay fast.gif --map spatial {how}"));
        assert!(said.contains("frames over 50 a second are left out"), "{said}");
        let times = place.times("fast.gif");
        assert!(times.len() > 4 && times.windows(2).all(|two| two[1] - two[0] > 0.015), "{times:?}");
    }
    // How long the last frame is shown is kept.
    place.ffmpeg("-i clip.gif -final_delay 200 -c:v gif pause.gif");
    for out in ["paused.gif", "paused.apng"] {
        place.does(&format!("pause.gif --overlay {out} --map spatial"));
        let lasts = place.probe(out, "-show_entries packet=duration_time").last().unwrap().parse::<f64>().unwrap();
        assert!((lasts - 2.0).abs() < 0.01, "{out}: {lasts}");
    }
    let bytes = fs::read(place.path("clip.gif")).unwrap();
    fs::write(place.path("cut.gif"), &bytes[..bytes.len() / 2]).unwrap();
    let (ended, said) = place.run("cut.gif --overlay cut.mp4 --map spatial");
    assert!(ended == Some(1) && said.contains("cut.gif: broken after"), "{said}");
}

#[test]
fn several_maps_are_on_one_sheet() {
    let place = Place::new();
    place.ffmpeg(&format!("{},format=gbrp -c:v ffv1 clip.mkv", pan(160, 120, 3)));
    place.ffmpeg("-i clip.mkv -fps_mode passthrough frame%d.png");
    let how = "--scale fixed:0,1 --deterministic";
    for what in ["--compare patch,spatial:stage5", "--map spatial:stage5 --legend --width 200"] {
        place.does(&format!("frame1.png frame2.png frame3.png --out-dir sheets {what} {how}"));
        let sheets: Vec<_> = (1..=3)
            .map(|number| image::open(place.path(&format!("sheets/frame{number}.png"))).unwrap().into_rgb8())
            .collect();
        let size = sheets[0].dimensions().into();
        for stream in ["", "--stream"] {
            place.does(&format!("clip.mkv --overlay out.mkv --codec ffv1 --smooth 0 {what} {how} {stream}"));
            assert!(place.frames("out.mkv", size) == sheets, "{what} {stream}");
        }
    }

    // A panel has more maps, and the classes of each frame.
    let said =
        place.does("clip.mkv --panel panel.mp4 --json report.json --maps-dir maps --map spatial:stage5 --map gradcam");
    assert!(said.contains("-> maps/clip.spatial-stage5.npy, maps/clip.gradcam.npy, panel.mp4"), "{said}");
    place.in_step("clip.mkv", "panel.mp4", 0.04);
    let report = &place.json("report.json")[0];
    let told: Vec<_> = report["maps"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(told[..2], ["spatial:stage5", "gradcam"]);
    assert!(["fused", "object", "patch", "rollout"].iter().all(|name| told.contains(name)), "{told:?}");
    for (file, name) in [("clip.spatial-stage5.npy", "spatial:stage5"), ("clip.gradcam.npy", "gradcam")] {
        let maps = Array3::<f32>::read_npy(File::open(place.path("maps").join(file)).unwrap()).unwrap();
        let greatest = maps.index_axis(ndarray::Axis(0), 2).iter().copied().fold(f32::MIN, f32::max);
        assert!(
            (f64::from(greatest) - report["frames"][2]["maps"][name]["max"].as_f64().unwrap()).abs() < 1e-6,
            "{name}"
        );
    }
    place.does("clip.mkv --stream --panel live.mp4");
    place.in_step("clip.mkv", "live.mp4", 0.04);
}

#[test]
fn what_is_not_drawn_over_stays_as_it_was() {
    let place = Place::new();
    for (name, format, colours) in [
        ("sd.mp4", "yuv420p", ""),
        ("hd.mp4", "yuv420p", "-colorspace bt709 -color_primaries bt709 -color_trc bt709"),
        ("pal.mp4", "yuv420p", "-colorspace bt470bg -color_primaries bt470bg -color_trc gamma28"),
        ("full.mp4", "yuvj420p", "-color_range pc"),
    ] {
        place.ffmpeg(&format!("{} -c:v libx264 -crf 12 -pix_fmt {format} {colours} {name}", pan(320, 240, 4)));
        place.does(&format!("{name} --overlay out.mp4 --alpha 0"));
        let tags = |film: &str| {
            place.probe(
                film,
                "-select_streams v:0 -show_entries stream=color_range,color_space,color_transfer,color_primaries",
            )
        };
        assert_eq!(tags(name), tags("out.mp4"), "{name}");
        let output =
            place.command("ffmpeg", &format!("-v info -i {name} -i out.mp4 -lavfi psnr -f null -")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let average =
            said.rsplit("average:").next().and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        assert!(average.is_some_and(|average| average >= 45.0), "{name}: {said}");
    }
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let place = Place::new();
    place.ffmpeg(&format!("{} -c:v libx264 -pix_fmt yuv420p clip.mp4", pan(160, 120, 4)));
    fs::write(place.path("text.mp4"), "no film").unwrap();
    place.ffmpeg("-f lavfi -i sine=d=0.1 sound.mp4");
    place.ffmpeg(&format!("{} -c:v libx264 -pix_fmt yuv420p -color_trc smpte2084 hdr.mp4", pan(160, 120, 1)));
    for (line, status, words) in [
        ("text.mp4 --overlay out.mp4", 2, "text.mp4: is no film that ffmpeg reads"),
        ("sound.mp4 --overlay out.mp4", 2, "holds no moving pictures"),
        ("hdr.mp4 --overlay out.mp4", 2, "is HDR (PQ)"),
        ("absent.mp4 --overlay out.mp4", 2, "absent.mp4"),
        ("clip.mp4 --overlay out.png", 2, "it is one too"),
        ("clip.mp4 --overlay ./clip.mp4", 2, "would be written over the film"),
        ("clip.mp4 --overlay out.mp4 --json out.mp4", 2, "would be written for --overlay and for --json"),
        ("clip.mp4 --panel out.png", 2, "it is one too"),
        ("clip.mp4 --overlay out.mp4 --panel p.mp4", 2, "are two films"),
        ("clip.mp4 --overlay out.mp4 --map patch --map spatial", 2, "side by side with --compare"),
        ("clip.mp4 --overlay out.mp4 --compare patch,fused --width 100", 2, "a width and a legend of its own"),
        ("clip.mp4 --json out.json --compare patch,fused", 2, "--compare draws a film"),
        ("clip.mp4 clip.mp4 --overlay out.mp4", 2, "one at a time"),
        ("clip.mp4 --overlay out.mp4 --codec ffv1", 2, ".mkv does"),
        ("clip.mp4 --json out.json --smooth 0.5", 2, "no film is drawn"),
        ("clip.mp4 --overlay out.mp4 --smooth 1", 2, "from 0 to 0.9"),
        ("clip.mp4 --overlay out.mp4 --map channel:stage5", 2, "is of no place"),
        ("clip.mp4 --overlay out.mp4 --map patch --class tabby", 2, "class"),
        ("clip.mp4 --overlay out.mp4 --map spatial --labels labels.txt", 2, "--labels has no effect"),
        ("- --overlay out.mp4", 2, "read only once: --stream"),
        (&format!("{PHOTO} --overlay out.png --every 2"), 2, "it is for films"),
    ] {
        let (ended, said) = place.run(line);
        assert_eq!(ended, Some(status), "{line}: {said}");
        assert!(said.contains(words), "{line}: {said}");
    }
    // A film whose end is missing is drawn as far as it goes.
    place.ffmpeg(&format!("{} -c:v libx264 -pix_fmt yuv420p -g 4 long.mkv", pan(160, 120, 30)));
    let bytes = fs::read(place.path("long.mkv")).unwrap();
    fs::write(place.path("cut.mkv"), &bytes[..bytes.len() / 2]).unwrap();
    let (ended, said) = place.run("cut.mkv --overlay out.mkv --map spatial");
    assert_eq!(ended, Some(1), "{said}");
    assert!(said.contains("cut.mkv: broken after"), "{said}");
    let frames = place.times("out.mkv").len();
    assert!(frames > 5 && frames < 30, "{frames}");
    let mut left: Vec<_> =
        fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["clip.mp4", "cut.mkv", "hdr.mp4", "long.mkv", "out.mkv", "sound.mp4", "text.mp4"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_film_leaves_nothing_half_written() {
    let place = Place::new();
    place.ffmpeg(&format!("{} -c:v libx264 -pix_fmt yuv420p clip.mp4", pan(160, 120, 100)));
    for wait in [300, 1500, 3000] {
        let mut child =
            place.command(env!("CARGO_BIN_EXE_cbam"), "run clip.mp4 --overlay out.mp4 --threads 2").spawn().unwrap();
        sleep(Duration::from_millis(wait));
        let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let status = child.wait().unwrap();
        let whole = place.path("out.mp4").exists();
        assert!(status.code() == Some(130) || (whole && status.success()) || !interrupt.success(), "{status}");
        if whole {
            place.in_step("clip.mp4", "out.mp4", 0.04);
            break;
        }
        let left: Vec<_> = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["clip.mp4"]);
    }
}
