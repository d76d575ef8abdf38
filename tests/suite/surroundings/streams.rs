//! Standard streams that are closed, full, or read by nobody.

use super::Place;

/// What prints, and the file that it writes in any case.
const PRINTING: [(&str, Option<&str>); 7] = [
    ("cbam-run photo.png --overlay o.png --json j.json", Some("j.json")),
    ("cbam-run --list-maps", None),
    ("cbam-run --help", None),
    ("cbam-eval --images photos --truth truth.tsv --measure none --json j.json", Some("j.json")),
    ("cbam-weights inspect w.safetensors", None),
    ("cbam-weights diff w.safetensors w.safetensors", None),
    ("cbam-train supervised --help", None),
];

fn each(surroundings: &str, status: impl Fn(&str) -> i32) {
    for (line, file) in PRINTING {
        let place = Place::new();
        let whole = surroundings.replace('@', line);
        let (code, said) = place.run(&whole);
        assert_eq!(code, Some(status(line)), "{whole}: {said}");
        assert!(file.is_none_or(|file| place.path(file).metadata().is_ok_and(|data| data.len() > 0)), "{whole}");
    }
}

#[test]
fn a_reader_that_goes_away_has_seen_enough() {
    each("set -o pipefail; @ | true", |_| 0);
    each("set -o pipefail; @ 2>&1 | true", |_| 0);
}

#[test]
fn closed_streams_are_nobody() {
    each("@ 2>&-", |_| 0);
    each("@ <&-", |_| 0);
    each("@ >&-", |_| 0);
}

#[test]
fn what_cannot_be_printed_is_an_error_with_a_name() {
    each("@ > /dev/full", |line| if line.contains("diff") { 2 } else { 1 });
    each("@ 2> /dev/full", |_| 0);
    let place = Place::new();
    for (line, _) in PRINTING {
        let (_, said) = place.run(&format!("{line} > /dev/full"));
        assert!(said.contains("standard output: No space left on device"), "{line}: {said}");
    }
}

#[test]
fn standard_output_that_is_closed_takes_no_picture() {
    let place = Place::new();
    for option in ["--overlay", "--panel", "--json"] {
        place.ends(&format!("cbam-run photo.png {option} - >&-"), 2, &[option, "closed"]);
    }
    place.ends("cbam-run photo.png --overlay - > o.png", 0, &[]);
    assert!(image::open(place.path("o.png")).is_ok());
    place.ends("cbam-run photo.png --overlay - > /dev/full", 1, &["standard output: No space left"]);
    for option in ["--overlay", "--json"] {
        place.ends(&format!("set -o pipefail; cbam-run photo.png {option} - --maps-dir m | true"), 0, &[]);
        assert!(place.path("m/photo.npy").exists());
        std::fs::remove_dir_all(place.path("m")).unwrap();
    }
    place.ends("set -o pipefail; cbam-run photos --json - | true", 0, &[]);
    place.ends("cbam-run photo.png --json - --maps-dir m > /dev/full", 1, &["standard output: No space left"]);
}

#[test]
fn standard_input_is_read_once() {
    let place = Place::new();
    place.ends("cbam-run - - --overlay o.png < photo.png", 2, &["only once"]);
    place.ends("cbam-run - --overlay o.png < photo.png", 0, &[]);
    place.ends("cbam-run - --overlay o.png <&-", 1, &["empty"]);
    place.ends("cbam-run - photo.png --out-dir o < photos", 1, &["standard input: Is a directory"]);
    assert!(place.path("o/photo.png").exists(), "the other picture is drawn");
    place.ends("cbam-run - --overlay p.png < photos", 1, &["standard input: Is a directory"]);
}

#[test]
fn a_training_without_anybody_to_tell_goes_on() {
    let place = Place::new();
    for class in ["x", "y"] {
        std::fs::create_dir_all(place.path(&format!("classes/{class}"))).unwrap();
        for number in 0..4 {
            std::fs::copy(place.path("photo.png"), place.path(&format!("classes/{class}/{number}.png"))).unwrap();
        }
    }
    let train = "cbam-train supervised --images classes --validation classes --size 64 --batch 2 --epochs 1 --threads 1 --device cpu";
    for (number, (streams, status)) in
        [("2>&-", 0), (">&-", 0), ("2> /dev/full", 0), ("> /dev/full", 1), ("2>&1 | true", 0)].into_iter().enumerate()
    {
        let out = format!("{number}.safetensors");
        let (code, said) = place.run(&format!("set -o pipefail; {train} --out {out} {streams}"));
        assert_eq!(code, Some(status), "{streams}: {said}");
        assert!(place.path(&out).exists() && place.files("checkpoint.safetensors").is_empty(), "{streams}");
    }
}
