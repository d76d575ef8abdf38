//! Limits of the system, environments that are bare, and the exit statuses.

use std::fs;

use super::Place;

#[test]
fn a_file_that_grows_too_large_is_an_error_as_any_other() {
    let place = Place::new();
    image::open(place.path("photo.png"))
        .unwrap()
        .resize_exact(800, 600, image::imageops::Nearest)
        .save(place.path("large.png"))
        .unwrap();
    place.ends("ulimit -f 8; cbam-run large.png --overlay o.bmp", 1, &["o.bmp: File too large"]);
    place.ends("ulimit -f 8; cbam-weights convert w.safetensors c.safetensors", 1, &["c.safetensors: File too large"]);
    place.ends("cbam-run photo.png --overlay /dev/full --format bmp", 1, &["/dev/full: No space left"]);
    assert!(!place.path("o.bmp").exists() && !place.path("c.safetensors").exists() && place.files(".tmp").is_empty());
}

#[test]
fn a_bare_environment_is_enough() {
    let place = Place::new();
    place.ends("env -i cbam-run photo.png --overlay o.png", 0, &[]);
    place.ends("TMPDIR=/nowhere cbam-run photo.png --overlay o.png", 0, &[]);
    place.ends("TMPDIR=/nowhere cbam-run photos --out-dir o --scale run", 2, &["/nowhere"]);
    place.ends("ulimit -n 4; cbam-run photo.png --overlay o.png", 2, &["open files"]);
    let gone = "here=$PWD; mkdir gone; cd gone; rmdir ../gone;";
    for line in ["cbam-run $here/photo.png --overlay $here/g.png", "cbam-weights inspect $here/w.safetensors"] {
        place.ends(&format!("{gone} {line}"), 2, &["the folder that the program was started in is gone"]);
    }
}

#[test]
fn threads_are_a_number_that_can_be_made() {
    let place = Place::new();
    for threads in ["0", "1000000", "all"] {
        for (program, line) in [
            ("cbam-run", "photo.png"),
            ("cbam-eval", "--images photos"),
            ("cbam-train", "supervised --images photos --out t.safetensors"),
        ] {
            let program = super::lies(program);
            place.ends(&format!("{program} {line} --threads {threads}"), 2, &["--threads", "from 1 to 1024"]);
        }
    }
}

#[test]
fn the_exit_status_says_how_much_was_done() {
    let place = Place::new();
    fs::write(place.path("broken.png"), "text").unwrap();
    fs::write(place.path("bad.safetensors"), "text").unwrap();
    let eval = "cbam-eval --images photos --truth truth.tsv --measure none";
    let train = "cbam-train supervised --out t.safetensors --device cpu --threads 1";
    for (line, status) in [
        ("cbam-run photo.png --overlay o.png", 0),
        ("cbam-run broken.png --overlay o.png", 1),
        ("cbam-run photo.png absent.png --out-dir o", 1),
        ("cbam-run photo.png --overlay o.png --weights absent.safetensors", 2),
        ("cbam-run photo.png --overlay o.png --weights bad.safetensors", 2),
        ("cbam-run photo.png --overlay o.png --torchscript bad.safetensors", 2),
        ("cbam-run photo.png --overlay o.png --labels absent.txt", 2),
        ("cbam-run photo.png --overlay o.png --map spatial:stage99", 2),
        ("cbam-run --list-maps --weights bad.safetensors", 2),
        ("cbam-run", 2),
        (eval, 0),
        ("cbam-eval --images photos --truth absent.tsv", 2),
        ("cbam-eval --images photos --measure none", 2),
        (&format!("{eval} --weights bad.safetensors"), 2),
        ("cbam-eval --images absent --truth truth.tsv", 2),
        ("cbam-eval", 2),
        ("cbam-weights inspect w.safetensors", 0),
        ("cbam-weights inspect bad.safetensors", 2),
        ("cbam-weights inspect absent.safetensors", 2),
        ("cbam-weights convert bad.safetensors c.safetensors", 2),
        ("cbam-weights diff w.safetensors w.safetensors", 0),
        ("cbam-weights diff w.safetensors bad.safetensors", 2),
        (&format!("{train} --images absent"), 2),
        (&format!("{train} --images photos --backbone bad.safetensors"), 2),
        (&format!("{train} --images photos --resume absent.safetensors"), 2),
        ("cbam-train", 2),
    ] {
        let (code, said) = place.run(line);
        assert_eq!(code, Some(status), "{line}: {said}");
        assert!(status == 0 || !said.is_empty(), "{line} says nothing");
    }
}
