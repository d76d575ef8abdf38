//! Films that are drawn while they are looked at, since nothing of the whole film is needed for that.

use std::os::unix::fs::PermissionsExt;

use crate::common::ended;
use crate::place::{Place, pan};

const GIVEN: &str = "--codec ffv1 --smooth 0 --scale fixed:0,1 --class 285 --deterministic";

#[test]
fn a_film_that_is_drawn_at_once_is_the_one_that_is_drawn_afterwards() {
    let place = Place::new();
    place.ffmpeg(&format!("{} -c:v ffv1 -pix_fmt bgr0 clip.mkv", pan(160, 120, 21)));
    for more in ["", "--every 4", "--legend --map gradcam"] {
        place.does(&format!("clip.mkv --overlay once.mkv {GIVEN} {more}"));
        place.does(&format!("clip.mkv --overlay twice.mkv {GIVEN} {more} --json report.json"));
        place.in_step("clip.mkv", "once.mkv", 0.04);
        let sides = &place.probe("once.mkv", "-select_streams v:0 -show_entries stream=width,height")[0];
        let (width, height) = sides.split_once(',').unwrap();
        let size = [width, height].map(|side| side.parse().unwrap());
        assert!(place.frames("once.mkv", size) == place.frames("twice.mkv", size), "{more}");
        let told = |film: &str| place.probe(film, "-show_entries format_tags=comment");
        assert_eq!(told("once.mkv"), told("twice.mkv"), "{more}");
    }
}

#[test]
fn it_is_decoded_once() {
    let place = Place::new();
    place.ffmpeg(&format!("{} -c:v ffv1 -pix_fmt bgr0 clip.mkv", pan(160, 120, 5)));
    // An ffmpeg that writes down each time it is begun.
    let path = std::env::var("PATH").unwrap();
    let script = format!("#!/bin/sh\necho >>\"{}\"\nPATH='{path}' exec ffmpeg \"$@\"\n", place.path("begun").display());
    std::fs::create_dir(place.path("bin")).unwrap();
    std::fs::write(place.path("bin/ffmpeg"), script).unwrap();
    std::fs::set_permissions(place.path("bin/ffmpeg"), PermissionsExt::from_mode(0o755)).unwrap();
    let begun = |options: &str| {
        let _ = std::fs::remove_file(place.path("begun")); // the first time there is none
        let line = format!("run clip.mkv --overlay out.mkv --codec ffv1 --threads 2 {options}");
        let mut command = place.command(env!("CARGO_BIN_EXE_cbam"), &line);
        command.env("PATH", format!("{}:{path}", place.path("bin").display()));
        let (status, said) = ended(command);
        assert_eq!(status, Some(0), "{line}: {said}");
        std::fs::read_to_string(place.path("begun")).unwrap().lines().count()
    };
    let once = begun("--smooth 0 --scale fixed:0,1 --class 285");
    assert_eq!(begun("--smooth 0 --scale image --map spatial"), once, "no map is of a class");
    for options in [
        "--scale fixed:0,1 --class 285",
        "--smooth 0 --class 285",
        "--smooth 0 --scale fixed:0,1",
        "--smooth 0 --scale fixed:0,1 --class 285 --json report.json",
    ] {
        assert!(begun(options) > once, "{options}");
    }
}

#[test]
fn of_a_broken_film_what_comes_before_is_drawn() {
    let place = Place::new();
    place.ffmpeg(&format!("{} -c:v ffv1 -pix_fmt bgr0 clip.mkv", pan(160, 120, 40)));
    let whole = std::fs::read(place.path("clip.mkv")).unwrap();
    std::fs::write(place.path("cut.mkv"), &whole[..whole.len() * 3 / 5]).unwrap();
    let (status, said) = place.run(&format!("cut.mkv --overlay once.mkv {GIVEN}"));
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("cut.mkv: broken after "), "{said}");
    place.run(&format!("cut.mkv --overlay twice.mkv {GIVEN} --json report.json"));
    let frames = place.frames("once.mkv", [160, 120]);
    assert!((15..40).contains(&frames.len()) && frames == place.frames("twice.mkv", [160, 120]));
}
