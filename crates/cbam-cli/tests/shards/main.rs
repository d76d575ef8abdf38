//! Shards of pictures into parts of maps, with the light program as a user runs it.
#![cfg(feature = "parquet")]

#[path = "../common/mod.rs"]
mod common;
mod place;

use std::fs::{self, File};
use std::process::Command;
use std::time::Duration;

use parquet::record::Field;

use place::{Place, Stored, map, npy, png, text, whole};

#[test]
fn a_tar_becomes_a_part_whose_maps_are_those_of_its_pictures() {
    let place = Place::new();
    let pictures: Vec<Vec<u8>> = (0..7).map(png).collect();
    fs::create_dir(place.path("photos")).unwrap();
    let names: Vec<String> = (0..7).map(|number| format!("a/{number:04}.png")).collect();
    let mut files: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(pictures.iter().map(Vec::as_slice)).collect();
    for (name, bytes) in &files {
        fs::write(place.path("photos").join(&name[2..]), bytes).unwrap();
    }
    files.insert(2, ("a/0001.json", b"{}"));
    files.insert(5, ("a/0003.seg.png", &pictures[0]));
    files.push(("a/broken.jpg", b"no picture at all"));
    place.tar("shard-0.tar", &files);
    let maps = "--map fused --map spatial --map channel:stage5";
    let said = place.does(&format!("shard-0.tar --out-parquet out {maps}"));
    assert!(said.contains("left out: 1 other file (1 json)"), "{said}");
    assert!(said.contains("1 .seg.png"), "{said}");
    assert!(said.contains("shard-0.tar: 1 of 8 pictures failed"), "{said}");
    assert!(said.contains("1 part made: 8 pictures, 1 failed -> out/"), "{said}");
    assert_eq!(place.files("out"), ["shard-0.parquet"]);

    place.does(&format!("photos --maps-dir maps --json report.json {maps}"));
    let report: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(place.path("report.json")).unwrap()).unwrap();
    let rows = place.rows("out/shard-0.parquet");
    assert_eq!(rows.len(), 7 * 3 + 1);
    for (number, rows) in rows[..21].chunks(3).enumerate() {
        for (row, name) in rows.iter().zip(["fused", "spatial", "channel:stage5"]) {
            assert_eq!(text(row, "key"), Some(&*format!("a/{number:04}")));
            assert_eq!(text(row, "path"), Some(&*names[number]));
            assert_eq!((text(row, "error"), text(row, "map_name")), (None, Some(name)));
            let expected = npy(&place.path(&format!("maps/{number:04}.{}.npy", name.replace(':', "-"))));
            assert_eq!(map(row), expected.iter().copied().collect::<Vec<_>>());
            let said = &report[number];
            assert_eq!(whole(row, "class").map(i64::from), said["top"][0]["class"].as_i64());
            assert_eq!(text(row, "label"), said["top"][0]["label"].as_str());
            assert_eq!(whole(row, "map_class").is_some(), name == "fused");
            assert_eq!([whole(row, "width"), whole(row, "height")], [Some(60 + number as i32 % 7), Some(40)]);
            let sides = [whole(row, "map_height"), whole(row, "map_width")];
            if name == "channel:stage5" {
                assert_eq!((sides, &row["max"]), ([None, None], &Field::Null));
                continue;
            }
            assert_eq!(sides.map(|side| side.unwrap() as usize)[..], *expected.shape());
            let Field::Float(max) = row["max"] else { panic!("{:?}", row["max"]) };
            assert_eq!(max, expected.iter().copied().fold(0.0, f32::max));
            let Field::Float(peak) = row["peak_x"] else { panic!("{:?}", row["peak_x"]) };
            let of = if name == "fused" { "fused" } else { "spatial:stage6.expansion" };
            let stage = said["maps"].get(of).or_else(|| said["maps"].get("spatial")).map(|of| of["peak"][0].as_f64());
            if let Some(Some(expected)) = stage.filter(|_| name == "fused") {
                assert!((f64::from(peak) - expected).abs() < 1e-6);
            }
        }
    }
    let bad = &rows[21];
    assert_eq!((text(bad, "key"), text(bad, "map_name")), (Some("a/broken"), None));
    assert!(text(bad, "error").unwrap().starts_with("a/broken.jpg: "), "{:?}", bad["error"]);
    assert_eq!((&bad["map"], &bad["class"], &bad["max"]), (&Field::Null, &Field::Null, &Field::Null));
    let weights = text(bad, "weights").unwrap();
    assert!(weights.len() == 64 && rows.iter().all(|row| text(row, "weights") == Some(weights)));
    assert_eq!(text(bad, "version"), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_parquet_file_gives_its_rows() {
    let place = Place::new();
    let pictures: Vec<Vec<u8>> = (0..8).map(png).collect();
    fs::write(place.path("beside.png"), &pictures[7]).unwrap();
    let stored = |id, bytes, path| Stored { id, bytes, path };
    let mut rows: Vec<Stored<'_>> =
        pictures[..7].iter().zip(0..).map(|(bytes, id)| stored(id, Some(&**bytes), Some("x.png"))).collect();
    rows[2].path = None;
    rows.push(stored(7, None, Some("beside.png")));
    rows.push(stored(8, None, None));
    rows.push(stored(9, Some(b"no picture"), None));
    let features =
        r#"{"info": {"features": {"id": {"dtype": "int64", "_type": "Value"}, "image": {"_type": "Image"}}}}"#;
    place.parquet("part-0.parquet", &rows, Some(features));
    let names = ["0.png", "1.png", "2.png", "3.png", "4.png", "5.png", "6.png", "7.png"];
    place.tar("same.tar", &names.into_iter().zip(pictures.iter().map(Vec::as_slice)).collect::<Vec<_>>());
    place.does("part-0.parquet same.tar --out-parquet out --key-column id");
    let (of_rows, of_tar) = (place.rows("out/part-0.parquet"), place.rows("out/same.parquet"));
    assert_eq!((of_rows.len(), of_tar.len()), (10, 8));
    for (number, (row, other)) in of_rows.iter().zip(&of_tar).enumerate() {
        assert_eq!(text(row, "key"), Some(&*number.to_string()));
        assert_eq!(map(row), map(other), "{number}");
        assert_eq!(text(row, "path"), rows[number].path);
    }
    assert!(text(&of_rows[8], "error").unwrap().contains("the row has no picture"));
    assert!(text(&of_rows[9], "error").is_some());

    // By their paths, where those tell them apart, and by their places, where nothing does.
    place.does("part-0.parquet --out-parquet by-path");
    let keys: Vec<_> =
        place.rows("by-path/part-0.parquet").iter().map(|row| text(row, "key").unwrap().to_owned()).collect();
    assert_eq!([&keys[0], &keys[2], &keys[7]], ["x.png", "part-0:2", "beside.png"]);
    for (line, said) in [
        ("part-0.parquet --out-parquet no --image-column id", "\"id\" holds no pictures; its columns are id, image"),
        ("part-0.parquet --out-parquet no --key-column image", "is no column of text or whole numbers"),
    ] {
        let (status, refused) = place.run(line);
        assert_eq!(status, Some(1), "{refused}");
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn what_is_there_is_done_and_must_be_of_the_same_run() {
    let place = Place::new();
    let picture = png(3);
    for number in 0..3 {
        place.tar(&format!("in/{number}.tar"), &[("0.png", &picture)]);
    }
    place.tar("in/empty.tar", &[]);
    let said = place.does("in --out-parquet out --shard 0/2");
    assert!(said.contains("2 parts made: 2 pictures"), "{said}");
    assert_eq!(place.files("out"), ["0.parquet", "2.parquet"]);
    let before = fs::metadata(place.path("out/0.parquet")).unwrap().modified().unwrap();
    let said = place.does("in --out-parquet out");
    assert!(said.contains("2 parts made, 2 there already: 1 picture,"), "{said}");
    assert_eq!(fs::metadata(place.path("out/0.parquet")).unwrap().modified().unwrap(), before);
    assert_eq!(place.rows("out/empty.parquet").len(), 0);
    let said = place.does("in --out-parquet out");
    assert!(said.contains("0 parts made, 4 there already"), "{said}");
    for (line, what) in [
        ("in --out-parquet out --map patch", "was made with other maps: [\"fused\"], which is [\"patch\"] here"),
        ("in --out-parquet out --class 281", "was made with other class: null, which is 281 here"),
        ("in --out-parquet out --map fused --size 96", "was made with other input"),
    ] {
        let (status, refused) = place.run(line);
        assert_eq!(status, Some(2), "{refused}");
        assert!(refused.contains(what), "{refused}");
    }
    place.tar("other/0.tar", &[("0.png", &png(4))]);
    let (status, refused) = place.run("other/0.tar --out-parquet out");
    assert!(status == Some(2) && refused.contains("was made with other shard"), "{refused}");
    let (status, refused) = place.run("in --out-parquet out --shard 1/2 --map patch");
    assert!(status == Some(2) && refused.contains("was made with other maps"), "of another machine's share: {refused}");
    fs::write(place.path("out/0.parquet"), "what somebody else wrote").unwrap();
    let (status, refused) = place.run("in --out-parquet out");
    assert!(status == Some(2) && refused.contains("is no Parquet file"), "{refused}");
    assert_eq!(fs::read(place.path("out/0.parquet")).unwrap(), b"what somebody else wrote");
}

#[test]
fn a_shard_that_cannot_be_read_gives_no_part_and_stops_no_other() {
    let place = Place::new();
    let pictures: Vec<Vec<u8>> = (0..4).map(png).collect();
    let names = ["0.png", "1.png", "2.png", "3.png"];
    let files: Vec<(&str, &[u8])> = names.into_iter().zip(pictures.iter().map(Vec::as_slice)).collect();
    place.tar("whole.tar", &files);
    let bytes = fs::read(place.path("whole.tar")).unwrap();
    fs::write(place.path("cut.tar"), &bytes[..bytes.len() - 4000]).unwrap();
    fs::write(place.path("text.tar"), "no tar").unwrap();
    fs::write(place.path("broken.parquet"), "no parquet").unwrap();
    fs::write(place.path("markless.tar"), &bytes[..bytes.len() - 1024]).unwrap();
    fs::write(place.path("empty.tar"), "").unwrap();
    fs::write(place.path("joined.tar"), [&bytes[..], &bytes[..]].concat()).unwrap();
    let (status, said) = place.run(
        "cut.tar text.tar markless.tar empty.tar joined.tar broken.parquet absent.tar whole.tar --out-parquet out",
    );
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("1 part made, none of 7 broken shards: 4 pictures, 0 failed"), "{said}");
    for part in [
        "cut.tar: broken: it ends within 3.png",
        "text.tar: no folder and no tar archive",
        "markless.tar: has no mark at its end",
        "empty.tar: is empty",
        "joined.tar: goes on behind its end",
        "broken.parquet: cannot be read as Parquet",
        "absent.tar: ",
    ] {
        assert!(said.contains(part), "{said} does not say {part}");
    }
    assert_eq!(place.files("out"), ["whole.parquet"]);
    assert_eq!(place.rows("out/whole.parquet").len(), 4);
}

#[test]
fn a_run_that_is_killed_goes_on_where_it_was() {
    let place = Place::new();
    let pictures: Vec<Vec<u8>> = (0..24).map(png).collect();
    for shard in 0..6 {
        let names: Vec<String> = (0..24).map(|number| format!("{shard}-{number:02}.png")).collect();
        let files: Vec<_> = names.iter().map(String::as_str).zip(pictures.iter().map(Vec::as_slice)).collect();
        place.tar(&format!("in/{shard}.tar"), &files);
    }
    place.does("in --out-parquet whole");
    let line = "in --out-parquet out --quiet";
    for moment in 0..10 {
        let mut child = place.command(line).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(60 + 35 * moment));
        child.kill().unwrap();
        child.wait().unwrap();
        let parts = fs::read_dir(place.path("out")).into_iter().flatten().map(|entry| entry.unwrap().file_name());
        for part in parts.map(|name| name.into_string().unwrap()).filter(|name| !name.starts_with('.')) {
            assert_eq!(place.rows(&format!("out/{part}")).len(), 24, "{part} is not whole");
        }
        if moment == 5 {
            let _ = fs::remove_dir_all(place.path("out")); // and from the beginning again
        }
    }
    place.does(line);
    assert_eq!(place.files("out"), place.files("whole"), "nothing else is left");
    for part in place.files("whole") {
        assert_eq!(place.rows(&format!("out/{part}")), place.rows(&format!("whole/{part}")));
    }
}

#[test]
fn links_in_a_tar_lead_to_their_pictures() {
    let place = Place::new();
    let mut tar = tar::Builder::new(File::create(place.path("a.tar")).unwrap());
    let mut put = |kind: tar::EntryType, name: &str, target: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        if target.is_empty() {
            tar.append_data(&mut header, name, bytes).unwrap();
        } else {
            tar.append_link(&mut header, name, target).unwrap();
        }
    };
    put(tar::EntryType::Regular, "a/0.png", "", &png(9)); // another one of this name follows
    put(tar::EntryType::Regular, "a/0.png", "", &png(0));
    put(tar::EntryType::Link, "b/1.png", "a/0.png", b"");
    put(tar::EntryType::Symlink, "b/2.png", "../a/0.png", b"");
    put(tar::EntryType::Symlink, "b/3.png", "2.png", b"");
    put(tar::EntryType::Symlink, "b/4.png", "/elsewhere.png", b"");
    put(tar::EntryType::Symlink, "b/5.png", "5.png", b"");
    put(tar::EntryType::Fifo, "pipe", "", b"");
    put(tar::EntryType::Regular, "b/4.jpg", "", &png(1));
    drop(tar);
    let said = place.does("a.tar --out-parquet out");
    assert!(
        said.contains("left out: 1 that are no files") && said.contains("1 pictures have a key that another"),
        "{said}"
    );
    let rows = place.rows("out/a.parquet");
    let keys: Vec<_> = rows.iter().map(|row| text(row, "key").unwrap()).collect();
    assert_eq!(keys, ["a/0", "b/1", "b/2", "b/3", "b/4", "b/5", "b/4"]);
    assert!(rows[1..4].iter().all(|row| map(row) == map(&rows[0])));
    assert!(rows[4..6].iter().all(|row| text(row, "error").unwrap().contains("a link to what is not in the archive")));
    assert_ne!(map(&rows[6]), map(&rows[0]));
}

#[test]
fn many_small_shards_are_not_open_at_once() {
    let place = Place::new();
    for number in 0..90 {
        place.tar(&format!("in/{number:02}.tar"), &[("0.png", &png(number))]);
    }
    let mut command = Command::new("bash");
    let line = format!("ulimit -n 100; {} run in --out-parquet out --threads 2 --quiet", env!("CARGO_BIN_EXE_cbam"));
    assert!(command.current_dir(place.path("")).args(["-c", &line]).status().unwrap().success());
    assert_eq!(place.files("out").len(), 90);
}
