//! Truth about pictures: COCO JSON, Pascal VOC XML, tables.
#![no_main]

use std::sync::LazyLock;

use cbam_core::eval::{ClassNames, Object, Remarks, Truth};
use cbam_core::photo::ImageSize;
use libfuzzer_sys::fuzz_target;

static CLASSES: LazyLock<ClassNames> = LazyLock::new(|| ClassNames::new(["cat", "dog", "two words"]));
static PICTURES: LazyLock<Vec<String>> = LazyLock::new(|| ["a.jpg", "b/c.png", "ä.jpg"].map(str::to_owned).to_vec());

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    let truth = match kind % 3 {
        0 => Truth::open(cbam_fuzz::file("truth.json", data), &CLASSES, &PICTURES),
        1 => Truth::open(cbam_fuzz::file("truth.tsv", data), &CLASSES, &PICTURES),
        _ => {
            std::fs::create_dir_all(cbam_fuzz::folder().join("voc")).expect("a folder");
            Truth::open(cbam_fuzz::file("voc/a.xml", data).with_file_name(""), &CLASSES, &PICTURES)
        }
    };
    let Ok(truth) = truth else { return };
    let _ = truth.remarks.to_string();
    assert!(!truth.rows.is_empty());
    for row in &truth.rows {
        assert!(row.class.is_none_or(|class| class < 3));
        assert!(!row.image.starts_with('/') && !row.image.split('/').any(|part| part == ".."), "{}", row.image);
        let Object::Boxes(boxes) = &row.object else { continue };
        assert!(!boxes.is_empty());
        for found in boxes {
            let corners = [found.x0, found.y0, found.x1, found.y1];
            assert!(corners.iter().all(|corner| corner.is_finite()), "{found:?}");
            assert!(found.x0 < found.x1 && found.y0 < found.y1, "{found:?}");
            assert!(found.area() > 0.0 && (0.0..=1.0).contains(&found.iou(found)), "{found:?}");
        }
        let size = row.size.filter(|size| size.pixels() <= 1 << 16).unwrap_or(ImageSize::new(9, 7));
        if let Ok(region) = row.region(size, &mut Remarks::default()) {
            assert!(region.share() > 0.0 && region.share() <= 1.0);
            assert!(region.boxes.iter().all(|own| own.cut(size) == *own), "{:?}", region.boxes);
        }
    }
});
