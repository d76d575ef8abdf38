//! Nothing is written over what is read.

use std::fs;
use std::os::unix::fs::symlink;

use cbam::photo::is_picture;

use super::Place;

#[test]
fn no_program_writes_over_what_it_reads() {
    let place = Place::new();
    fs::write(place.path("labels.txt"), "x\n").unwrap();
    fs::hard_link(place.path("photo.png"), place.path("hard.png")).unwrap();
    symlink("photos/a.png", place.path("soft.png")).unwrap();
    fs::hard_link(place.path("w.safetensors"), place.path("hard.safetensors")).unwrap();
    fs::hard_link(place.path("photos/b.png"), place.path("picture.safetensors")).unwrap();
    symlink(".", place.path("here")).unwrap();
    fs::create_dir(place.path("m")).unwrap();
    fs::copy(place.path("w.safetensors"), place.path("m/a.npy")).unwrap();
    let before = || {
        let names = ["photo.png", "photos/a.png", "photos/b.png", "truth.tsv", "w.safetensors", "labels.txt"];
        names.map(|name| fs::read(place.path(name)).unwrap())
    };
    let as_it_was = before();
    let eval = "cbam-eval --images photos --truth truth.tsv --measure none";
    for (line, over) in [
        ("cbam-run photo.png --json w.safetensors --weights w.safetensors", "over --weights"),
        ("cbam-run photo.png --json here/hard.safetensors --weights w.safetensors", "over --weights"),
        ("cbam-run photo.png --json w.safetensors --torchscript w.safetensors", "over --torchscript"),
        ("cbam-run photo.png --json labels.txt --labels labels.txt", "over --labels"),
        ("cbam-run photo.png --json photo.png", "over the picture"),
        ("cbam-run photo.png --overlay hard.png", "over the picture"),
        ("cbam-run photos --json soft.png", "over the picture"),
        ("cbam-run photo.png --overlay o.png --json here/o.png", "for --json and for"),
        ("cbam-run - --overlay hard.png < photo.png", "over the picture"),
        ("cbam-run photo.png --json - >> photo.png", "over the picture"),
        (&format!("{eval} --json truth.tsv"), "over --truth"),
        (&format!("{eval} --json here/photos/a.png"), "over --images"),
        (&format!("{eval} --json soft.png"), "over --images"),
        (&format!("{eval} --json w.safetensors --weights hard.safetensors"), "over --weights"),
        (&format!("{eval} --report r --json r/report.json"), "written for --json and for --report"),
        (&format!("{eval} --maps fused --maps-dir m --json m/a.npy"), "written for --json and for --maps-dir"),
        (&format!("{eval} --maps gradcam --maps-dir m --weights m/a.npy"), "a.npy would be written over --weights"),
        (&format!("{eval} --maps fused --maps-dir photo.png"), "photo.png"),
        ("cbam-train supervised --images photos --out -", "weights cannot go to standard output"),
        ("cbam-weights convert w.safetensors w.safetensors", "over the input"),
        ("cbam-weights convert w.safetensors here/hard.safetensors", "over the input"),
        ("cbam-train supervised --images photos --out picture.safetensors", "over --images"),
        ("cbam-train supervised --images photos --backbone w.safetensors --out hard.safetensors", "over --backbone"),
        (
            "cbam-train supervised --images photos --out t.safetensors --checkpoint here/t.safetensors",
            "for --out and for",
        ),
        (
            "cbam-train distill --images photos --backgrounds photos --stamps photos --teachers w.safetensors --out w.safetensors",
            "over --teachers",
        ),
    ] {
        place.ends(line, 2, &[over]);
        assert!(before() == as_it_was, "{line}");
    }
    assert!(place.files(".tmp").is_empty() && !place.path("o.png").exists() && !place.path("r").exists());
    // What is not read in a folder may be written there, again and again.
    for _ in 0..2 {
        place.ends(&format!("{eval} --json photos/figures.json"), 0, &[]);
    }
    place.ends("cbam-run photo.png --overlay /dev/null --format png --json /dev/null", 0, &[]);
}

#[test]
fn pictures_of_every_extension_that_is_read_are_safe_in_their_folder() {
    let place = Place::new();
    let before = fs::read(place.path("photos/a.png")).unwrap();
    // Of each format, and the rarer extensions too.
    let names = "jpg JPEG jpe jfif jfi jif mpo png apng gif webp tif tiff btf tf8 tga icb vda vst bmp dib ico hdr exr pbm pam ppm pgm pnm dds ff qoi";
    for extension in names.split(' ') {
        let file = format!("photos/x.{extension}");
        assert!(is_picture(file.as_ref()), "{file}");
        fs::write(place.path(&file), &before).unwrap();
        let line = format!("cbam-eval --images photos --truth truth.tsv --measure none --json {file}");
        place.ends(&line, 2, &["over --images"]);
        assert!(fs::read(place.path(&file)).unwrap() == before, "{file}");
    }
}
