//! Truth as COCO, Pascal VOC and masks.

use std::fs;
use std::path::Path;

use cbam::eval::{BoundingBox, ClassNames, Object, Truth, TruthFormat, TruthRow};
use cbam::photo::ImageSize;
use image::{GrayImage, Luma};

fn open(path: &Path, pictures: &[&str]) -> Result<Truth, String> {
    let pictures: Vec<String> = pictures.iter().map(ToString::to_string).collect();
    Truth::open(path, &ClassNames::imagenet(), &pictures).map_err(|error| error.to_string())
}

fn boxes(row: &TruthRow) -> Vec<[f64; 4]> {
    let Object::Boxes(boxes) = &row.object else { panic!("boxes") };
    boxes.iter().map(|BoundingBox { x0, y0, x1, y1 }| [*x0, *y0, *x1, *y1]).collect()
}

const COCO: &str = r#"{"images": [
    {"id": 7, "file_name": "a/1.jpg", "width": 100, "height": 50},
    {"id": 9, "file_name": "2.jpg", "width": 30, "height": 40},
    {"id": 11, "file_name": "empty.jpg", "width": 30, "height": 40}],
  "annotations": [
    {"image_id": 7, "category_id": 1, "bbox": [10, 5, 20, 10], "iscrowd": 0, "segmentation": [[1, 2]], "area": 3},
    {"image_id": 7, "category_id": 2, "bbox": [40, 5, 30.5, 20]},
    {"image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 5]},
    {"image_id": 7, "category_id": 1, "bbox": [0, 0, 100, 50], "iscrowd": 1},
    {"image_id": 9, "category_id": 2, "bbox": [1, 2, 3, 4]}],
  "categories": [{"id": 1, "name": "Tiger_Cat"}, {"id": 2, "name": "person"}]}"#;

#[test]
fn coco_boxes_and_the_classes_that_the_network_knows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instances.json");
    fs::write(&path, COCO).unwrap();
    let truth = open(&path, &[]).unwrap();
    assert_eq!(truth.format, TruthFormat::Coco);
    let [known, unknown] = &truth.rows[..] else { panic!("{:?}", truth.rows) };
    assert_eq!((known.image.as_str(), known.class, known.size), ("a/1.jpg", Some(282), ImageSize::new(100, 50)));
    assert_eq!(boxes(known), [[10.0, 5.0, 30.0, 15.0], [0.0, 0.0, 5.0, 5.0]], "the person is no tiger cat");
    assert_eq!((unknown.class, boxes(unknown)), (None, vec![[1.0, 2.0, 4.0, 6.0]]));
    for (from, to, expected) in [
        ("\"image_id\": 9", "\"image_id\": 8", "there is no image 8"),
        ("[1, 2, 3, 4]", "[1, 2, 0, 4]", "of 2.jpg: the box covers nothing"),
        ("\"images\"", "\"pictures\"", "no COCO instances file"),
    ] {
        fs::write(&path, COCO.replace(from, to)).unwrap();
        let error = open(&path, &[]).unwrap_err();
        assert!(error.contains(expected) && error.contains("instances.json"), "{error}");
    }
}

const VOC: &str = "<?xml version=\"1.0\"?>\n<annotation><folder>x</folder><filename>one.jpg</filename>
    <size><width>60</width><height>40</height><depth>3</depth></size>
    <object><name>n02123159</name><bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>25</ymax></bndbox></object>
    </annotation>";

#[test]
fn voc_pixels_count_from_one_and_wordnet_ids_are_names() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(folder.path().join("one.xml"), text).unwrap();
    write(VOC);
    let truth = open(folder.path(), &["deep/one.JPEG"]).unwrap();
    assert_eq!(truth.format, TruthFormat::Voc);
    let [row] = &truth.rows[..] else { panic!("{:?}", truth.rows) };
    assert_eq!((row.image.as_str(), row.class), ("deep/one.JPEG", Some(282)));
    assert_eq!(boxes(row), [[10.0, 5.0, 30.0, 25.0]]);
    assert!(open(folder.path(), &["two.jpg"]).unwrap_err().contains("no picture is called one"));
    assert!(open(folder.path(), &["a/one.jpg", "b/one.jpg"]).unwrap_err().contains("several pictures are called one"));
    for (from, to, expected) in [
        ("<xmax>30</xmax>", "", "<bndbox> has no <xmax>"),
        ("30", "thirty", "<xmax> is \"thirty\""),
        ("<xmax>30", "<xmax>5", "the box of n02123159 covers nothing"),
        ("annotation>", "note>", "no VOC annotation"),
        ("</size>", "", "one.xml"),
    ] {
        write(&VOC.replace(from, to));
        let error = open(folder.path(), &["one.jpg"]).unwrap_err();
        assert!(error.contains(expected) && error.contains("one.xml"), "{error}");
    }
    write("<annotation><size><width>6</width><height>4</height></size></annotation>");
    assert!(open(folder.path(), &[]).unwrap_err().contains("no object"));
}

#[test]
fn masks_are_regions_with_a_box_for_each_part() {
    let folder = tempfile::tempdir().unwrap();
    let mut mask = GrayImage::new(12, 8);
    for (x, y, value) in [(1, 1, 1), (2, 1, 255), (3, 2, 9), (8, 5, 200)] {
        mask.put_pixel(x, y, Luma([value]));
    }
    fs::create_dir(folder.path().join("a")).unwrap();
    mask.save(folder.path().join("a/cat.png")).unwrap();
    let truth = open(folder.path(), &["a/cat.jpg"]).unwrap();
    assert_eq!(truth.format, TruthFormat::Masks);
    let [row] = &truth.rows[..] else { panic!("{:?}", truth.rows) };
    assert_eq!((row.image.as_str(), row.class, row.size), ("a/cat.jpg", None, ImageSize::new(12, 8)));
    let region = row.region().unwrap();
    assert_eq!(region.inside.iter().filter(|inside| **inside).count(), 4);
    let found: Vec<_> = region.boxes.iter().map(|b| [b.x0, b.y0, b.x1, b.y1]).collect();
    assert_eq!(found, [[1.0, 1.0, 4.0, 3.0], [8.0, 5.0, 9.0, 6.0]]);
    assert_eq!(region.share(), 4.0 / 96.0);

    GrayImage::new(12, 8).save(folder.path().join("a/cat.png")).unwrap();
    assert!(row.region().unwrap_err().to_string().contains("the mask is black"));
    GrayImage::new(8, 8).save(folder.path().join("a/cat.png")).unwrap();
    assert!(row.region().unwrap_err().to_string().contains("a mask of 8x8 pixels, for a picture of 12x8"));
    fs::write(folder.path().join("a/cat.png"), b"text").unwrap();
    assert!(open(folder.path(), &["a/cat.jpg"]).unwrap_err().contains("cat.png"));
}

#[test]
fn what_is_no_truth_is_said() {
    let folder = tempfile::tempdir().unwrap();
    assert!(open(folder.path(), &[]).unwrap_err().contains("without .xml (Pascal VOC) and without .png (masks)"));
    fs::write(folder.path().join("a.xml"), VOC).unwrap();
    assert!(open(&folder.path().join("a.xml"), &[]).unwrap_err().contains("name the folder"));
    fs::write(folder.path().join("a.png"), b"").unwrap();
    assert!(open(folder.path(), &[]).unwrap_err().contains("both .xml and .png"));
    assert!(open(&folder.path().join("gone"), &[]).unwrap_err().contains("gone"));
}

#[test]
fn names_are_compared_loosely_and_shared_ones_stand_for_none() {
    let names = ClassNames::new(["Tench", "great white shark", "crane", "crane"]);
    assert_eq!(names.find("tench"), Some(0));
    assert_eq!(names.find(" Great_White_Shark "), Some(1));
    assert_eq!((names.find("crane"), names.find("cat")), (None, None));
    assert_eq!(ClassNames::imagenet().find("n15075141"), Some(999));
}
