//! How overlays look.

use super::*;

fn holds(place: &Place, name: &str, words: &str) -> bool {
    let bytes = fs::read(place.path(name)).unwrap();
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

#[test]
fn a_width_a_legend_and_edges() {
    let place = Place::with(&[("chelsea.jpg", "cat.jpg")]);
    let (width, height) = place.size("cat.jpg");
    place.succeed("cat.jpg --overlay plain.png");
    place.succeed("cat.jpg --width 200 --overlay narrow.png");
    let narrow = (200, (f64::from(height) * 200.0 / f64::from(width)).round() as u32);
    assert_eq!((place.size("plain.png"), place.size("narrow.png")), ((width, height), narrow));
    place.succeed("cat.jpg --width 200 --legend --overlay worded.png");
    let (of_legend, below) = place.size("worded.png");
    assert!(of_legend == 200 && (30..90).contains(&(below - narrow.1)), "{below}");
    let [narrow, worded] = ["narrow.png", "worded.png"].map(|name| image::open(place.path(name)).unwrap().to_rgb8());
    assert!(worded.rows().zip(narrow.rows()).all(|(worded, narrow)| worded.eq(narrow)), "the picture is as without it");
    // What the network did not see so finely says so, where a file can.
    for name in ["edges.png", "edges.jpg", "edges.webp"] {
        place.succeed(&format!("cat.jpg --refine --overlay {name}"));
        assert!(holds(&place, name, "guided filter"), "{name}");
        assert_eq!(place.size(name), (width, height));
    }
    assert!(!holds(&place, "plain.png", "guided filter"));
    assert!(image::open(place.path("edges.png")).unwrap() != image::open(place.path("plain.png")).unwrap());
    let told = place.run("cat.jpg --refine --overlay edges.tiff");
    assert!(
        told.status.success() && stderr(&told).contains("--refine: a file of tiff cannot say"),
        "{}",
        stderr(&told)
    );
    // The network's own grid is what is saved.
    place.succeed("cat.jpg --maps-dir a");
    place.succeed("cat.jpg --maps-dir b --overlay out.png --refine --legend --width 100");
    assert_eq!(place.map("a/cat.npy"), place.map("b/cat.npy"));
    let large = place.run("cat.jpg --width 60000 --max-pixels 1M --overlay large.png");
    assert!(large.status.code() == Some(1) && stderr(&large).contains("width"), "{}", stderr(&large));
    assert!(!place.path("large.png").exists());
}

#[test]
fn several_queries_are_several_overlays() {
    let place = Place::with(&[("coffee.jpg", "coffee.jpg")]);
    place.succeed("coffee.jpg --map patch@300,200 --map patch@20,30 --overlay look.png");
    let files = place.files();
    assert_eq!(files, ["coffee.jpg", "look.patch-at-20-30.png", "look.patch-at-300-200.png"]);
    let open = |name: &str| image::open(place.path(name)).unwrap().to_rgb8();
    let [photo, near, far] = ["coffee.jpg", &files[2], &files[1]].map(open);
    // The patch that looks is outlined: white, where the photo is not.
    let outlined = |picture: &image::RgbImage, x: u32, y: u32| {
        let around = (x.saturating_sub(25)..x + 25).flat_map(|x| (y.saturating_sub(25)..y + 25).map(move |y| (x, y)));
        let white = |picture: &image::RgbImage, x, y| picture.get_pixel(x, y).0.iter().all(|sample| *sample > 190);
        around.filter(|(x, y)| white(picture, *x, *y) && !white(&photo, *x, *y)).count()
    };
    assert!(outlined(&near, 300, 200) > outlined(&far, 300, 200) + 20);
    assert!(outlined(&far, 20, 30) > outlined(&near, 20, 30) + 20);
}

#[test]
fn a_panorama_is_said_to_be_squeezed() {
    let place = Place::with(&[("coffee.jpg", "coffee.jpg")]);
    let photo = image::open(place.path("coffee.jpg")).unwrap();
    photo.crop_imm(0, 200, 600, 100).save(place.path("long.png")).unwrap();
    let told = place.run("long.png --quiet --json r.json");
    assert!(told.status.success(), "{}", stderr(&told));
    let notes = place.json("r.json")[0]["notes"].to_string();
    assert!(notes.contains("longer than 4:1"), "{notes}");
    place.succeed("coffee.jpg --json r.json");
    assert!(place.json("r.json")[0]["notes"].is_null());
}
