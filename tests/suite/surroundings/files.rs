//! Outputs that cannot be written, or are links.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;

use super::{Place, end, wait_until};

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let place = Place::new();
    symlink("loop.png", place.path("loop.png")).unwrap();
    symlink("/nowhere/at/all.png", place.path("nowhere.png")).unwrap();
    symlink("/nowhere/folder", place.path("folder")).unwrap();
    let long = format!("{}.png", "x".repeat(300));
    for (output, reason) in [
        ("loop.png", "symbolic links"),
        ("nowhere.png", "a link to /nowhere/at/all.png, and there is no such folder"),
        ("folder/o.png", "a link to a folder that does not exist"),
        (long.as_str(), "name too long"),
        ("photos/a.png/o.png", "ot a directory"),
        ("/proc/o.png", "no file can be made in /proc"),
        ("dots.png/", "directory"),
    ] {
        let named = output.split('/').next().filter(|part| !part.is_empty()).unwrap_or(output);
        place.ends(&format!("cbam-run photo.png --overlay {output}"), 2, &[named, reason]);
        place.ends(&format!("cbam-run photo.png --json {output}"), 2, &[named, reason]);
        let weights = output.replace(".png/", "/").replace(".png", ".safetensors");
        if output.contains("folder") || output.contains("/proc") {
            place.ends(&format!("cbam-weights convert w.safetensors {weights}"), 2, &[reason]);
        }
    }
    for option in ["--out-dir", "--panel-dir", "--maps-dir"] {
        place.ends(&format!("cbam-run photos {option} photo.png"), 2, &["photo.png: not a directory"]);
        place.ends(&format!("cbam-run photos {option} /proc/o"), 2, &["/proc/o: "]);
    }
    place.ends("cbam-run photo.png --json photos", 2, &["photos: is a directory"]);
    assert!(place.files(".tmp").is_empty());
}

#[test]
fn a_link_that_leads_nowhere_is_followed() {
    let place = Place::new();
    symlink("real.png", place.path("link.png")).unwrap();
    symlink("photos/../real.json", place.path("link.json")).unwrap();
    place.ends("cbam-run photo.png --overlay link.png --json link.json", 0, &[]);
    for (link, real) in [("link.png", "real.png"), ("link.json", "real.json")] {
        assert!(fs::symlink_metadata(place.path(link)).unwrap().is_symlink());
        assert!(fs::symlink_metadata(place.path(real)).unwrap().is_file());
    }
    place.ends("cbam-run photo.png --overlay o.png --json real.png", 0, &[]);
    place.ends("cbam-run photo.png --overlay link.png --json real.png", 2, &["for --json and for"]);
    symlink("new.safetensors", place.path("link.safetensors")).unwrap();
    place.ends("cbam-weights convert w.safetensors link.safetensors", 0, &[]);
    assert!(place.path("new.safetensors").is_file() && place.path("link.safetensors").is_symlink());
}

#[test]
fn a_replaced_file_keeps_its_permissions() {
    let place = Place::new();
    fs::write(place.path("j.json"), "").unwrap();
    fs::set_permissions(place.path("j.json"), fs::Permissions::from_mode(0o600)).unwrap();
    place.ends("cbam-run photo.png --json j.json", 0, &[]);
    assert_eq!(fs::metadata(place.path("j.json")).unwrap().permissions().mode() & 0o777, 0o600);
}

/// What the system's administrator may do, others may not.
#[test]
fn protected_files_and_folders_are_named() {
    let place = Place::new();
    for (name, mode) in [("", 0o777), ("photos", 0o555), ("photos/a.png", 0o444)] {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(place.path("kept.png"), "as it was").unwrap();
    fs::set_permissions(place.path("kept.png"), fs::Permissions::from_mode(0o444)).unwrap();
    // The programs lie where another user may not go.
    fs::copy(super::lies("cbam-run"), place.path("program")).unwrap();
    let as_another = "setpriv --reuid=65534 --regid=65534 --clear-groups ./program --size 64 --threads 1 --device cpu";
    let (code, said) = place.run(&format!("{as_another} photo.png --overlay ok.png"));
    if code != Some(0) {
        eprintln!("not tried: this needs an administrator who may run programs as another user: {said}");
        return;
    }
    place.ends(
        &format!("{as_another} photos"),
        1,
        &["photos/a-overlay.png: no file can be made in", "Permission denied"],
    );
    place.ends(&format!("{as_another} photo.png --overlay kept.png"), 2, &["kept.png: Permission denied"]);
    place.ends(&format!("{as_another} photo.png --json photos/j.json"), 2, &["photos/j.json: no file can be made in"]);
    assert_eq!(fs::read_to_string(place.path("kept.png")).unwrap(), "as it was");
    let (_, said) = place.run(&format!("{as_another} photos"));
    assert_eq!(said.matches("no file can be made").count(), 2, "one line for each picture: {said}");
}

#[test]
fn a_picture_that_is_lost_before_the_report_draws_it_is_told_of() {
    let place = Place::new();
    // Through a pipe: whole when it is measured, and broken when it is drawn.
    let (path, map) = (place.path("photos/b.png"), place.path("m/b.npy"));
    let picture = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    place.pipe("photos/b.png");
    let line = "cbam-eval --images photos --truth truth.tsv --maps fused --maps-dir m --measure none --report r";
    let child = place.bash(line).spawn().unwrap();
    thread::spawn(move || {
        fs::write(&path, picture).unwrap();
        wait_until("the map", || map.exists());
        fs::write(&path, "no picture").unwrap();
    });
    let (code, said) = end(child);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("pictures that could not be drawn again") && said.contains(": 1 (b.png: not a picture"));
    let page = fs::read_to_string(place.path("r/report.html")).unwrap();
    assert!(page.contains("\"error\":\"b.png: not a picture") && page.contains("data:image/jpeg"));
}
