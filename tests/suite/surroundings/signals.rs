//! Requests to end, and signals that are ignored.

use std::fs;
use std::process::Stdio;

use super::{Place, end, wait_until};
use crate::send;

#[test]
fn a_first_request_ends_a_run_that_waits_for_a_pipe() {
    for signal in ["-TERM", "-INT", "-HUP"] {
        let place = Place::new();
        place.pipe("pipe.png");
        let line = "exec cbam-run photo.png pipe.png --out-dir o --json j.json";
        let child = place.bash(line).spawn().unwrap();
        wait_until("the first picture", || place.path("o/photo.png").exists());
        send(&child, signal);
        let (code, said) = end(child);
        assert_eq!((code, said.as_str()), (Some(130), "cbam-run: interrupted\n"), "{signal}");
        assert!(!place.path("j.json").exists() && place.files(".tmp").is_empty(), "{signal}");
        assert!(image::open(place.path("o/photo.png")).is_ok());
    }
}

#[test]
fn a_first_request_ends_whatever_has_not_begun() {
    let place = Place::new();
    place.pipe("pipe.safetensors");
    for line in [
        "exec cbam-run - --overlay o.png",
        "exec cbam-run photo.png --overlay o.png --weights pipe.safetensors",
        "exec cbam-run photo.png --overlay o.png --labels pipe.safetensors",
        "exec cbam-eval --images photos --truth truth.tsv --weights pipe.safetensors",
        "exec cbam-weights inspect pipe.safetensors",
        "exec cbam-train distill --images photos --backgrounds photos --stamps photos --out t.safetensors --backbone pipe.safetensors",
    ] {
        let mut child = place.bash(line).stdin(Stdio::piped()).spawn().unwrap();
        let _silent = child.stdin.take();
        let status = format!("/proc/{}/status", child.id());
        // Asleep, and with a handler for the signal: bit 14 of those that are caught.
        wait_until("it listens and waits", || {
            let status = fs::read_to_string(&status).unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap_or("0");
            u64::from_str_radix(caught, 16).unwrap() & 1 << 14 != 0 && status.contains("\nState:\tS")
        });
        send(&child, "-TERM");
        let (code, said) = end(child);
        assert!(code == Some(130) && said.contains("interrupted"), "{line}: {code:?} {said}");
    }
    assert!(!place.path("o.png").exists() && place.files(".tmp").is_empty());
}

#[test]
fn what_nohup_ignores_stays_ignored() {
    let place = Place::new();
    place.pipe("pipe.png");
    let line = "trap '' HUP; exec cbam-run photo.png pipe.png --out-dir o";
    let child = place.bash(line).spawn().unwrap();
    wait_until("the other picture", || place.path("o/photo.png").exists());
    send(&child, "-HUP");
    fs::copy(place.path("photo.png"), place.path("pipe.png")).unwrap(); // what it waits for
    assert_eq!(end(child), (Some(0), String::new()));
    assert!(image::open(place.path("o/pipe.png")).is_ok());
}

#[test]
fn the_next_run_removes_what_a_killed_one_left_and_no_more() {
    let place = Place::new();
    place.pipe("pipe.png");
    let mut begun = ["killed", "living"].map(|name| {
        let line = format!("exec cbam-run photo.png pipe.png --out-dir {name} --json {name}.json");
        let child = place.bash(&line).spawn().unwrap();
        wait_until("the first picture", || place.path(&format!("{name}/photo.png")).exists());
        child
    });
    let of_both = place.files(".tmp");
    assert_eq!(of_both.len(), 2, "the unfinished reports: {of_both:?}");
    let [killed, living] = &mut begun;
    killed.kill().unwrap();
    killed.wait().unwrap();
    fs::write(place.path(".cbam-0-1-2-3-x.tmp"), "of somebody else").unwrap();
    place.ends("cbam-run photo.png --json j.json", 0, &[]);
    let kept = place.files(".tmp");
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(of_both.iter().filter(|name| kept.contains(name)).count(), 1, "that of the living: {kept:?}");
    living.kill().unwrap();
    living.wait().unwrap();
    place.ends("cbam-weights convert w.safetensors c.safetensors", 0, &[]);
    assert_eq!(place.files(".tmp"), [".cbam-0-1-2-3-x.tmp"]);
}
